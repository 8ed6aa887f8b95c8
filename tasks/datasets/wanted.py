"""Which judged items a dataset takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypedDict, Unpack


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which judged items a dataset takes; an empty tuple or None means no condition.

    ``names`` are the decided names; ``first_day`` and ``last_day`` are capture dates in UTC, both included;
    ``agreement`` is the smallest share of judged look-alikes with the same verdict. ``best`` is how many frames of a
    track are taken: those with the highest score, and always the judged one. ``vouched_masks`` takes only the judged
    frames whose mask a person called right or repaired.
    """

    names: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    agreement: float = 0.0
    best: int | None = None
    known: bool = True
    background: bool = True
    fully_labelled: bool = False
    vouched_masks: bool = False


class Filters(TypedDict, total=False):
    """The fields of ``Wanted``; names in any order."""

    names: Iterable[str]
    drives: Iterable[str]
    reviewers: Iterable[str]
    first_day: date | None
    last_day: date | None
    agreement: float
    best: int | None
    known: bool
    background: bool
    fully_labelled: bool
    vouched_masks: bool


def make_wanted(**filters: Unpack[Filters]) -> Wanted:
    """The filters of a dataset; names, drives and reviewers are sorted, so that one selection has one record."""
    values: dict[str, Any] = dict(filters)
    for name in ("names", "drives", "reviewers"):
        values[name] = tuple(sorted(values.get(name, ())))
    return Wanted(**values)
