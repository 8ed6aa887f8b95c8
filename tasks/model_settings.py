"""Which model and which options of the method, as plain values for files, flags, records and other processes.

Naming a model loads none.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from clipomaly_core.options import is_earlier_name, preset, rename_options

Value = str | float | int | bool | None

logger = logging.getLogger("clipomaly.method")

__all__ = [
    "DEFAULT_MODEL",
    "ModelSettings",
    "Value",
    "is_earlier_name",
    "plain_value",
    "present_options",
    "preset",
    "say_once",
]


def present_options(values: Mapping[str, object]) -> dict[str, Value]:
    """Options under their present names, each list as text. Each earlier name is reported in one line, once a process.

    Example:
        >>> from tasks.model_settings import present_options
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
    """Log a notice for people in one line, once a process."""
    logger.warning(notice)


DEFAULT_MODEL = "road"
"""What scans and looks at pictures where no model is named."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Everything needed to load a model again in another process.

    ``method`` holds the options that differ from the model's defaults, sorted by name. ``reference`` is the path or URL
    of what the model is calibrated on.
    """

    model: str = DEFAULT_MODEL
    weights: str | None = None
    vocabulary: str | None = None
    device: str = "auto"
    method: tuple[tuple[str, Value], ...] = ()
    reference: str | None = None
