"""Judged items, without their pictures."""

from dataclasses import dataclass
from datetime import datetime

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
