"""Plugins: what other installed packages add by entry points (kinds of source, dataset formats, image towers)."""

import logging
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

Plugin = TypeVar("Plugin")

logger = logging.getLogger("clipomaly.method")


def plugins(group: str, kind: type[Plugin]) -> dict[str, Plugin]:
    """What other packages registered in a group of entry points, by name, in alphabetical order.

    A plugin that does not import, or is not of this kind, is left out, and one line says so, once in each process. Each
    process looks for itself, so a worker has the plugins of its own environment.

    Args:
        group: ``clipomaly.sources``, ``clipomaly.dataset_formats`` or ``clipomaly.image_towers``.
        kind: the class whose instances are plugins of this group.

    Example:
        >>> from clipomaly_core.plugins import plugins
        >>> plugins("clipomaly.nothing_is_registered_here", str)
        {}
    """
    found = {}
    for point in _entry_points(group):
        loaded = _loaded(point)
        if isinstance(loaded, kind):
            found[point.name] = loaded
        elif loaded is not None:
            _say_once(f"plugin {point.name} of {group} is left out: {point.value} is no {kind.__name__}")
    return found


@lru_cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


@lru_cache
def _loaded(point: EntryPoint) -> object:
    """The object that an entry point names; None if it does not import."""
    try:
        return point.load()
    except Exception as error:  # whatever a foreign package raises, Clipomaly continues
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _say_once(f"plugin {point.name} of {point.group} is left out: {reason}")
        return None


@lru_cache
def _say_once(line: str) -> None:
    logger.warning(line)
