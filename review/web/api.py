"""The page's own API. Everything here is also a method of ``Queue`` and a command."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse

from review.names import complete_name
from review.pictures import FrameGoneError
from review.web.messages import (
    DecideAnswer,
    DecideRequest,
    DecisionAnswer,
    ErrorAnswer,
    EventsAnswer,
    HeldAnswer,
    ItemAnswer,
    ItemId,
    ItemsRequest,
    LeaseAnswer,
    LeaseRequest,
    Name,
    NamesAnswer,
    OfferedName,
    ProgressAnswer,
    ReleaseAnswer,
    SnoozeAnswer,
    SnoozeRequest,
    UndoRequest,
    event_answer,
    item_answer,
)
from review.web.site import Changing, Signed, Site, TheSite
from schemas.review import QueuedItem, State

ERRORS: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorAnswer, "description": description}
    for status, description in {
        400: "The body is no JSON, or a value cannot be taken.",
        401: "Sign in first.",
        403: "The request did not come from a page of this server.",
        404: "There is no such item, or not this picture of it.",
        409: "Another reviewer was first, or there is nothing to undo.",
        413: "The request is too large.",
        421: "The server answers to another name.",
        422: "A value is not as described.",
        503: "The database does not answer.",
    }.items()
}
_KEPT = {"Cache-Control": "private, max-age=86400, immutable"}

api = APIRouter(responses=ERRORS)

WantedItem = Annotated[ItemId, Path()]


@api.post("/api/lease")
def lease(request: LeaseRequest, site: TheSite, session: Changing) -> LeaseAnswer:
    """The next items, held for the caller."""
    found = site.queue.lease(session.reviewer, request.wanted(), request.count, holding=request.holding)
    return leased(found, site)


@api.post("/api/renew")
def renew(request: ItemsRequest, site: TheSite, session: Changing) -> HeldAnswer:
    """Hold items longer."""
    held = site.queue.renew(session.reviewer, request.items)
    return HeldAnswer(items=list(held), seconds=site.queue.lease_time.total_seconds())


@api.post("/api/release")
def release(request: ItemsRequest, site: TheSite, session: Changing) -> ReleaseAnswer:
    """Give items back undecided."""
    return ReleaseAnswer(released=site.queue.release(session.reviewer, request.items))


@api.post("/api/decide")
def decide(request: DecideRequest, site: TheSite, session: Changing) -> DecideAnswer:
    """Judge items alike: all of them or none."""
    decisions = site.queue.decide(
        session.reviewer, request.items, request.verdict, request.name, action_id=request.action_id
    )
    if request.name is not None:
        site.forget_names()
    answers = [DecisionAnswer.model_validate(decision, from_attributes=True) for decision in decisions]
    return DecideAnswer(decisions=answers)


@api.post("/api/snooze")
def snooze(request: SnoozeRequest, site: TheSite, session: Changing) -> SnoozeAnswer:
    """Put items away for a while."""
    length = timedelta(hours=request.hours)
    until = site.queue.snooze(session.reviewer, request.items, length, action_id=request.action_id)
    return SnoozeAnswer(until=until)


@api.post("/api/undo")
def undo(request: UndoRequest, site: TheSite, session: Changing) -> LeaseAnswer:
    """Take back the caller's last decision or snooze; its items are held for the caller again."""
    return leased(site.queue.undo(session.reviewer, request.item, action_id=request.action_id), site)


@api.get("/api/names")
def offer_names(
    site: TheSite,
    session: Signed,
    typed: Annotated[str, Query(max_length=200)] = "",
    known: bool = False,
    suggested: Annotated[tuple[Name, ...], Query(max_length=20)] = (),
) -> NamesAnswer:
    """Names that begin with what was typed, then those with a word that does, those that hold it, and those that are
    spelt nearly so; the suggested ones of an item first. ``exists`` says whether what was typed is one of them."""
    names = site.names()
    offered = complete_name(names, typed, known, suggested)
    wanted = " ".join(typed.casefold().split())
    return NamesAnswer(
        names=[OfferedName(name=choice.name, known=choice.known) for choice in offered],
        exists=any(choice.name.casefold() == wanted for choice in names),
    )


@api.get("/api/progress")
def progress(site: TheSite, session: Signed) -> ProgressAnswer:
    """Numbers for the bar at the top."""
    stats = site.stats()
    night = stats.nights[0] if stats.nights else None
    mine = next((mine.today for mine in stats.reviewers if mine.reviewer == session.reviewer), 0)
    return ProgressAnswer(
        waiting=stats.items(State.PENDING, State.LEASED),
        night=night.night if night else None,
        night_items=night.items if night else 0,
        night_judged=night.judged if night else 0,
        mine_today=mine,
    )


@api.get("/api/items/{item_id}")
def get_item(item_id: WantedItem, site: TheSite, session: Signed) -> ItemAnswer:
    """One item as it stands."""
    return item_answer(site.queue.item(item_id), site.pictures.has_frames)


@api.get("/api/items/{item_id}/events")
def get_events(item_id: WantedItem, site: TheSite, session: Signed) -> EventsAnswer:
    """All that happened to an item."""
    return EventsAnswer(events=[event_answer(event) for event in site.queue.events(item_id)])


JPEG: dict[int | str, dict[str, object]] = {200: {"content": {"image/jpeg": {}}, "description": "The picture."}}
PNG: dict[int | str, dict[str, object]] = {200: {"content": {"image/png": {}}, "description": "The picture."}}


@api.get("/items/{item_id}/crop.jpg", response_class=Response, responses=JPEG)
def crop(item_id: WantedItem, site: TheSite, session: Signed) -> Response:
    """The object and its surroundings, as stored with the item."""
    return Response(site.pictures.crop(item_id), media_type="image/jpeg", headers=_KEPT)


@api.get("/items/{item_id}/mask.png", response_class=Response, responses=PNG)
def mask(item_id: WantedItem, site: TheSite, session: Signed) -> Response:
    """The mask, to lay over the crop."""
    return Response(site.pictures.mask(item_id), media_type="image/png", headers=_KEPT)


@api.get("/items/{item_id}/outline.png", response_class=Response, responses=PNG)
def outline(item_id: WantedItem, site: TheSite, session: Signed) -> Response:
    """The mask, to lay over the whole frame."""
    return Response(site.pictures.outline(item_id), media_type="image/png", headers=_KEPT)


@api.get("/items/{item_id}/frame.jpg", response_class=Response, responses=JPEG)
async def frame(item_id: WantedItem, site: TheSite, session: Signed) -> Response:
    """The whole frame, as long as the archive has it."""
    return await of_the_archive(site, partial(site.pictures.frame, item_id))


@api.get("/items/{item_id}/track/{number}.jpg", response_class=Response, responses=JPEG)
async def track_frame(
    item_id: WantedItem, number: Annotated[int, Path(ge=0, le=10_000)], site: TheSite, session: Signed
) -> Response:
    """The object on another frame of its track, as long as the archive has it."""
    return await of_the_archive(site, partial(site.pictures.track_frame, item_id, number))


@api.get("/healthz")
def healthy(site: TheSite) -> dict[str, str]:
    """Whether the database answers; for monitors, without signing in."""
    site.stats()
    return {"status": "ok", "time": datetime.now(UTC).isoformat()}


async def of_the_archive(site: Site, make: Callable[[], bytes]) -> Response:
    """A picture that is read from the archive, or the reason why it cannot be read."""
    try:
        picture = await to_thread.run_sync(make, limiter=site.archive_threads)
    except FrameGoneError as error:
        return JSONResponse({"message": str(error)}, 404)
    return Response(picture, media_type="image/jpeg", headers=_KEPT)


def leased(found: tuple[QueuedItem, ...], site: TheSite) -> LeaseAnswer:
    """Items for the page."""
    answers = [item_answer(queued, site.pictures.has_frames) for queued in found]
    return LeaseAnswer(items=answers, seconds=site.queue.lease_time.total_seconds())
