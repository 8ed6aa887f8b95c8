"""Shared by pages and API: the site, and the dependencies that check a request."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from anyio import CapacityLimiter
from fastapi import Depends, Header, Request
from fastapi.templating import Jinja2Templates

from review.audit import Audit
from review.finds import Find, FindSource
from review.names import KnownName
from review.opinions import Agreement
from review.pictures import Pictures
from review.queue import Queue
from review.statistics import Stats
from review.web.limits import SignInLimit
from review.web.sessions import COOKIE, Session, Sessions

FOLDER = Path(__file__).parent
Value = TypeVar("Value")
_ARCHIVE_READERS = 4
_MOST_FOUND = 5_000
_RECENT, _OLDEST = 3.0, 15.0  # seconds


class SignInNeededError(Exception):
    """The request has no valid session."""


class ForgedError(Exception):
    """The request lacks the token of our own pages."""


class Recent(Generic[Value]):
    """A value that is computed again every few seconds, less often if that takes long. While one thread computes it,
    the others use the previous value.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = 0
        self._kept: tuple[Value, float, int] | None = None  # the value, until when, after how many changes

    def forget(self) -> None:
        """The next call computes it again."""
        self._changes += 1

    def get(self, find: Callable[[], Value]) -> Value:
        """The current value, or that of a moment ago."""
        kept = self._usable()
        if kept is not None and (time.monotonic() < kept[1] or not self._lock.acquire(blocking=False)):
            return kept[0]
        if kept is None:
            self._lock.acquire()
        try:
            kept = self._usable()
            if kept is not None and time.monotonic() < kept[1]:
                return kept[0]
            start, changes = time.monotonic(), self._changes
            value = find()
            took = time.monotonic() - start
            self._kept = (value, start + took + min(max(_RECENT, 20 * took), _OLDEST), changes)
            return value
        finally:
            self._lock.release()

    def _usable(self) -> tuple[Value, float, int] | None:
        kept = self._kept
        return kept if kept is not None and kept[2] == self._changes else None


@dataclass(slots=True)
class Site:
    """One running page over one queue. ``https`` when a proxy before it speaks TLS."""

    queue: Queue
    pictures: Pictures
    sessions: Sessions
    https: bool
    finds: FindSource | None = None
    # Many people may share one address, so the limit for an address is higher than that for a name.
    address_limit: SignInLimit = field(default_factory=lambda: SignInLimit(tries=30))
    name_limit: SignInLimit = field(default_factory=lambda: SignInLimit(tries=5))
    # A slow archive must not use the threads that decisions need.
    archive_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_ARCHIVE_READERS))
    hashing: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(2))
    templates: Jinja2Templates = field(default_factory=lambda: Jinja2Templates(FOLDER / "templates"))
    _stats: "Recent[Stats]" = field(default_factory=lambda: Recent())
    _found: "OrderedDict[str, Find]" = field(default_factory=OrderedDict)
    _found_lock: threading.Lock = field(default_factory=threading.Lock)
    _agreement: "Recent[Agreement]" = field(default_factory=lambda: Recent())
    _audit: "Recent[Audit]" = field(default_factory=lambda: Recent())
    _names: "Recent[tuple[KnownName, ...]]" = field(default_factory=lambda: Recent())
    _map: "Recent[bytes]" = field(default_factory=lambda: Recent())

    def stats(self) -> Stats:
        """The numbers of the queue, a few seconds old: all reviewers ask for them all the time."""
        return self._stats.get(self.queue.stats)

    def remember(self, found: Sequence[Find]) -> None:
        """Remember finds, because the page asks for them by id a moment later."""
        with self._found_lock:
            for find in found:
                self._found[find.item_id] = find
                self._found.move_to_end(find.item_id)
            while len(self._found) > _MOST_FOUND:
                self._found.popitem(last=False)

    def found(self) -> tuple[Find, ...]:
        """The latest finds."""
        with self._found_lock:
            return tuple(self._found.values())

    def agreement(self) -> Agreement:
        """How well reviewers agree, a few seconds old."""
        return self._agreement.get(self.queue.agreement)

    def audit(self) -> Audit:
        """The audit of names, a few seconds old."""
        return self._audit.get(self.queue.audit)

    def finds_map(self, find: Callable[[], bytes]) -> bytes:
        """The map of finds as it is sent, a few seconds old."""
        return self._map.get(find)

    def names(self) -> tuple[KnownName, ...]:
        """The vocabulary, a few seconds old."""
        return self._names.get(self.queue.vocabulary)

    def forget_names(self) -> None:
        """A new name was typed: offer it from now on."""
        self._names.forget()


def get_site(request: Request) -> Site:
    """The site of the app."""
    site: Site = request.app.state.site
    return site


def get_session(request: Request, site: Annotated[Site, Depends(get_site)]) -> Session:
    """The session of a reviewer. Raises SignInNeededError."""
    session = site.sessions.load(request.cookies.get(COOKIE))
    if session is None or not session.reviewer:
        raise SignInNeededError
    return session


def get_changing_session(
    session: Annotated[Session, Depends(get_session)],
    x_csrf_token: Annotated[str, Header(max_length=200)],
) -> Session:
    """The session of a reviewer, for a request that one of our own pages made. Also raises ForgedError."""
    if not session.allows(x_csrf_token):
        raise ForgedError
    return session


TheSite = Annotated[Site, Depends(get_site)]
Signed = Annotated[Session, Depends(get_session)]
Changing = Annotated[Session, Depends(get_changing_session)]
