"""Requests that the server refuses before any other code sees them."""

import asyncio
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64 * 1024
BODY_SECONDS = 30.0
_MOST_KEYS = 10_000

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """Refuses large bodies and foreign host names, and adds the security headers to every answer.

    ``hosts`` are the names the server answers to (None: any). Without reviewers, only the loopback address protects the
    queue. A foreign web page could reach it by a host name that points to loopback, so such names are refused. Requests
    that a proxy passed on are refused too.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, https: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = _HEADERS | ({"Strict-Transport-Security": "max-age=31536000"} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                ours = scope["path"].startswith("/static/")
                headers.setdefault("Cache-Control", "no-cache" if ours else "no-store")
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_body(receive)
        except TimeoutError:
            slow = JSONResponse({"message": "The request took too long to arrive."}, 408, {"Connection": "close"})
            await slow(scope, receive, send_guarded)
            return
        if body is None:
            await _too_large()(scope, receive, send_guarded)
            return
        await self._app(scope, _replay(body, receive), send_guarded)

    def _refusal(self, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._hosts is not None and name.lower() not in self._hosts:
            message = "This server answers to localhost only. Open it under the address it printed."
            return JSONResponse({"message": message}, 421)
        if self._hosts is not None and any(header in headers for header in _FORWARDED):
            message = "Others reach this page by a proxy, and nobody signs in. Create reviewers, then start it again."
            return JSONResponse({"message": message}, 421)
        length = headers.get("content-length", "0")
        return _too_large() if length.isdigit() and int(length) > LARGEST_BODY else None


def _too_large() -> JSONResponse:
    return JSONResponse({"message": f"A request may have {LARGEST_BODY // 1024} KiB at most."}, 413)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, or None when it grows too large; its stated length may be a lie or missing."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


class SignInLimit:
    """At most ``tries`` of one key in ``seconds``."""

    def __init__(self, tries: int, seconds: float = 60, clock: Callable[[], float] = time.monotonic) -> None:
        self._tries = tries
        self._seconds = seconds
        self._clock = clock
        self._tried: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> int:
        """Count a try: 0 when it may go on, else the seconds to wait."""
        now = self._clock()
        with self._lock:
            tried = self._tried.setdefault(key, deque())
            self._tried.move_to_end(key)
            while tried and tried[0] <= now - self._seconds:
                tried.popleft()
            if len(tried) >= self._tries:
                return math.ceil(tried[0] + self._seconds - now)
            tried.append(now)
            while len(self._tried) > _MOST_KEYS:
                self._tried.popitem(last=False)
        return 0

    def forget(self, key: str) -> None:
        """The try succeeded: earlier ones no longer count."""
        with self._lock:
            self._tried.pop(key, None)
