"""The application: queue and pictures in, ASGI out."""

import logging
import secrets
from collections.abc import Collection

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException as StarletteHTTPException

from review.errors import ConflictError, ReviewError, UnavailableError, UnknownItemError
from review.finds import FindSource
from review.names import local_user
from review.pictures import FrameSource, Pictures
from review.queue import Queue
from review.reviewers import list_reviewers
from review.web.api import api
from review.web.finds_api import finds as finds_api
from review.web.judging_api import judging
from review.web.limits import Guard
from review.web.map_api import map_api
from review.web.pages import pages, render, set_cookie, sign_in_address
from review.web.sessions import Sessions
from review.web.site import FOLDER, ForgedError, SignInNeededError, Site

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

logger = logging.getLogger("clipomaly.review")


def create_app(
    queue: Queue,
    frames: FrameSource | None = None,
    *,
    finds: FindSource | None = None,
    secret: str | None = None,
    https: bool = False,
    hosts: Collection[str] | None = None,
) -> FastAPI:
    """The review page over a queue.

    If the queue has reviewers, everybody signs in. If not, everybody who reaches the page acts as the user who runs it,
    and it answers to ``hosts`` only (loopback names unless told otherwise). ``frames`` reads whole frames; without it
    the page shows the stored crops and says so. ``finds`` searches the tables. ``secret`` signs the
    sessions: give one to keep people signed in over restarts or across several servers. ``https`` marks cookies for
    TLS only.
    """
    open_to = None if list_reviewers(queue) else local_user()
    sessions = Sessions(queue, secret or secrets.token_urlsafe(32), open_to)
    app = FastAPI(
        title="Clipomaly review",
        description="Leases, decisions and pictures of the review queue.",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.site = Site(queue, Pictures(queue, frames), sessions, https, finds)
    app.include_router(api)
    app.include_router(judging)
    app.include_router(finds_api)
    app.include_router(map_api)
    app.include_router(pages)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
    app.add_middleware(Guard, hosts=hosts or (LOOPBACK_NAMES if open_to else None), https=https)
    app.add_exception_handler(ReviewError, _review_error)
    app.add_exception_handler(SignInNeededError, _sign_in_needed)
    app.add_exception_handler(ForgedError, _forged)
    app.add_exception_handler(RequestValidationError, _not_as_described)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(Exception, _unforeseen)
    return app


def _answer(request: Request, status: int, message: str) -> Response:
    """An error in words: a page for people who follow a link, JSON for our own scripts."""
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        return render(request, request.app.state.site, "error.html", None, status, message=message)
    return JSONResponse({"message": message}, status)


def _review_error(request: Request, error: Exception) -> Response:
    match error:
        case UnknownItemError():
            status = 404
        case ConflictError():
            status = 409
        case UnavailableError():
            status = 503
        case _:
            status = 400
    return _answer(request, status, str(error))


def _sign_in_needed(request: Request, _: Exception) -> Response:
    site: Site = request.app.state.site
    wants_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if site.sessions.open_to is not None and wants_page:
        answer = RedirectResponse(request.url.path + (f"?{request.url.query}" if request.url.query else ""), 303)
        set_cookie(answer, site, site.sessions.new())
        return answer
    if wants_page:
        return RedirectResponse(sign_in_address(request), 303)
    return JSONResponse({"message": "Your session has ended. Sign in again; nothing is lost."}, 401)


def _forged(request: Request, _: Exception) -> Response:
    return _answer(request, 403, "This did not come from a page of this server. Reload the page and try again.")


def _not_as_described(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if request.url.path.startswith("/items/"):
        return _answer(request, 404, "The queue has no such item.")
    wrong = "; ".join(
        f"{'.'.join(map(str, problem['loc'][1:])) or 'body'}: {problem['msg']}" for problem in error.errors()[:3]
    )
    return _answer(request, 422, f"The request is not as described ({wrong}).")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException | HTTPException)
    message = "This page does not exist." if error.status_code == 404 else f"{error.detail}."
    answer = _answer(request, error.status_code, message)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _unforeseen(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(request, 500, "Something failed on the server; its log says what. None of your decisions was lost.")
