"""The steps of a night after its shards are scanned: records, mining, report, message, metrics."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.night import Night, Summary, note_losses
from flows.parameters import ScanParameters
from flows.private import NOTIFY
from flows.steps import run_step
from tasks.scanning.scan_record import calibration_misfit
from tasks.tables import Tables

if TYPE_CHECKING:
    from flows.metrics import MetricsFile


@dataclass(slots=True)
class Told:
    """Results for the message beside the counts: where the report is, and which names are new."""

    report: str | None = None
    gist: str | None = None
    new_names: list[str] = field(default_factory=list)


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
