"""Scan an archive: in this process, or through the Prefect flow. Both scan the same shards with the same function.

Prefect is imported only where a runner needs it.
"""

from functools import partial

from flows.logs import set_up_logging
from flows.night import Night, Summary
from flows.parameters import Runner, ScanParameters
from flows.progress import current_reporter
from flows.whole_night import Begin, Done, scan_night
from schemas.records import ShardResult
from tasks.model import get_model
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables


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
