"""What the page and the server say to each other, as JSON."""

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from review.changes import MOST_AT_ONCE
from review.masks import MOST_EDITS, MOST_POINTS, Edit, EditKind
from review.names import unclear_reason
from review.reads import Filters
from review.revisions import LONGEST_NOTE
from schemas.review import Event, ItemStatus, MaskState, QueuedItem, Second, State, Verdict
from schemas.shares import unusualness

ItemId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ActionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{8,64}$")]
Text = Annotated[str, StringConstraints(max_length=4096)]
Score = Annotated[float, Field(ge=0, le=1)]
# Long names come through, to be refused in words.
Name = Annotated[str, StringConstraints(max_length=20_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FilterChoice(_Strict):
    """Which items are wanted; what is left out asks nothing."""

    name: Text | None = None
    drive: Text | None = None
    cluster: Text | None = None
    first_day: date | None = None
    last_day: date | None = None
    min_score: Score | None = None
    max_score: Score | None = None

    @field_validator("name", "drive", "cluster", mode="after")
    @classmethod
    def _no_zero_bytes(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("holds a zero byte")
        return value or None

    @field_validator("first_day", "last_day", "min_score", "max_score", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    def filters(self) -> Filters:
        """As the queue takes them."""
        return Filters(**self.model_dump())


class LeaseRequest(_Strict):
    """``holding``: the items that the page has already, whose leases are renewed; ``items``: only among these."""

    filters: FilterChoice = FilterChoice()
    count: Annotated[int, Field(ge=1, le=100)] = 1
    holding: Annotated[list[ItemId], Field(max_length=300)] = []
    items: Annotated[list[ItemId], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None

    def wanted(self) -> Filters:
        """As the queue takes them."""
        filters = self.filters.filters()
        return filters if self.items is None else replace(filters, items=tuple(self.items))


class DecideRequest(_Strict):
    """``action_id`` is made by the page, so that a decision sent twice counts once."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=200)]
    verdict: Verdict
    name: Name | None = None
    action_id: ActionId | None = None


class SnoozeRequest(_Strict):
    """Put away for ``hours``."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=200)]
    hours: Annotated[float, Field(gt=0, le=24 * 366)] = 24
    action_id: ActionId | None = None


class MaskRequest(_Strict):
    """Say that an item's mask is right or wrong; null takes back what was said, and any repair."""

    state: MaskState | None = None


class EditStep(_Strict):
    """One step of a repair; places are (x, y) from 0 to 1 of the stored crop."""

    kind: EditKind
    points: Annotated[list[tuple[Score, Score]], Field(max_length=MOST_POINTS)] = []


class RepairRequest(_Strict):
    """Steps from the mask that counts now."""

    edits: Annotated[list[EditStep], Field(min_length=1, max_length=MOST_EDITS)]

    def steps(self) -> list[Edit]:
        """As the queue takes them."""
        return [Edit(step.kind, tuple(step.points)) for step in self.edits]


class NoteRequest(_Strict):
    """A remark, or a reason."""

    note: Annotated[str, StringConstraints(max_length=LONGEST_NOTE)]


class OpinionRequest(_Strict):
    """What a second reviewer says."""

    verdict: Verdict
    name: Name | None = None


class FindsRequest(_Strict):
    """Finds that become items; together in a group where ``group`` is set."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=200)]
    group: bool = False


class FindsAnswer(BaseModel):
    """How many came into the queue, were there already, or have no footage any more; and the group."""

    added: int
    there: int
    lost: int
    cluster: str | None


class UndoItemsRequest(_Strict):
    """Decisions of the caller to take back."""

    items: Annotated[list[ItemId], Field(min_length=1, max_length=200)]


class UndoRequest(_Strict):
    """Without ``item`` the last action is taken back."""

    item: ItemId | None = None
    action_id: ActionId | None = None


class ItemsRequest(_Strict):
    """Some items."""

    items: Annotated[list[ItemId], Field(max_length=300)]


class ErrorAnswer(BaseModel):
    """What went wrong, in words for the person at the page."""

    message: str


class NameAnswer(BaseModel):
    """A suggested name with its score."""

    name: str
    score: float


class BoxAnswer(BaseModel):
    """Pixels of the frame."""

    x: int
    y: int
    width: int
    height: int


class TrackFrameAnswer(BaseModel):
    """One frame of the track; ``number`` asks for its picture."""

    number: int
    frame_index: int
    timestamp: datetime
    shown: bool


class StatusAnswer(BaseModel):
    """Where the item stands."""

    state: State
    holder: str | None
    until: datetime | None
    verdict: Verdict | None
    name: str | None
    decided_by: str | None
    decided_at: datetime | None
    duplicate_of: str | None


class ItemAnswer(BaseModel):
    """An item as the page shows it. Whether it was drawn at random is not told: it must not sway anybody.

    ``suggestion`` is what accepting records; ``unclear`` says in words why the model gave no name. ``score`` and
    ``anomaly_percentile`` tell how unusual the object is, ``anomaly`` says it in words; they tell nothing of its name.
    """

    item_id: str
    name: str
    names: list[NameAnswer]
    suggestion: str | None
    unclear: str | None
    score: float
    anomaly_percentile: float | None
    anomaly: str
    drive: str
    source: str
    frame_index: int
    frame_width: int
    frame_height: int
    timestamp: datetime
    timestamp_source: str | None
    box: BoxAnswer
    crop_box: BoxAnswer
    track: list[TrackFrameAnswer]
    latitude: float | None
    longitude: float | None
    cluster: str | None
    has_frames: bool
    has_motion: bool
    mask_state: MaskState | None
    mask_version: str
    second: Second | None
    status: StatusAnswer


class LeaseAnswer(BaseModel):
    """Items held by the caller from now on for ``seconds``."""

    items: list[ItemAnswer]
    seconds: float


class DecisionAnswer(BaseModel):
    """A decision as it was recorded."""

    item_id: str
    verdict: Verdict
    name: str | None
    reviewer: str
    decided_at: datetime


class DecideAnswer(BaseModel):
    """The decisions of one call."""

    decisions: list[DecisionAnswer]


class OpinionAnswer(BaseModel):
    """Whether the second opinion agrees is told only when it is given."""

    outcome: Second


class SnoozeAnswer(BaseModel):
    """When the items come back."""

    until: datetime


class HeldAnswer(BaseModel):
    """The items among those asked about that the caller still holds, for ``seconds`` from now."""

    items: list[str]
    seconds: float


class ReleaseAnswer(BaseModel):
    """How many items went back."""

    released: int


class OfferedName(BaseModel):
    """A name to complete to."""

    name: str
    known: bool


class NamesAnswer(BaseModel):
    """Names that match what was typed, best first."""

    names: list[OfferedName]
    exists: bool


class EventAnswer(BaseModel):
    """One event of an item."""

    at: datetime
    actor: str
    kind: str
    before: StatusAnswer | None
    after: StatusAnswer
    note: str | None


class EventsAnswer(BaseModel):
    """All events of an item, in order."""

    events: list[EventAnswer]


class ProgressAnswer(BaseModel):
    """How far the night is, and the caller."""

    waiting: int
    night: str | None
    night_items: int
    night_judged: int
    mine_today: int


def item_answer(queued: QueuedItem, has_frames: bool) -> ItemAnswer:
    """An item for the page; ``has_frames`` says whether its whole frames may be asked for."""
    item = queued.item
    return ItemAnswer(
        item_id=item.item_id,
        name=item.name,
        names=[NameAnswer(name=name.name, score=name.score) for name in item.names],
        suggestion=item.suggestion,
        unclear=unclear_reason(item),
        score=item.score,
        anomaly_percentile=item.anomaly_percentile,
        anomaly=unusualness(item.anomaly_percentile, item.anomaly_of),
        drive=item.drive,
        source=item.source_uri,
        frame_index=item.frame_index,
        frame_width=item.frame_width,
        frame_height=item.frame_height,
        timestamp=item.timestamp,
        timestamp_source=item.timestamp_source,
        box=BoxAnswer.model_validate(item.box, from_attributes=True),
        crop_box=BoxAnswer.model_validate(item.crop_box, from_attributes=True),
        track=[
            TrackFrameAnswer(
                number=number,
                frame_index=seen.frame_index,
                timestamp=seen.timestamp,
                shown=seen.frame_index == item.frame_index,
            )
            for number, seen in enumerate(item.track)
        ],
        latitude=item.latitude,
        longitude=item.longitude,
        cluster=item.cluster,
        has_frames=has_frames,
        has_motion=has_frames and item.frames_per_second is not None,
        mask_state=queued.mask_state,
        mask_version=f"{queued.repaired.repaired_at.timestamp():.0f}" if queued.repaired else "",
        second=queued.second,
        status=status_answer(queued.status),
    )


def status_answer(status: ItemStatus) -> StatusAnswer:
    """A status for the page."""
    return StatusAnswer.model_validate(status, from_attributes=True)


def event_answer(event: Event) -> EventAnswer:
    """An event for the page."""
    before = status_answer(event.before) if event.before else None
    return EventAnswer(
        at=event.at,
        actor=event.actor,
        kind=event.kind,
        before=before,
        after=status_answer(event.after),
        note=event.note,
    )
