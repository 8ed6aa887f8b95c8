"""How a worker is prepared in which one clip is deadly: the module ``deadly`` of the test is loaded first."""

import importlib

from flows.runners import _prepare as prepare_well


def prepare(*given):
    importlib.import_module("deadly")
    prepare_well(*given)
