"""Clipomaly: find, name and collect what a fleet's dashcams met and no class list foresaw.

This is the whole public API. Its names are imported when they are first used: ``import clipomaly`` alone loads neither
PyTorch nor Arrow.

Example:
    >>> import clipomaly
    >>> summary = clipomaly.scan("footage", "tables")
    >>> clipomaly.open_table("tables", "instances").count_rows()
    42
"""

from importlib import import_module
from typing import TYPE_CHECKING

from clipomaly.own_packages import HiddenPackageError, check_own_packages

if TYPE_CHECKING:
    from clipomaly.api import build_dataset, scan, search, status
    from clipomaly_core import Clipomaly
    from review import Queue
    from schemas.masks import decode_mask
    from schemas.version import VERSION as __version__
    from tasks.errors import UserError
    from tasks.footage.frames import read_frame
    from tasks.tables import open_table
    from tasks.tables.query import connect

__all__ = [
    "Clipomaly",
    "HiddenPackageError",
    "Queue",
    "UserError",
    "__version__",
    "build_dataset",
    "connect",
    "decode_mask",
    "open_table",
    "read_frame",
    "scan",
    "search",
    "status",
]

_MODULES = {
    "Clipomaly": "clipomaly_core",
    "Queue": "review",
    "UserError": "tasks.errors",
    "build_dataset": "clipomaly.api",
    "connect": "tasks.tables.query",
    "decode_mask": "schemas.masks",
    "open_table": "tasks.tables",
    "read_frame": "tasks.footage.frames",
    "scan": "clipomaly.api",
    "search": "clipomaly.api",
    "status": "clipomaly.api",
}


def __getattr__(name: str) -> object:
    if name != "__version__" and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_own_packages()
    if name == "__version__":
        value: object = import_module("schemas.version").VERSION
    else:
        value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
