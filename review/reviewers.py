"""Reviewers and their tokens. Only a salted scrypt hash of a token is stored."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from review.changes import insert_into
from review.database import database_time
from review.errors import BadInputError, ConflictError
from review.names import check_reviewer
from review.queue import Queue
from review.tables import ended_sessions as ended
from review.tables import reviewers

# 16 MiB and about 50 ms a try.
_COST, _BLOCK, _LANES = 2**14, 8, 1
_LONGEST_TOKEN = 200


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person who may sign in. ``credential`` changes whenever the token does."""

    name: str
    created_at: datetime
    credential: str


def add_reviewer(queue: Queue, name: str) -> str:
    """Add a reviewer; returns the token for signing in, which is shown only here. Raises ConflictError if the name
    exists; names that differ only in case count as the same.
    """
    check_reviewer(name)
    if name.casefold() in (reviewer.name.casefold() for reviewer in list_reviewers(queue)):
        raise ConflictError(f"There is a reviewer {name} already. Remove them first to give a new token.")
    token = secrets.token_urlsafe(24)
    row = {"name": name, "token_hash": _hash(token, secrets.token_bytes(16)), "created_at": datetime.now(UTC)}
    try:
        queue.database.write(lambda connection: connection.execute(insert(reviewers), row))
    except IntegrityError as error:
        raise ConflictError(f"There is a reviewer {name} already.") from error
    return token


def remove_reviewer(queue: Queue, name: str) -> None:
    """Remove a reviewer: their sessions end, their decisions stay. Raises BadInputError."""
    statement = delete(reviewers).where(reviewers.c.name == name)
    if not queue.database.write(lambda connection: connection.execute(statement).rowcount):
        raise BadInputError(f"There is no reviewer {name[:64]!r}.")
    queue.release(name)


def list_reviewers(queue: Queue) -> tuple[Reviewer, ...]:
    """Who may sign in, by name."""
    query = select(reviewers).order_by(reviewers.c.name)
    rows = queue.database.read(lambda connection: connection.execute(query).mappings().all())
    return tuple(Reviewer(row["name"], row["created_at"], _fingerprint(row["token_hash"])) for row in rows)


def check_token(queue: Queue, name: str, token: str) -> Reviewer | None:
    """The reviewer, if name and token belong together. It takes the same time if the name does not exist."""
    query = select(reviewers).where(reviewers.c.name == name)
    row = queue.database.read(lambda connection: connection.execute(query).mappings().first())
    kept = row["token_hash"] if row else _NOBODY
    salt = base64.b64decode(kept.split("$")[1])
    matches = hmac.compare_digest(kept, _hash(token[:_LONGEST_TOKEN], salt))
    return Reviewer(row["name"], row["created_at"], _fingerprint(kept)) if row and matches else None


# Belongs to no token; comparing with it costs as much as with a real one.
_NOBODY = (
    f"scrypt-{_COST}-{_BLOCK}-{_LANES}${base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(32)).decode()}"
)


def end_session(queue: Queue, session: str) -> None:
    """Record that a session was signed out; ``session`` is a hash of up to 64 characters."""

    def work(connection: Connection) -> None:
        row = {"session": session, "ended_at": database_time(connection)}
        connection.execute(insert_into(connection, ended).values(row).on_conflict_do_nothing())

    queue.database.write(work)


def ended_sessions(queue: Queue, since: timedelta) -> frozenset[str]:
    """The sessions that were signed out in the time before now; older ones ended with their cookies."""

    def work(connection: Connection) -> frozenset[str]:
        recent = ended.c.ended_at > database_time(connection) - since
        return frozenset(connection.scalars(select(ended.c.session).where(recent)))

    return queue.database.read(work)


def _hash(token: str, salt: bytes) -> str:
    digest = hashlib.scrypt(token.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
    return f"scrypt-{_COST}-{_BLOCK}-{_LANES}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _fingerprint(token_hash: str) -> str:
    return hashlib.sha256(token_hash.encode()).hexdigest()[:16]
