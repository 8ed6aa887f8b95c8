"""Finding more like an item, or by words, over all tables; what is found becomes items or a group."""

import secrets
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from review.errors import BadInputError, UnknownItemError
from review.finds import Find, FindsGoneError, FindSource
from review.web.api import ERRORS, JPEG, of_the_archive
from review.web.messages import FindsAnswer, FindsRequest, ItemId
from review.web.pages import render
from review.web.site import Changing, Signed, Site, TheSite

finds = APIRouter(responses=ERRORS)

_SHOWN = 48
_LONGEST_TEXT = 200


@finds.get("/finds", include_in_schema=False)
async def finds_page(
    request: Request,
    site: TheSite,
    session: Signed,
    like: Annotated[ItemId | None, Query()] = None,
    text: Annotated[str, Query(max_length=_LONGEST_TEXT)] = "",
) -> Response:
    """The form, and what was found."""
    found: list[tuple[Find, str]] = []
    problem = None
    words = " ".join(text.replace("\0", " ").split())
    if like or words:
        try:
            found = await to_thread.run_sync(partial(_find, site, like, words), limiter=site.archive_threads)
        except (FindsGoneError, UnknownItemError) as error:
            problem = str(error)
    status = 200 if problem is None else 404
    return await to_thread.run_sync(
        partial(
            render, request, site, "finds.html", session, status, found=found, like=like, text=words, problem=problem
        )
    )


@finds.get("/finds/{instance_id}/crop.jpg", response_class=Response, responses=JPEG)
async def find_picture(instance_id: Annotated[ItemId, Path()], site: TheSite, session: Signed) -> Response:
    """The object of a find, as long as the archive has it."""
    return await of_the_archive(site, partial(_source(site).picture, instance_id))


@finds.post("/api/finds")
def take_finds(request: FindsRequest, site: TheSite, session: Changing) -> FindsAnswer:
    """Put finds into the queue; together under a group where one is asked for."""
    known = {find.item_id: find for find in site.found()}
    chosen = [known[item_id] for item_id in request.items if item_id in known]
    if len(chosen) < len(set(request.items)):
        raise BadInputError("Search again: some of these results have expired.")
    cluster = f"alike-{secrets.token_hex(6)}" if request.group else None
    try:
        made = _source(site).items(chosen, cluster)
    except FindsGoneError as error:
        raise BadInputError(str(error)) from error
    done = site.queue.enqueue(made, actor=session.reviewer)
    return FindsAnswer(added=done.added, there=done.unchanged, lost=len(chosen) - len(made), cluster=cluster)


def _find(site: Site, like: str | None, text: str) -> list[tuple[Find, str]]:
    source = _source(site)
    found = source.like(site.queue.item(like).item, _SHOWN) if like else source.search(text, _SHOWN)
    site.remember(found)
    return [(find, _standing(site, find.item_id)) for find in found]


def _standing(site: Site, item_id: str) -> str:
    """Where a find stands in the queue, in a word; empty where it is not there."""
    try:
        status = site.queue.item(item_id).status
    except UnknownItemError:
        return ""
    return status.name or (status.verdict.value if status.verdict else "in the queue")


def _source(site: Site) -> FindSource:
    if site.finds is None:
        raise UnknownItemError("This page was started without tables. Start it with --tables to search them.")
    return site.finds
