"""Names of modules from before: scripts and settings of users still hold them."""

import importlib
import subprocess
import sys

import pytest

import clipomaly_core
import tasks

MOVED = clipomaly_core.MOVED | tasks.MOVED


@pytest.mark.parametrize("new", sorted({*MOVED.values()}))
def test_what_stands_for_an_old_name_is_there(new: str) -> None:
    assert importlib.import_module(new)


@pytest.mark.parametrize(
    "old", ["tasks.status", "tasks.records.commits", "tasks.promotion.change", "clipomaly_core.lemma"]
)
def test_an_old_name_is_the_new_module_and_costs_one_line(old: str) -> None:
    code = f"import importlib; print(importlib.import_module({old!r}) is importlib.import_module({MOVED[old]!r}))"
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{code}"], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["True", "True"], ran.stderr
    assert ran.stderr.splitlines() == [f"{old} is now {MOVED[old]}; the old name will go."]
