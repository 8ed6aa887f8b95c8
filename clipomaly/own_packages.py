"""Packages with common names, such as ``tasks``, belong to Clipomaly: is it ours that Python finds?"""

import sys
from importlib.util import find_spec
from pathlib import Path

OWN_PACKAGES = ("clipomaly_core", "demo_fleet", "flows", "review", "schemas", "tasks")


class HiddenPackageError(ImportError):
    """A foreign module is found in place of one of our packages. One line: which file, and what to do."""


def check_own_packages() -> None:
    """See that ``tasks``, ``flows`` and the others are those that were installed with Clipomaly.

    Raises:
        HiddenPackageError: another module of such a name is found first, or ours is missing.
    """
    root = Path(__file__).resolve().parents[1]
    for name in OWN_PACKAGES:
        found = _found(name)
        if found is None:
            raise HiddenPackageError(f"Clipomaly's package {name!r} is missing beside {root}: install clipomaly again.")
        if found.parent != root / name:
            raise HiddenPackageError(
                f"{_shown(found)} hides Clipomaly's own package {name!r}: rename it, or run from another folder."
            )


def _found(name: str) -> Path | None:
    """The file that ``import name`` gives or gave."""
    module = sys.modules.get(name)
    spec = module.__spec__ if module is not None else find_spec(name)
    if module is not None and spec is None:
        return Path(str(module.__file__)).resolve()
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin).resolve()
    folders = list(spec.submodule_search_locations or ())  # a folder without __init__.py
    return Path(folders[0]).resolve() / "__init__.py" if folders else None


def _shown(found: Path) -> Path:
    return found.parent if found.name == "__init__.py" else found
