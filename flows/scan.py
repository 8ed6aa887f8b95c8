"""Scan an archive: in this process, or through the Prefect flow. Both scan the same shards with the same function.

Prefect is imported only where a runner needs it.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flows.closing import Told, close_night, send_failure
from flows.engines import EngineGone
from flows.logs import set_up_logging
from flows.night import Night, Summary, begin, prepare, summary_of
from flows.parameters import Runner, ScanParameters
from flows.progress import current_reporter
from flows.steps import Step, one_line
from schemas.records import ScanRecord, Shard, ShardResult
from tasks.model import get_model
from tasks.scanning.plan import expected_frames
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables

if TYPE_CHECKING:
    from flows.metrics import MetricsFile

Begin = Callable[[], ScanRecord]
"""Called when the first shard can begin; gives the record of the scan."""
Done = Callable[[Shard, ShardResult | BaseException], None]
"""Called with the outcome of each shard."""
Scanning = Callable[[Night, Begin, Done], None]
"""Scans the shards of a night. It calls back when the first can begin, and with the result of each."""


def run_scan(parameters: ScanParameters) -> Summary:
    """Scan an archive; what the command ``clipomaly scan`` does.

    Raises:
        UserError: the scan could not begin; the message says why and what to do.
    """
    if parameters.runner is not Runner.INLINE:
        from flows.nightly_scan import run_flow

        return run_flow(parameters)
    set_up_logging(parameters.log_level, parameters.log_format)
    _, summary, _ = scan_night(parameters, partial(_one_by_one, parameters))
    return summary


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


def _one_by_one(parameters: ScanParameters, night: Night, start: Begin, done: Done) -> None:
    """Scan the shards in this process."""
    model, tables = get_model(night.settings), Tables.at(parameters.tables)
    record = start()
    frames = current_reporter().frames
    for shard in night.shards:
        try:
            outcome: ShardResult | Exception = scan_shard(shard, record, tables, model, frames)
        except Exception as error:  # the error of one shard does not end the night
            outcome = error
        done(shard, outcome)
