"""A copy of a queue that is in use."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from review.errors import BadInputError, ReviewError
from review.queue import Queue


def back_up(queue: Queue, file: Path) -> int:
    """Copy an SQLite queue into a new file by SQLite's online backup; how many items the copy has.

    Reviewers are not held up for long, and the copy has everything that was confirmed before the call.

    Raises BadInputError where there is a file already, it cannot be written, or the queue is not SQLite's.
    """
    database = queue.database
    if not database.is_sqlite:
        shown = database.url.set(drivername="postgresql", password=None).render_as_string()
        raise BadInputError(
            f"This queue is in PostgreSQL, whose own tool makes its copies: pg_dump --format=custom --file={file} "
            f"'{shown}'. Restore with pg_restore."
        )
    try:
        # Only the owner may read it, as with the queue's own secrets: hashes of tokens are in it.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError as error:
        raise BadInputError(f"{file} is there already. Name a new file.") from error
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error.strerror}.") from error
    try:
        with closing(sqlite3.connect(str(database.url.database))) as source, closing(sqlite3.connect(file)) as copy:
            source.backup(copy, pages=1000)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, whole
            [(sound,)] = copy.execute("PRAGMA integrity_check(1)").fetchall()
            if sound != "ok":
                raise ReviewError(f"The copy {file} is damaged ({sound}), so the queue may be. Check its disk.")
            [(items,)] = copy.execute("SELECT count(*) FROM items").fetchall()
            return int(items)
    except (sqlite3.Error, ReviewError) as error:
        file.unlink(missing_ok=True)
        if isinstance(error, ReviewError):
            raise
        raise ReviewError(f"The queue cannot be copied to {file}: {error}.") from error
