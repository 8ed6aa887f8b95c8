"""The pages, rendered on the server."""

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from review.changes import MOST_AT_ONCE
from review.reviewers import check_token
from review.web.messages import FilterChoice, ItemId
from review.web.sessions import COOKIE, LIFETIME, Session
from review.web.site import ForgedError, Signed, Site, TheSite

pages = APIRouter(include_in_schema=False)


@pages.get("/")
def review(request: Request, site: TheSite, session: Signed) -> Response:
    """One item after the other."""
    return _list_page("review.html", request, site, session)


@pages.get("/grid")
def grid(request: Request, site: TheSite, session: Signed, chosen: bool = False) -> Response:
    """Look-alikes side by side; without a choice, the groups there are. What was ``chosen`` on the map, the page knows
    by itself."""
    return _list_page("grid.html", request, site, session, chosen=chosen)


@pages.get("/map")
def finds_map(request: Request, site: TheSite, session: Signed) -> Response:
    """The map of finds."""
    return render(request, site, "map.html", session, most=MOST_AT_ONCE)


@pages.get("/progress")
def progress(request: Request, site: TheSite, session: Signed) -> Response:
    """The numbers."""
    stats, agreement, audit = site.stats(), site.agreement(), site.audit()
    return render(request, site, "progress.html", session, stats=stats, agreement=agreement, audit=audit)


@pages.get("/items/{item_id}")
def item(
    item_id: Annotated[ItemId, Path()], request: Request, site: TheSite, session: Signed, everything: bool = False
) -> Response:
    """One item with its history; who held it when is left out unless ``everything`` is asked for."""
    queued = site.queue.item(item_id)
    events = site.queue.events(item_id)
    told = [event for event in events if everything or not event.kind.is_of_leases]
    left_out = len(events) - len(told)
    return render(request, site, "item.html", session, queued=queued, events=told[::-1], left_out=left_out)


@pages.get("/mine")
def mine(request: Request, site: TheSite, session: Signed) -> Response:
    """What the reviewer decided last, to take back several at once."""
    return render(request, site, "mine.html", session, decided=site.queue.recent(session.reviewer))


@pages.get("/second")
def second(request: Request, site: TheSite, session: Signed) -> Response:
    """Second opinions to give, and what reviewers disagree on."""
    found = site.queue.disagreements()
    return render(request, site, "second.html", session, disagreements=found, agreement=site.queue.agreement())


@pages.get("/sign-in")
def sign_in_form(request: Request, site: TheSite, next: str = "/") -> Response:
    """The form."""
    session = site.sessions.load(request.cookies.get(COOKIE))
    if session is not None and session.reviewer:
        return RedirectResponse(_here(next), 303)
    return _sign_in_page(request, site, next)


@pages.post("/sign-in")
def sign_in(
    request: Request,
    site: TheSite,
    name: Annotated[str, Form(max_length=200)] = "",
    token: Annotated[str, Form(max_length=500)] = "",
    csrf: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Check name and token."""
    before = site.sessions.load(request.cookies.get(COOKIE))
    if before is None or not before.allows(csrf):
        return _sign_in_page(request, site, next, "This page was open for too long. Try once more.", 403)
    address = request.client.host if request.client else ""
    guessing_at = f"{address} {name.casefold()}"
    wait = site.address_limit.take(address) or site.name_limit.take(guessing_at)
    if wait:
        message = f"Too many tries. Wait {wait} seconds, then try again."
        page = _sign_in_page(request, site, next, message, 429)
        page.headers["Retry-After"] = str(wait)
        return page
    with site.hashing:
        reviewer = check_token(site.queue, name.strip(), token.strip())
    if reviewer is None:
        message = "This name and token do not belong together. Check both, or ask for a new token."
        return _sign_in_page(request, site, next, message, 401)
    site.name_limit.forget(guessing_at)
    site.sessions.forget()
    answer = RedirectResponse(_here(next), 303)
    set_cookie(answer, site, site.sessions.new(reviewer))
    return answer


@pages.post("/sign-out")
def sign_out(site: TheSite, session: Signed, csrf: Annotated[str, Form(max_length=200)] = "") -> Response:
    """End the session of this browser, here and wherever its cookie was copied to."""
    if not session.allows(csrf):
        raise ForgedError
    site.sessions.end(session)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _list_page(template: str, request: Request, site: Site, session: Session, *, chosen: bool = False) -> Response:
    asked = {key: value for key, value in request.query_params.items() if key in FilterChoice.model_fields}
    problem = None
    try:
        choice = FilterChoice.model_validate(asked)
    except ValidationError as error:
        choice = FilterChoice()
        wrong = ", ".join(sorted({str(problem["loc"][0]).replace("_", " ") for problem in error.errors()}))
        problem = f"The filter cannot be used ({wrong}). Everything is shown."
    filters = choice.model_dump(mode="json", exclude_none=True)
    clusters = site.queue.clusters(choice.filters()) if template == "grid.html" and not chosen else ()
    return render(
        request,
        site,
        template,
        session,
        400 if problem else 200,
        filters=filters,
        chosen=chosen,
        problem=problem,
        stats=site.stats(),
        clusters=clusters,
    )


def _sign_in_page(request: Request, site: Site, next: str, problem: str | None = None, status: int = 200) -> Response:
    session = site.sessions.load(request.cookies.get(COOKIE)) or site.sessions.new()
    answer = render(request, site, "sign_in.html", session, status, problem=problem, next=_here(next))
    set_cookie(answer, site, session)
    return answer


def render(
    request: Request, site: Site, template: str, session: Session | None, status: int = 200, **values: Any
) -> Response:
    """A page. Jinja escapes whatever people typed."""
    context = {"session": session, "open": site.sessions.open_to is not None, "finds": site.finds is not None} | values
    return site.templates.TemplateResponse(request, template, context, status_code=status)


def set_cookie(answer: Response, site: Site, session: Session) -> None:
    """Scripts cannot read it, other sites cannot send it along with a change."""
    value = site.sessions.dump(session)
    answer.set_cookie(COOKIE, value, LIFETIME, httponly=True, samesite="lax", secure=site.https)


def sign_in_address(request: Request) -> str:
    """Where to sign in, and then come back here."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/sign-in?next={quote(here)}"


def _here(address: str) -> str:
    """An address on this server: never another's, whatever the link said."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if inside and address.isprintable() and "\\" not in address else "/"
