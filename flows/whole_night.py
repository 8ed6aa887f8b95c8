"""A whole night, whoever scans its shards: listing and planning, the shards, and the other steps that are asked for."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.engines import EngineGone
from flows.logs import one_line
from flows.night import Night, Step, Summary, begin, note_losses, prepare, run_step, summary_of
from flows.parameters import NOTIFY, ScanParameters
from flows.progress import current_reporter
from schemas.records import ScanRecord, Shard, ShardResult
from tasks.scanning.plan import expected_frames
from tasks.scanning.scan_record import calibration_misfit
from tasks.tables import Tables

if TYPE_CHECKING:
    from flows.metrics import MetricsFile


Begin = Callable[[], ScanRecord]
"""Called when the first shard can begin; gives the record of the scan."""
Done = Callable[[Shard, ShardResult | BaseException], None]
"""Called with the outcome of each shard."""
Scanning = Callable[[Night, Begin, Done], None]
"""Scans the shards of a night. It calls back when the first can begin, and with the result of each."""


@dataclass(slots=True)
class Told:
    """Results for the message beside the counts: where the report is, and which names are new."""

    report: str | None = None
    gist: str | None = None
    new_names: list[str] = field(default_factory=list)


def scan_night(parameters: ScanParameters, scan: Scanning) -> tuple[Night, Summary, Told]:
    """A whole night, whoever scans its shards. Raises UserError if it could not begin."""
    try:
        night = prepare(parameters)
        summary = summary_of(night)
        metrics = _metrics(parameters)
        watch = current_reporter()

        def start() -> ScanRecord:
            scan_record = begin(parameters, night)
            summary.run = scan_record.run
            watch.begin(expected_frames(night.shards.sources, parameters.fps), len(night.shards))
            return scan_record

        def done(shard: Shard, outcome: ShardResult | BaseException) -> None:
            if isinstance(outcome, ShardResult):
                summary.add(outcome)
            else:
                summary.lose(shard, outcome)
            watch.shard()
            if metrics is not None:
                metrics.update(summary)

        if not night.shards:
            start()
        else:
            try:
                scan(night, start, done)
            except EngineGone as error:
                summary.steps.append(Step("engine", False, str(error), 0.0))
    except Exception as error:
        send_failure(parameters, one_line(error))
        raise
    return night, summary, close_night(parameters, night, summary, metrics)


def _metrics(parameters: ScanParameters) -> "MetricsFile | None":
    if parameters.metrics is None:
        return None
    from flows.metrics import MetricsFile

    return MetricsFile(parameters.metrics, parameters.tables)


def close_night(parameters: ScanParameters, night: Night, summary: Summary, metrics: "MetricsFile | None") -> Told:
    """Run the steps that were asked for beside the scan, and note in the summary how each ended."""
    told = Told()
    summary.steps.append(run_step("records", lambda: _records(parameters, night, summary)))
    if parameters.publish:
        summary.steps.append(run_step("publish", lambda: _publish(parameters)))
    if parameters.queue is not None:
        summary.steps.append(run_step("mining", lambda: _mine(parameters)))
    if parameters.report is not None:
        summary.steps.append(run_step("report", lambda: _report(parameters, night, told)))
    if urls := _addresses(parameters):
        summary.steps.append(run_step("message", lambda: _send(urls, parameters, summary, told)))
    if metrics is not None:
        verdict = summary.verdict(strict=parameters.strict)
        summary.steps.append(run_step("metrics", lambda: metrics.end(summary, verdict)))
    return told


def send_failure(parameters: ScanParameters, reason: str) -> None:
    """Send the message of a night that could not begin, or was interrupted."""
    from flows.notify import failure_message, send

    if urls := _addresses(parameters):
        run_step("message", lambda: send(urls, failure_message(parameters.archive, reason)))


def _addresses(parameters: ScanParameters) -> tuple[str, ...]:
    """Where messages go, by the parameters or else by the environment."""
    return tuple((parameters.notify or os.environ.get(NOTIFY, "")).split())


def _records(parameters: ScanParameters, night: Night, summary: Summary) -> str:
    """Fold the commit records so that they are fast to read, and record why shards are left."""
    Tables.at(parameters.tables).fold(night.record.scan_id)
    if misfit := calibration_misfit(night.record, summary.frames, summary.instances):
        summary.notes.append(misfit)
    if summary.lost:
        note_losses(parameters, night, summary)
    return "commit records folded"


# The steps import what they need when they run: at the start it would be a tenth of the start time.


def _mine(parameters: ScanParameters) -> str:
    from flows.mine import run_mine
    from tasks.mining.mine import MiningOptions

    assert parameters.queue is not None
    mined = run_mine(parameters.tables, parameters.queue, MiningOptions(count=parameters.queue_items)).enqueued
    return (
        f"{mined.added} items for review ({mined.new} new, {mined.replacing} in the place of older ones), "
        f"{mined.duplicates} duplicates"
    )


def _publish(parameters: ScanParameters) -> str:
    done = list(Tables.at(parameters.tables).publish())
    files = sum(table.added for table in done)
    return f"{', '.join(f'{table.table} version {table.version}' for table in done)}: {files} files added"


def _report(parameters: ScanParameters, night: Night, told: Told) -> str:
    from flows.report import gist_of, place_report
    from tasks.reporting.report import make_report

    assert parameters.report is not None
    report = make_report(Tables.at(parameters.tables), listing=night.listing)
    told.new_names = [line.name for line in report.new_names]
    told.report = place_report(report, parameters.report, parameters.review_url)
    told.gist = gist_of(report, told.report)
    return told.report


def _send(urls: Sequence[str], parameters: ScanParameters, summary: Summary, told: Told) -> str:
    from flows.notify import night_message, send

    verdict = summary.verdict(strict=parameters.strict)
    link = told.report or parameters.review_url
    return send(urls, night_message(parameters.archive, summary, verdict, told.new_names, link))
