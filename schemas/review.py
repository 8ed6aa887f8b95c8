"""The records of the review queue that cross rooms: what mining hands in, what people decided, what was done."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.geometry import Box as Box

UNKNOWN_NAME = "unknown object"
"""The name of an item that has no clear one. It is never a name that a person gave."""


class State(StrEnum):
    """Where an item of the queue stands."""

    PENDING = "pending"
    LEASED = "leased"
    DECIDED = "decided"
    SNOOZED = "snoozed"
    DUPLICATE = "duplicate"
    EXPORTED = "exported"

    @property
    def is_open(self) -> bool:
        """Whether somebody may still judge it."""
        return self in (State.PENDING, State.LEASED, State.SNOOZED)

    @property
    def is_judged(self) -> bool:
        """Whether a decision stands, handed over or not."""
        return self in (State.DECIDED, State.EXPORTED)


OPEN = tuple(state for state in State if state.is_open)
JUDGED = tuple(state for state in State if state.is_judged)


class Verdict(StrEnum):
    """What a person said of an item.

    ``accept`` the suggested name is right; ``relabel`` it is another unknown thing, with a name; ``known``
    it is of a class of the known vocabulary; ``not an object`` it is nothing; ``unsure`` cannot be told.
    """

    ACCEPT = "accept"
    RELABEL = "relabel"
    KNOWN = "known"
    NOT_AN_OBJECT = "not an object"
    UNSURE = "unsure"

    @property
    def is_real(self) -> bool:
        """Whether it is an unknown object: what the scan is for, and what precision counts as found."""
        return self in (Verdict.ACCEPT, Verdict.RELABEL)

    @property
    def is_named(self) -> bool:
        """Whether the person had to give a name with it."""
        return self in (Verdict.RELABEL, Verdict.KNOWN)


class Unclear(StrEnum):
    """Why the model gave no name: the best two are too alike (``margin``), or no name is near (``distance``)."""

    MARGIN = "margin"
    DISTANCE = "distance"


class MaskState(StrEnum):
    """What people said of a mask: it fits, it is wrong, or somebody repaired it. Nobody vouched for any other."""

    RIGHT = "right"
    WRONG = "wrong"
    REPAIRED = "repaired"

    @property
    def is_vouched(self) -> bool:
        """Whether a person answers for the mask."""
        return self in (MaskState.RIGHT, MaskState.REPAIRED)


class Second(StrEnum):
    """Where the second opinion on an item stands: asked for, the same as the first, another, or settled by a person."""

    WANTED = "wanted"
    AGREED = "agreed"
    DISAGREED = "disagreed"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class NameScore:
    """A suggested name and its probability among the candidates, in [0, 1]."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class TrackFrame:
    """One frame on which the object of an item was seen, and where on it."""

    frame_index: int
    timestamp: datetime
    box: Box


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One object for a person to judge, with all that is needed to judge it when the archive is gone.

    ``item_id`` is 1 to 64 of ``A-Z a-z 0-9 _ -`` and stays the same when the same object is handed in again.
    ``rank`` orders the queue, highest first; ``score`` is the anomaly score in [0, 1], the greatest of its track;
    ``anomaly_percentile`` is the share of the fleet's objects with no greater one, in [0, 1]. ``box`` is the object
    on the frame and ``mask_rle`` its mask: COCO compressed run lengths of the whole frame
    (``frame_height`` x ``frame_width``). ``crop_jpeg`` shows ``crop_box`` of the frame, at any resolution.
    ``track`` lists the frames of the object in order of time, the item's own included. ``embedding`` is a
    vector of little-endian float16, or None. ``cluster`` is shared by look-alikes. ``drawn_at_random`` marks
    the share that was not chosen by rank, from which precision is estimated.

    ``duplicate_of`` names the item that shows the same object already. ``supersedes`` names items of older
    scans that this one replaces as long as nobody judged or holds them.

    ``unclear`` says why ``name`` is "unknown object", where that is known. ``timestamp_source`` says where the time
    comes from: a ``TimestampSource``, or None where that is not recorded.
    """

    item_id: str
    scan_id: str
    source_uri: str
    drive: str
    frame_index: int
    timestamp: datetime
    frame_height: int
    frame_width: int
    box: Box
    mask_rle: bytes
    crop_jpeg: bytes
    crop_box: Box
    name: str
    names: tuple[NameScore, ...]
    score: float
    rank: float
    track_id: str | None = None
    track: tuple[TrackFrame, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    embedding: bytes | None = None
    cluster: str | None = None
    drawn_at_random: bool = False
    duplicate_of: str | None = None
    supersedes: tuple[str, ...] = ()
    unclear: Unclear | None = None
    anomaly_percentile: float | None = None
    timestamp_source: str | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the model committed to a name."""
        return self.name != UNKNOWN_NAME

    @property
    def suggestion(self) -> str | None:
        """The name that accepting it records: its own, or the likeliest where none is clear. None: there is none."""
        if self.is_clear:
            return self.name
        return next((guess.name for guess in self.names if guess.name != UNKNOWN_NAME), None)

    @property
    def frames_per_second(self) -> float | None:
        """Of its footage, by the frames on which it was seen; None where that was only one."""
        if not self.track or self.track[-1].frame_index <= self.track[0].frame_index:
            return None
        seconds = (self.track[-1].timestamp - self.track[0].timestamp).total_seconds()
        return (self.track[-1].frame_index - self.track[0].frame_index) / seconds if seconds > 0 else None

    @property
    def name_score(self) -> float | None:
        """The probability of the suggestion, in [0, 1]."""
        return next((guess.score for guess in self.names if guess.name == self.suggestion), None)


@dataclass(frozen=True, slots=True)
class ItemStatus:
    """The part of an item that changes.

    ``holder`` has the item until ``until`` while it is leased; ``until`` of a snoozed item is when it comes
    back. ``verdict``, ``name``, ``decided_by`` and ``decided_at`` belong to decided and exported items;
    ``name`` is None where the verdict names nothing.
    """

    state: State
    holder: str | None = None
    until: datetime | None = None
    verdict: Verdict | None = None
    name: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True, slots=True)
class QueuedItem:
    """An item as it stands in the queue.

    ``mask_state`` is what people said of its mask, ``repaired`` the mask that takes the place of the item's, and
    ``second`` where a second opinion stands.
    """

    item: ReviewItem
    status: ItemStatus
    mask_state: MaskState | None = None
    repaired: "RepairedMask | None" = None
    second: Second | None = None

    @property
    def mask_rle(self) -> bytes:
        """The mask that counts: the repaired one, or that of the scan."""
        return self.repaired.mask_rle if self.repaired else self.item.mask_rle


@dataclass(frozen=True, slots=True)
class RepairedMask:
    """A mask that a person repaired, as ``ReviewItem.mask_rle``; ``edits`` are the steps, in words, by which."""

    mask_rle: bytes
    edits: tuple[str, ...]
    reviewer: str
    repaired_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided. ``name`` is None where the verdict names nothing."""

    item_id: str
    verdict: Verdict
    name: str | None
    reviewer: str
    decided_at: datetime


class EventKind(StrEnum):
    """What happened to an item."""

    ENQUEUED = "enqueued"
    SUPERSEDED = "superseded"
    LEASED = "leased"
    RELEASED = "released"
    EXPIRED = "expired"
    WOKEN = "woken"
    DECIDED = "decided"
    SNOOZED = "snoozed"
    UNDONE = "undone"
    EXPORTED = "exported"
    REOPENED = "reopened"
    RENAMED = "renamed"
    COMMENTED = "commented"
    MASK = "mask"
    SECOND = "second"
    OPINION = "opinion"

    @property
    def is_of_leases(self) -> bool:
        """Whether it only tells who held the item: noise to whoever reads what was decided."""
        return self in (EventKind.LEASED, EventKind.RELEASED, EventKind.EXPIRED, EventKind.WOKEN)


@dataclass(frozen=True, slots=True)
class Event:
    """Who changed an item, when, from what to what.

    The events of one call share an ``action_id``. ``undoes`` is the ``event_id`` that an undo takes back. ``note`` is
    a comment, or what a mask or a second opinion became.
    ``before`` is None for the first event of an item.
    """

    event_id: int
    action_id: str
    item_id: str
    at: datetime
    actor: str
    kind: EventKind
    before: ItemStatus | None
    after: ItemStatus
    undoes: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a second reviewer said of an item, without having been told what the first did."""

    item_id: str
    reviewer: str
    verdict: Verdict
    name: str | None
    at: datetime
