"""Report the progress of a night to Prefect. It never disturbs the night: what cannot be sent now is sent later."""

import logging
from collections.abc import Iterable
from contextvars import copy_context
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.logs import one_line
from flows.night import Night, Summary
from flows.parameters import ScanParameters
from flows.report import link_to
from flows.whole_night import Told
from schemas.records import Outcome
from schemas.safe_text import masked
from tasks.scanning.status import scan_status
from tasks.tables import Tables

log = logging.getLogger("clipomaly.night")

_EVERY_SECONDS = 1.0
_AGAIN_SECONDS = 10.0  # after a failure
_PATIENCE_SECONDS = 60.0  # at the end, for a server that is away


class ProgressArtifact:
    """Prefect's progress artifact of a flow run, updated by a thread of its own, so that only this thread waits for a
    server that does not answer."""

    def __init__(self, description: str) -> None:
        self._description = masked(description)
        self._percent = 0.0
        self._shown = -1.0
        self._changed, self._ended = Event(), Event()
        self._changed.set()
        # It makes its calls for the flow run that this is made in.
        self._thread = Thread(target=copy_context().run, args=(self._keep,), name="progress-artifact", daemon=True)
        self._thread.start()

    def update(self, percent: float) -> None:
        """Show this value soon. Returns at once."""
        self._percent = percent
        self._changed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until the last value is shown, or until the server has not answered for too long."""
        self._ended.set()
        self._changed.set()
        self._thread.join(_PATIENCE_SECONDS)

    @property
    def shown(self) -> bool:
        """Whether the server got the last value; valid after the end."""
        return self._shown == self._percent

    def _keep(self) -> None:
        artifact: UUID | None = None
        away = False
        give_up: float | None = None
        while not (self._ended.is_set() and self.shown):
            self._changed.wait()
            self._changed.clear()
            percent = self._percent
            try:
                if artifact is None:
                    made = create_progress_artifact(percent, key="scan-progress", description=self._description)
                    assert isinstance(made, UUID)  # a coroutine only where a flow is asynchronous
                    artifact = made
                else:
                    update_progress_artifact(artifact, progress=percent)
                self._shown = percent
                if away:
                    log.info("the Prefect server is back")
                away = False
                self._ended.wait(_EVERY_SECONDS)
            except Exception as error:
                if not away:
                    log.warning(
                        "the progress of the scan cannot be sent to the Prefect server (%s); the scan continues",
                        one_line(error),
                    )
                away = True
                if self._ended.is_set():
                    give_up = give_up or monotonic() + _PATIENCE_SECONDS
                    if monotonic() > give_up:
                        return
                self._changed.set()
                self._ended.wait(_AGAIN_SECONDS) if not self._ended.is_set() else Event().wait(1)


def tell_night(parameters: ScanParameters, night: Night, summary: Summary, told: Told) -> None:
    """Leave counts, names, failures and the report's gist and link as artifacts of the flow run."""
    try:
        _write_tables(parameters, night, summary)
        if told.report and told.gist:
            create_link_artifact(link_to(told.report), link_text=f"Report of {parameters.tables}", key="scan-report")
            create_markdown_artifact(told.gist, key="scan-night", description=f"Report of {parameters.tables}")
    except Exception as error:  # the night is done anyway
        log.warning("the result of the night cannot be sent to the Prefect server: %s", one_line(error))


def _write_tables(parameters: ScanParameters, night: Night, summary: Summary) -> None:
    status = scan_status(Tables.at(parameters.tables), night.record)
    description = masked(f"Scan {summary.scan_id} of {parameters.archive}")
    counts = {
        "sources listed": summary.sources,
        "already scanned": summary.already_done,
        **{outcome.value: count for outcome, count in sorted(summary.outcomes.items())},
        "shards lost": len(summary.lost),
        "frames": summary.frames,
        "instances": summary.instances,
        **{f"shards {outcome.value}": status.shards[outcome] for outcome in Outcome},
        "shards left": len(status.left),
        "seconds reading": round(status.seconds.reading, 1),
        "seconds inferring": round(status.seconds.inferring, 1),
        "seconds writing": round(status.seconds.writing, 1),
        "frames a second of a worker": round(status.frames_per_second or 0, 2),
    }
    _table("scan-counts", description, ("what", "count"), counts.items())
    _table("scan-names", f"{description}: names", ("name", "instances"), summary.names.most_common())
    troubles = [(source.uri, source.outcome.value, masked(source.error or "")) for source in summary.troubles]
    lost = [(loss.what, "lost", loss.reason) for loss in summary.lost.values()]
    _table("scan-failures", f"{description}: failures", ("source", "outcome", "error"), [*troubles, *lost])


def _table(key: str, description: str, header: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    create_table_artifact([dict(zip(header, row, strict=True)) for row in rows], key, description)
