"""Judged items, without their pictures, and which of them a dataset takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict, Unpack

from schemas.dataset import Role
from schemas.review import Box, QueuedItem, RepairedMask, ReviewItem, Verdict

ROLES = {
    Verdict.ACCEPT: Role.OBJECT,
    Verdict.RELABEL: Role.OBJECT,
    Verdict.KNOWN: Role.KNOWN,
    Verdict.NOT_AN_OBJECT: Role.BACKGROUND,
}


@dataclass(frozen=True, slots=True)
class JudgedItem:
    """The part of a judged item that a dataset needs: without its pictures, so that a fleet's fit in memory."""

    item_id: str
    verdict: Verdict
    name: str | None
    reviewer: str
    decided_at: datetime
    suggested: str
    scan_id: str
    source_uri: str
    drive: str
    frame_index: int
    timestamp: datetime
    height: int
    width: int
    box: Box
    mask_rle: bytes
    score: float
    track_id: str | None
    track: tuple[tuple[int, Box], ...]
    cluster: str | None
    embedding: bytes | None
    repaired: RepairedMask | None
    vouched: bool

    @property
    def role(self) -> Role:
        return ROLES[self.verdict]


def judged_item(queued: QueuedItem) -> JudgedItem:
    """The part of a judged item that a dataset needs."""
    item, status = queued.item, queued.status
    assert status.verdict is not None and status.decided_by is not None and status.decided_at is not None
    return JudgedItem(
        item_id=item.item_id,
        verdict=status.verdict,
        name=status.name if ROLES[status.verdict] is not Role.BACKGROUND else None,
        reviewer=status.decided_by,
        decided_at=status.decided_at,
        suggested=item.name,
        scan_id=item.scan_id,
        source_uri=item.source_uri,
        drive=item.drive,
        frame_index=item.frame_index,
        timestamp=item.timestamp,
        height=item.frame_height,
        width=item.frame_width,
        box=item.box,
        mask_rle=item.mask_rle,
        score=item.score,
        track_id=item.track_id,
        track=_track_boxes(item),
        cluster=item.cluster,
        embedding=item.embedding,
        repaired=queued.repaired,
        vouched=queued.mask_state is not None and queued.mask_state.is_vouched,
    )


def _track_boxes(item: ReviewItem) -> tuple[tuple[int, Box], ...]:
    return tuple((seen.frame_index, seen.box) for seen in item.track)


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
