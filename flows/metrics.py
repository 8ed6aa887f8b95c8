"""Metrics of a night for Prometheus: gauges as OpenMetrics text, in a file for node-exporter's textfile collector."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge, Metric, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from flows.night import Summary, Verdict
from schemas.safe_text import masked
from tasks.errors import UsageError, UserError
from tasks.storage import exists, locate, read_file, replace_file

_EVERY_SECONDS = 10.0


def metrics_text(tables: str, summary: Summary, verdict: Verdict | None) -> bytes:
    """The numbers of a scan as OpenMetrics text; ``verdict`` is None while it runs.

    All are gauges: older readers of Prometheus' own format can read their text too.
    """
    registry = CollectorRegistry()

    def gauge(name: str, told: str, values: dict[str, float], label: str | None = None) -> None:
        labels = ("tables",) if label is None else ("tables", label)
        made = Gauge(f"clipomaly_{name}", told, labels, registry=registry)
        for value in values:
            made.labels(*((masked(tables),) if label is None else (masked(tables), value))).set(values[value])

    gauge("scan_running", "1 while a scan is under way.", {"": float(verdict is None)})
    gauge("scan_updated_timestamp_seconds", "When these numbers were written.", {"": datetime.now(UTC).timestamp()})
    shards = {"planned": summary.planned, "done": summary.finished, "lost": len(summary.lost), "left": summary.left}
    gauge("shards", "Shards of this scan by what became of them.", dict(shards), "state")
    sources = {outcome.value: float(count) for outcome, count in summary.outcomes.items()}
    gauge("sources", "Sources of the shards done, by outcome.", sources, "outcome")
    gauge("frames", "Frames scanned.", {"": summary.frames})
    gauge("instances", "Instances found.", {"": summary.instances})
    spent = summary.seconds
    stages = {"reading": spent.reading, "inferring": spent.inferring, "writing": spent.writing}
    gauge("stage_seconds", "Seconds that the workers spent, by stage.", stages, "stage")
    gauge("step_ok", "Whether what was asked for beside the scan was done.", _steps(summary, "ok"), "step")
    gauge("step_seconds", "Seconds of each of these steps.", _steps(summary, "seconds"), "step")
    if verdict is not None:
        verdicts = {known.value: float(known is verdict) for known in Verdict}
        gauge("scan_result", "How the last scan ended: 1 for what holds.", verdicts, "result")
    text: bytes = generate_latest(registry)
    return text


def _steps(summary: Summary, what: str) -> dict[str, float]:
    return {step.name: float(getattr(step, what)) for step in summary.steps}


class MetricsFile:
    """The metrics file of a scan, written from time to time while it runs, and at its end."""

    def __init__(self, path: str, tables: str) -> None:
        self._path, self._tables = path, tables
        self._written = -_EVERY_SECONDS

    def update(self, summary: Summary) -> None:
        """Write the numbers so far, unless that was a moment ago. An error is reported only at the end."""
        if time.monotonic() - self._written >= _EVERY_SECONDS:
            self._written = time.monotonic()
            with suppress(UserError):
                self._write(summary, None)

    def end(self, summary: Summary, verdict: Verdict) -> str:
        """Write the numbers of the whole scan; returns the path. Raises UserError if they cannot be written."""
        self._write(summary, verdict)
        return self._path

    def _write(self, summary: Summary, verdict: Verdict | None) -> None:
        replace_file(locate(os.path.abspath(self._path)), metrics_text(self._tables, summary, verdict))


class _FileCollector(Collector):
    """The current content of a metrics file; empty before the first scan."""

    def __init__(self, path: str) -> None:
        self._path = path

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client."""
        place = locate(os.path.abspath(self._path))
        if exists(place):
            text = read_file(place).decode()
            yield from text_string_to_metric_families(text)


def serve_metrics(path: str, port: int) -> str:
    """Serve a metrics file over HTTP on 127.0.0.1, by a thread, until this process ends: its URL.

    Raises:
        UsageError: the port cannot be taken.
    """
    registry = CollectorRegistry()
    registry.register(_FileCollector(path))
    try:
        server, _ = start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise UsageError(f"--metrics-port {port} cannot be taken: {error.strerror}. Name another.") from error
    return f"http://127.0.0.1:{server.server_port}/metrics"
