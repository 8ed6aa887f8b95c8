"""What judges of rare objects need beside a verdict: masks, motion, remarks, second opinions."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Response

from review.errors import BadInputError
from review.mask_edits import apply_edits
from review.web.api import ERRORS, JPEG, PNG, WantedItem, leased, of_the_archive
from review.web.messages import (
    EventsAnswer,
    ItemAnswer,
    LeaseAnswer,
    MaskRequest,
    NoteRequest,
    OpinionAnswer,
    OpinionRequest,
    RepairRequest,
    UndoItemsRequest,
    event_answer,
    item_answer,
)
from review.web.site import Changing, Signed, Site, TheSite
from schemas.masks import encode_mask

judging = APIRouter(responses=ERRORS)


@judging.post("/api/items/{item_id}/mask")
def flag_mask(item_id: WantedItem, request: MaskRequest, site: TheSite, session: Changing) -> ItemAnswer:
    """Say that a mask is right or wrong."""
    site.queue.flag_mask(session.reviewer, item_id, request.state)
    site.pictures.forget_mask(item_id)
    return _answer(site, item_id)


@judging.post("/api/items/{item_id}/mask/preview", response_class=Response, responses=PNG)
def preview_mask(item_id: WantedItem, request: RepairRequest, site: TheSite, session: Changing) -> Response:
    """What a repair would give, to lay over the crop; nothing is recorded."""
    queued = site.queue.item(item_id)
    mask = apply_edits(queued.item, queued.mask_rle, request.steps())
    return Response(site.pictures.overlay(queued.item, encode_mask(mask)), media_type="image/png")


@judging.post("/api/items/{item_id}/mask/repair")
def repair_mask(item_id: WantedItem, request: RepairRequest, site: TheSite, session: Changing) -> ItemAnswer:
    """Keep a repaired mask beside the item's own."""
    site.queue.repair_mask(session.reviewer, item_id, request.steps())
    site.pictures.forget_mask(item_id)
    return _answer(site, item_id)


@judging.get("/items/{item_id}/motion/{step}.jpg", response_class=Response, responses=JPEG)
async def motion_frame(
    item_id: WantedItem, step: Annotated[int, Path(ge=-20, le=20)], site: TheSite, session: Signed
) -> Response:
    """The whole frame so many half-seconds later, as long as the archive has it."""
    return await of_the_archive(site, partial(site.pictures.motion_frame, item_id, step))


@judging.post("/api/items/{item_id}/comment")
def comment(item_id: WantedItem, request: NoteRequest, site: TheSite, session: Changing) -> EventsAnswer:
    """Write a remark into the item's history."""
    site.queue.comment(session.reviewer, item_id, request.note)
    return EventsAnswer(events=[event_answer(event) for event in site.queue.events(item_id)])


@judging.post("/api/items/{item_id}/reopen")
def reopen(item_id: WantedItem, request: NoteRequest, site: TheSite, session: Changing) -> ItemAnswer:
    """Put a judged item back into the queue."""
    site.queue.reopen(session.reviewer, item_id, request.note)
    return _answer(site, item_id)


@judging.post("/api/items/{item_id}/settle")
def settle(item_id: WantedItem, request: NoteRequest, site: TheSite, session: Changing) -> ItemAnswer:
    """Let a decision stand in spite of another opinion."""
    site.queue.settle(session.reviewer, item_id, request.note)
    return _answer(site, item_id)


@judging.post("/api/items/{item_id}/second")
def ask_second(item_id: WantedItem, site: TheSite, session: Changing) -> ItemAnswer:
    """Ask for a second opinion on a judged item."""
    if not site.queue.ask_second(session.reviewer, item_id):
        raise BadInputError("A second opinion was asked for already.")
    return _answer(site, item_id)


@judging.get("/api/second")
def next_second(site: TheSite, session: Signed) -> LeaseAnswer:
    """Items that wait for the caller's second opinion. What the first reviewer said is not told."""
    found = site.queue.next_second(session.reviewer, 5)
    answer = leased(found, site)
    for item in answer.items:
        item.status = item.status.model_copy(update={"verdict": None, "name": None, "decided_by": None})
    return answer


@judging.post("/api/items/{item_id}/opinion")
def give_opinion(item_id: WantedItem, request: OpinionRequest, site: TheSite, session: Changing) -> OpinionAnswer:
    """Give a second opinion."""
    outcome = site.queue.give_opinion(session.reviewer, item_id, request.verdict, request.name)
    return OpinionAnswer(outcome=outcome)


@judging.post("/api/undo-items")
def undo_items(request: UndoItemsRequest, site: TheSite, session: Changing) -> LeaseAnswer:
    """Take back several decisions of the caller; their items are held for the caller again."""
    return leased(site.queue.undo_items(session.reviewer, request.items), site)


def _answer(site: Site, item_id: str) -> ItemAnswer:
    return item_answer(site.queue.item(item_id), site.pictures.has_frames)
