"""Options of the method as files, flags and records hold them: plain values under their present names."""

import logging
from collections.abc import Mapping
from functools import lru_cache

from clipomaly_core.presets import preset
from clipomaly_core.renamed_options import is_earlier_name, rename_options

Value = str | float | int | bool | None

logger = logging.getLogger("clipomaly.method")

__all__ = ["Value", "is_earlier_name", "plain_value", "present_options", "preset"]


def present_options(values: Mapping[str, object]) -> dict[str, Value]:
    """Options under their present names, each list as text. Earlier names are said in one line each, once a process.

    Example:
        >>> from tasks.method_options import present_options
        >>> present_options({"score": "unknown-mass", "scales": [1, 1.5]})
        {'score': 'candidate_probability', 'scales': '1,1.5'}
    """
    renamed, notices = rename_options(values)
    for notice in notices:
        say_once(notice)
    return {name: plain_value(value) for name, value in renamed.items()}


def plain_value(value: object) -> Value:
    """A value as records hold it: numbers of a list are joined by commas."""
    if isinstance(value, list | tuple):
        return ",".join(f"{part:g}" if isinstance(part, int | float) else str(part) for part in value)
    return value if value is None or isinstance(value, str | float | int | bool) else str(value)


@lru_cache(maxsize=64)
def say_once(notice: str) -> None:
    """Tell people something in one line, once a process."""
    logger.warning(notice)
