"""The database of the queue: opening, migrating, and transactions that are repeated if the database is away briefly."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from review.errors import BadInputError, ReviewError, UnavailableError

try:
    import fcntl
except ImportError:  # Windows has no such lock: SQLite's own waiting must do
    fcntl = None  # type: ignore[assignment]

Result = TypeVar("Result")

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x636C6970  # an arbitrary number that every migrating process agrees on
_BUSY_SECONDS = 5.0
_LONGEST_WAIT = 1.0

logger = logging.getLogger("clipomaly.review")


class Database:
    """One SQLite file or PostgreSQL database, migrated to this version.

    ``patience`` is how many seconds a transaction is repeated while the database is away or busy. With ``create``, a
    missing queue is created; otherwise BadInputError is raised.
    """

    def __init__(self, url: str, patience: float, create: bool = True) -> None:
        self.url = _parse(url)
        self.patience = patience
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._create = create
        if self.is_sqlite and not create and not Path(str(self.url.database)).exists():
            raise self._no_queue()
        self._engine = _engine(self.url)
        # SQLite allows one writer, and others wait by sleeping up to 100 ms at a time: beside processes that write
        # without a pause, one may wait for minutes. So writers wait at locks that wake the first that came: threads at
        # a lock of this process, processes at a lock on a file beside the queue.
        self._one_writer = threading.Lock()
        self._turnstile = Path(f"{self.url.database}-writer") if self.is_sqlite else None
        self._retrying(self._migrate)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def write(self, work: Callable[[Connection], Result], *, durable: bool = True) -> Result:
        """Run ``work`` in a transaction that may change rows.

        Without ``durable``, the transaction may not be on disk yet when this returns, which saves the wait for the
        disk. A power cut may then undo it, as a whole; nothing else does.
        It runs again when the database goes away, even where the commit may have come through: ``work``
        must be one that may be repeated. Raises UnavailableError when patience runs out.
        """

        def attempt() -> Result:
            options = {"durable": durable}
            with self._writing(), self._engine.connect().execution_options(**options) as connection, connection.begin():
                if not (durable or self.is_sqlite):
                    connection.execute(text("SET LOCAL synchronous_commit TO off"))
                return work(connection)

        return self._retrying(attempt)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run ``work`` in a transaction that changes nothing."""

        def attempt() -> Result:
            with self._engine.connect().execution_options(reads_only=True) as connection:
                return work(connection)

        return self._retrying(attempt)

    def compact(self) -> None:
        """Write an SQLite file again without what was removed, so that no byte of it stays in the file or its log."""
        if not self.is_sqlite:
            return

        def attempt() -> None:
            with self._writing(), self._engine.connect() as connection:
                driver = connection.connection.dbapi_connection
                assert driver is not None
                for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):  # outside of any transaction
                    driver.execute(statement).close()

        self._retrying(attempt)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        deadline = time.monotonic() + max(self.patience, _BUSY_SECONDS)
        if not self._one_writer.acquire(timeout=deadline - time.monotonic()):
            raise self._busy()
        try:
            with self._turn_of_process(deadline):
                yield
        finally:
            self._one_writer.release()

    @contextmanager
    def _turn_of_process(self, deadline: float) -> Iterator[None]:
        turnstile = _open_turnstile(self._turnstile) if self._turnstile else -1
        if turnstile < 0:
            yield
            return
        if not _lock_file(turnstile, deadline):
            raise self._busy()
        try:
            yield
        finally:
            os.close(turnstile)  # lets the next one write; so does being killed

    def _busy(self) -> UnavailableError:
        return UnavailableError(
            f"{self._name} is busy: another process has been changing it for more than "
            f"{max(self.patience, _BUSY_SECONDS):.0f} seconds. Nothing was changed; try again in a moment."
        )

    def _retrying(self, attempt: Callable[[], Result]) -> Result:
        deadline = time.monotonic() + self.patience
        wait = 0.05
        while True:
            try:
                return attempt()
            except (OperationalError, InterfaceError, PoolTimeoutError) as error:
                if not _passes(error):
                    raise ReviewError(f"{self._name} cannot be used: {_reason(error)}.") from error
                if time.monotonic() + wait > deadline:
                    raise UnavailableError(
                        f"{self._name} does not answer ({_reason(error)}). Nothing was changed; try again "
                        "when it is back."
                    ) from error
                logger.warning("%s: %s; trying again", self._name, _reason(error))
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except IntegrityError:
                raise  # it means something to the code that wrote the row
            except DBAPIError as error:
                raise ReviewError(f"{self._name} cannot be used: {_reason(error)}.") from error

    @property
    def _name(self) -> str:
        return f"The queue {self.url.database if self.is_sqlite else self.url.render_as_string()}"

    def _migrate(self) -> None:
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(_MIGRATIONS))
        known = {script.revision for script in scripts.walk_revisions()}
        with self._engine.connect().execution_options(reads_only=True) as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current is None:
                self._refuse_foreign(connection)
                if not self._create:
                    raise self._no_queue()
        if current == scripts.get_current_head():
            return
        with self._writing(), self._engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in known:
                raise ReviewError(
                    f"{self._name} was written by a newer version of clipomaly (schema {current}; this one "
                    f"knows up to {scripts.get_current_head()}). Install that version."
                )
            from alembic import command

            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            command.upgrade(config, "head")

    def _no_queue(self) -> BadInputError:
        place = self.url.database if self.is_sqlite else self.url.render_as_string()
        return BadInputError(f"There is no queue at {place}. Check the address, or fill it first: clipomaly mine.")

    def _refuse_foreign(self, connection: Connection) -> None:
        # A PostgreSQL database is often shared with other tables; an SQLite file with other tables is not a queue.
        if self.is_sqlite and connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar():
            raise ReviewError(f"{self._name} is an SQLite file of something else. Name another file.")


def _open_turnstile(path: Path) -> int:
    """The lock file for writers of all processes; -1 if it cannot be opened: then SQLite's own waiting must do."""
    if fcntl is None:
        return -1
    try:
        # Whoever can open it can lock it, so only the owner of the queue may open it.
        turnstile = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(turnstile).st_mode & 0o077:
            os.fchmod(turnstile, 0o600)
        return turnstile
    except OSError:  # another user's, or a file system without locks
        return -1


def _lock_file(file: int, deadline: float) -> bool:
    """Lock an open file before ``deadline``, in the order in which processes came. It is closed when that fails.

    The kernel wakes processes in order, but without a time limit: so a thread waits, and gives up at the deadline.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        pass
    except OSError:
        return True  # a file system without locks
    handing_over = threading.Lock()
    locked, given_up = threading.Event(), threading.Event()

    def wait() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        with handing_over:
            if given_up.is_set():
                os.close(file)
            else:
                locked.set()

    threading.Thread(target=wait, daemon=True).start()
    locked.wait(max(0.0, deadline - time.monotonic()))
    with handing_over:
        if not locked.is_set():
            given_up.set()
        return locked.is_set()


def database_time(connection: Connection) -> datetime:
    """Now (UTC), by the clock of the database's machine: those of its clients may differ by minutes."""
    if connection.dialect.name == "sqlite":  # a file of this machine
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def _parse(url: str) -> URL:
    if "://" not in url:
        url = f"sqlite:///{url}"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise BadInputError(f"{url!r} is no queue: give a file or postgresql://user@host/database.") from error
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise BadInputError("A queue in memory would be lost: give a file, such as queue.db.")
            if not Path(str(parsed.database)).absolute().parent.is_dir():
                raise BadInputError(f"The folder of {parsed.database} does not exist. Make it first.")
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
    raise BadInputError(f"A queue is an SQLite file or a postgresql:// address, not {parsed.get_backend_name()}://.")


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(
                url,
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=30,
                pool_timeout=10,
                connect_args={
                    "connect_timeout": 5,
                    # A host that disappears is noticed in seconds and not in hours.
                    "keepalives_idle": 5,
                    "keepalives_interval": 2,
                    "keepalives_count": 3,
                    "tcp_user_timeout": 10_000,
                },
            )
        except ModuleNotFoundError as error:
            raise ReviewError("PostgreSQL needs its driver: pip install 'clipomaly[postgres]'.") from error
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=30,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # _begin_sqlite begins the transactions
    for pragma in (
        "journal_mode=WAL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "mmap_size=268435456",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("reads_only"):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable', True) else 'NORMAL'}")
    # A transaction that reads first and writes later would fail if another one wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(cause).strip().split("\n")[0].rstrip(".") or type(cause).__name__


def _passes(error: Exception) -> bool:
    """Whether it may help to try again."""
    reason = _reason(error)
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        return "locked" in reason or "busy" in reason
    return not any(final in reason for final in ("authentication failed", "does not exist", "no password"))
