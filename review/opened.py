"""An open queue: its database, the length of a lease, and the clock."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Self, TypeVar

from sqlalchemy import Connection

from review.database import Database, database_time
from review.errors import BadInputError

Result = TypeVar("Result")


class OpenedQueue:
    """The base of ``Queue``."""

    def __init__(self, database: Database, lease: timedelta, clock: Callable[[], datetime] | None) -> None:
        self.database = database
        self.lease_time = lease
        self._clock = clock

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str],
        *,
        lease: timedelta = timedelta(minutes=5),
        patience: float = 15.0,
        create: bool = True,
        clock: Callable[[], datetime] | None = None,
    ) -> Self:
        """Open a queue. A queue of an older version is upgraded; with ``create``, a missing queue is created.

        ``url`` is a file (SQLite) or ``postgresql://user@host/database``. A lease lasts ``lease`` unless
        renewed; ``patience`` is for how many seconds a call waits for a database that is away. ``clock`` takes
        the place of the database's time.

        Raises BadInputError for a wrong address and ReviewError for a queue of a newer version.
        """
        if lease <= timedelta(0):
            raise BadInputError("A lease must last longer than 0 seconds.")
        return cls(Database(os.fspath(url), patience, create), lease, clock)

    def close(self) -> None:
        """Close the connections of the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, step: Callable[[Connection, datetime], Result], *, durable: bool = True) -> Result:
        """Run one step in a transaction, at the time of the database."""
        return self.database.write(lambda connection: step(connection, self._now(connection)), durable=durable)

    def _now(self, connection: Connection) -> datetime:
        return self._clock() if self._clock else database_time(connection)
