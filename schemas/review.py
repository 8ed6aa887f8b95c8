"""The records of the review queue: items that mining adds, decisions of people, and events."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.geometry import Box as Box

UNKNOWN_NAME = "unknown object"
"""The name of an item without a clear name. A person never gives this name."""


class State(StrEnum):
    """The state of an item in the queue."""

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
        """Whether it has a decision, exported or not."""
        return self in (State.DECIDED, State.EXPORTED)


OPEN = tuple(state for state in State if state.is_open)
JUDGED = tuple(state for state in State if state.is_judged)


class Verdict(StrEnum):
    """What a person decided about an item.

    ``accept``: the suggested name is right. ``relabel``: it is another unknown object, with a name. ``known``: it is
    of a known class. ``not an object``: there is no object. ``unsure``: the person cannot tell.
    """

    ACCEPT = "accept"
    RELABEL = "relabel"
    KNOWN = "known"
    NOT_AN_OBJECT = "not an object"
    UNSURE = "unsure"

    @property
    def is_real(self) -> bool:
        """Whether it is an unknown object: what a scan looks for, and what counts as correct in precision."""
        return self in (Verdict.ACCEPT, Verdict.RELABEL)

    @property
    def is_named(self) -> bool:
        """Whether the person had to give a name with it."""
        return self in (Verdict.RELABEL, Verdict.KNOWN)


class Unclear(StrEnum):
    """Why the model gave no name: the two best are too close (``margin``), or none is close enough (``distance``)."""

    MARGIN = "margin"
    DISTANCE = "distance"


class MaskState(StrEnum):
    """What people said of a mask: it is right, it is wrong, or somebody repaired it."""

    RIGHT = "right"
    WRONG = "wrong"
    REPAIRED = "repaired"

    @property
    def is_vouched(self) -> bool:
        """Whether a person called the mask right or repaired it."""
        return self in (MaskState.RIGHT, MaskState.REPAIRED)


class Second(StrEnum):
    """The state of a second opinion: asked for, the same as the first, different, or settled by a person."""

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
    """One object for a person to judge, with everything needed to judge it without the archive.

    ``item_id`` is 1 to 64 of ``A-Z a-z 0-9 _ -`` and stays the same if the same object is added again.
    ``rank`` orders the queue, highest first; ``score`` is the anomaly score in [0, 1], the highest of its track;
    ``anomaly_percentile`` is the share of ``anomaly_of`` objects of the fleet, itself included, whose score is not
    higher, in [0, 1]. ``box`` is the object on the frame and ``mask_rle`` its mask: COCO compressed run lengths of the
    whole frame (``frame_height`` x ``frame_width``). ``crop_jpeg`` shows ``crop_box`` of the frame, at any resolution.
    ``track`` lists the frames of the object in order of time, the item's own included. ``embedding`` is a
    vector of little-endian float16, or None. ``cluster`` is shared by look-alikes. ``drawn_at_random`` marks
    the items that were not chosen by rank; precision is estimated from them.

    ``duplicate_of`` is the item that already shows the same object. ``supersedes`` are items of older scans that this
    item replaces, unless somebody judged or holds them.

    ``unclear`` says why ``name`` is "unknown object", if that is known. ``timestamp_source`` says where the time comes
    from: a ``TimestampSource``, or None if it is not recorded.
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
    anomaly_of: int | None = None
    timestamp_source: str | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the model gave a name."""
        return self.name != UNKNOWN_NAME

    @property
    def suggestion(self) -> str | None:
        """The name that accepting records: its own, or the likeliest if none is clear; None if there is none."""
        if self.is_clear:
            return self.name
        return next((guess.name for guess in self.names if guess.name != UNKNOWN_NAME), None)

    @property
    def frames_per_second(self) -> float | None:
        """The frame rate of its footage, from the frames of its track; None if there is only one."""
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

    A leased item belongs to ``holder`` until ``until``; a snoozed item comes back at ``until``. ``verdict``, ``name``,
    ``decided_by`` and ``decided_at`` are set for decided and exported items; ``name`` is None if the verdict has none.
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
    """An item with its current status.

    ``mask_state`` is what people said of its mask, ``repaired`` the mask that replaces the one of the item, and
    ``second`` the state of a second opinion.
    """

    item: ReviewItem
    status: ItemStatus
    mask_state: MaskState | None = None
    repaired: "RepairedMask | None" = None
    second: Second | None = None

    @property
    def mask_rle(self) -> bytes:
        """The mask in force: the repaired one, or else the one of the scan."""
        return self.repaired.mask_rle if self.repaired else self.item.mask_rle


@dataclass(frozen=True, slots=True)
class RepairedMask:
    """A mask that a person repaired, in the form of ``ReviewItem.mask_rle``; ``edits`` are the steps, in words."""

    mask_rle: bytes
    edits: tuple[str, ...]
    reviewer: str
    repaired_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of a person. ``name`` is None if the verdict has none."""

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
        """Whether it is only about leases, which a reader of decisions does not need."""
        return self in (EventKind.LEASED, EventKind.RELEASED, EventKind.EXPIRED, EventKind.WOKEN)


@dataclass(frozen=True, slots=True)
class Event:
    """A change of an item: who, when, and its status before and after.

    The events of one call share an ``action_id``. ``undoes`` is the ``event_id`` that an undo reverses. ``note`` is a
    comment, or the new state of a mask or a second opinion. ``before`` is None for the first event of an item.
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
    """A second opinion on an item, given without knowing the first decision."""

    item_id: str
    reviewer: str
    verdict: Verdict
    name: str | None
    at: datetime
