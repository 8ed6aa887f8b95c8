"""One run at a time of each archive, whatever deployments and machines they come from.

The holder keeps a variable of the Prefect server and changes its value every few seconds. Whoever finds one looks
whether the value still changes: where it does not, its holder is dead. No clock is asked, and a server that was killed
and restarted meanwhile matters as little as a machine that died. (Prefect's own leases of concurrency limits live in
the server's memory: a limit that was held when the server died is never free again.)
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event, Thread

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.exceptions import ObjectAlreadyExists

from flows.engines import server_is_away
from flows.logs import one_line
from flows.parameters import ScanParameters

log = logging.getLogger("clipomaly.night")

_BEAT_SECONDS = 5.0
_DEAD_SECONDS = 30.0  # without a beat
_LOOK_SECONDS = 1.0


class Busy(Exception):
    """Another run scans this archive into these tables."""


@contextmanager
def one_at_a_time(parameters: ScanParameters) -> Iterator[None]:
    """Hold this archive and these tables at the Prefect server while others respect it.

    Two runs at once would do no harm, only the same work twice: a server that cannot be asked is no reason not to
    scan.

    Raises:
        Busy: another run holds it.
    """
    what = "\n".join((parameters.archive, parameters.tables, *parameters.prefixes))
    hold = _Hold(f"clipomaly_{hashlib.sha256(what.encode()).hexdigest()[:12]}")
    if not _asked("it is not known whether another run scans this archive", hold.take):
        raise Busy(f"another run scans {parameters.archive} into {parameters.tables}")
    ended = Event()
    beats = Thread(target=copy_context().run, args=(hold.keep, ended), name="one-at-a-time", daemon=True)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join(_BEAT_SECONDS)
        _asked("the next run waits half a minute for this one", hold.let_go)


def _asked(otherwise: str, ask: Callable[[], bool]) -> bool:
    """What the server answers; True if it cannot be reached."""
    try:
        return ask()
    except Exception as error:
        if not server_is_away(error):
            raise
        log.warning("the Prefect server cannot be reached: %s (%s)", otherwise, one_line(error))
        return True


class _Hold:
    """A variable of the server whose value is this run's for as long as it lives."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._own = uuid.uuid4().hex
        self._beat = 0

    def take(self) -> bool:
        """Whether this run holds it now: it was free, or its holder is dead."""
        with get_client(sync_client=True) as client:
            if self._create(client):
                return True
            log.info("another run of this archive was begun: looking whether it is alive")
            before = self._value(client)
            give_up = time.monotonic() + _DEAD_SECONDS
            while time.monotonic() < give_up:
                now = self._value(client)
                if now is None:
                    return self._create(client)
                if now != before:
                    return False
                time.sleep(_LOOK_SECONDS)
            client.update_variable(VariableUpdate(name=self._name, value=self._next()))
            time.sleep(_LOOK_SECONDS)  # another may take it over at this moment: the last one wins
            return self._is_own(client)

    def keep(self, ended: Event) -> None:
        """Show that this run is alive, until it has ended."""
        while not ended.wait(_BEAT_SECONDS):
            try:
                with get_client(sync_client=True) as client:
                    client.update_variable(VariableUpdate(name=self._name, value=self._next()))
            except Exception as error:  # it is tried again
                log.debug("the hold on this archive was not renewed: %s", one_line(error))

    def let_go(self) -> bool:
        with get_client(sync_client=True) as client:
            if self._is_own(client):
                client.delete_variable_by_name(self._name)
        return True

    def _create(self, client: SyncPrefectClient) -> bool:
        try:
            client.create_variable(VariableCreate(name=self._name, value=self._next()))
        except ObjectAlreadyExists:
            return False
        return True

    def _value(self, client: SyncPrefectClient) -> str | None:
        found = client.read_variable_by_name(self._name)
        return str(found.value) if found else None

    def _is_own(self, client: SyncPrefectClient) -> bool:
        return (self._value(client) or "").startswith(self._own)

    def _next(self) -> str:
        self._beat += 1
        return f"{self._own} {self._beat}"
