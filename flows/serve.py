"""The nightly scan on a schedule, on one machine: registers a deployment and runs it when it is due."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from tempfile import TemporaryDirectory
from typing import Any

from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron, Schedule
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.metrics import serve_metrics
from flows.nightly_scan import nightly_scan
from flows.parameters import ScanParameters, keep_private
from flows.server import prefect_server
from tasks.errors import UsageError

_PATIENCE = 30
"""Seconds in which an interrupted server has to end."""


def serve_scan(
    parameters: ScanParameters, name: str, cron: str, timezone: str, metrics_port: int | None = None
) -> None:
    """Register ``nightly-scan/<name>`` and run it when it is due, one night at a time, until this process ends. It uses
    the configured Prefect server, or else starts one for the life of this process.

    Args:
        parameters: those of the scan; the Prefect page offers them for runs by hand. name: of the deployment. cron:
        when, as five fields of cron. timezone: of these fields, as an IANA name such as ``Europe/Berlin``.
        metrics_port: where the numbers of the last scan are served on 127.0.0.1, also while it runs; nowhere if None.

    Raises:
        UsageError: no such time or zone, a secret among the parameters, a port that is taken.
        UserError: no server.
    """
    schedule = make_schedule(cron, timezone)
    with ExitStack() as stack:
        if metrics_port is not None and parameters.metrics is None:
            folder = stack.enter_context(TemporaryDirectory(prefix="clipomaly-metrics-"))
            parameters = parameters.model_copy(update={"metrics": f"{folder}/clipomaly.prom"})
        parameters = keep_private(parameters)
        stack.enter_context(prefect_server(parameters))
        if metrics_port is not None:
            assert parameters.metrics is not None
            print(f"metrics: {serve_metrics(parameters.metrics, metrics_port)}", flush=True)
        print(f"serving nightly-scan/{name} at {cron} ({timezone}), server {PREFECT_API_URL.value()}", flush=True)
        runner = _Server(name, limit=1)
        deployment = nightly_scan.to_deployment(
            name,
            schedule=schedule,
            parameters={"parameters": parameters.model_dump(mode="json", exclude_unset=True)},
            description="Scan the archive for what no class list foresaw; only what is new or was cut off.",
            tags=["clipomaly"],
            paused=False,  # though an earlier one was ended
            entrypoint_type=EntrypointType.MODULE_PATH,  # the package is installed where it runs
        )
        assert isinstance(deployment, RunnerDeployment)  # a coroutine only where there is an event loop
        runner.add_deployment(deployment)
        run_until_ended(runner.start())


def run_until_ended(serving: Coroutine[Any, Any, None]) -> None:
    """Run until it is done, interrupted or cancelled."""
    try:
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(serving)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Server(Runner):
    _served_by: asyncio.Task[None] | None = None

    async def start(self, *args: Any, **options: Any) -> None:
        self._served_by = asyncio.current_task()
        await super().start(*args, **options)

    def handle_sigterm(self, *_: Any, **__: Any) -> None:
        """End as with Ctrl-C, by cancelling: this pauses the schedule first, which Prefect's own handler does not do.
        It does not send the signal of Ctrl-C, because a process in the background of a script ignores it."""
        # Code that waits for a scan that ends at this moment may swallow the cancellation: so it is repeated until it
        # works.
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE, _PATIENCE)
        if self._served_by is not None:
            self._served_by.get_loop().call_soon_threadsafe(self._served_by.cancel)


def make_schedule(cron: str, timezone: str) -> Schedule:
    """A Prefect schedule. Raises UsageError where one of both is not what it should be."""
    try:
        CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("timezone",):
            raise UsageError(f"--timezone {timezone}: give an IANA name such as Europe/Berlin.") from error
        raise UsageError(f"--cron {cron!r}: give five fields of cron, such as '0 2 * * *' for two at night.") from error
    return Cron(cron, timezone=timezone)
