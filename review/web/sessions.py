"""Sessions: signed cookies, and the token that every change must carry."""

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer

from review.queue import Queue
from review.reviewers import Reviewer, end_session, ended_sessions, list_reviewers

COOKIE = "clipomaly_session"
LIFETIME = 12 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Session:
    """``reviewer`` is empty before signing in. ``csrf`` is known to our own pages only."""

    reviewer: str
    credential: str
    csrf: str

    def allows(self, token: str) -> bool:
        """Whether a change that carries ``token`` comes from a page of ours."""
        return hmac.compare_digest(self.csrf.encode(), token.encode())


class Sessions:
    """Makes and checks session cookies. ``secret`` signs them; sessions end when it changes.

    If ``open_to`` is a name, there is no sign-in, and everybody acts under this name.
    """

    def __init__(self, queue: Queue, secret: str, open_to: str | None) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="clipomaly review session")
        self._queue = queue
        self._reviewers: dict[str, Reviewer] = {}
        self._ended: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._lock = threading.Lock()
        self.open_to = open_to

    def new(self, reviewer: Reviewer | None = None) -> Session:
        """A session of a reviewer, or of somebody who has yet to sign in."""
        name = reviewer.name if reviewer else self.open_to or ""
        return Session(name, reviewer.credential if reviewer else "", secrets.token_urlsafe(24))

    def dump(self, session: Session) -> str:
        """The value of the cookie."""
        return str(self._serializer.dumps([session.reviewer, session.credential, session.csrf]))

    def load(self, cookie: str | None) -> Session | None:
        """The session of a cookie that is ours, not too old, and whose reviewer may still sign in."""
        if not cookie:
            return None
        try:
            kept = self._serializer.loads(cookie, max_age=LIFETIME)
        except BadSignature:
            return None
        session = Session(*kept)
        if session.reviewer and session.reviewer != self.open_to:
            reviewer = self._current().get(session.reviewer)
            if _key(session) in self._ended:
                return None
            if reviewer is None or reviewer.credential != session.credential:
                return None
        return session

    def _current(self) -> dict[str, Reviewer]:
        with self._lock:
            if time.monotonic() - self._read_at > 5:
                self._reviewers = {reviewer.name: reviewer for reviewer in list_reviewers(self._queue)}
                self._ended = ended_sessions(self._queue, timedelta(seconds=LIFETIME))
                self._read_at = time.monotonic()
            return self._reviewers

    def end(self, session: Session) -> None:
        """End this session: its cookie becomes invalid on every server of this queue."""
        end_session(self._queue, _key(session))
        self.forget()

    def forget(self) -> None:
        """Read the reviewers afresh: somebody signed in who may be new."""
        with self._lock:
            self._read_at = float("-inf")


def _key(session: Session) -> str:
    """What the queue stores of a session: enough to recognise it, but not enough to make its cookie."""
    return hashlib.sha256(session.csrf.encode()).hexdigest()
