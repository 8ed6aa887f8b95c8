"""What the workflow engine costs a shard: shards that are committed already, handed out by each runner.

``python -m benchmarks.fan_out --shards 200 1000 --runners threads processes dask ray``. A worker looks a shard up,
finds its commit record and returns what it says: next to nothing, so that what is left is the engine's. The first
shard also waits for workers to start and to load the built-in model; the others are told apart from it.
"""

import argparse
import os
import tempfile
import time
from datetime import UTC, datetime

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")  # as the command does; Prefect reads it when it is imported

# isort: split
from prefect import flow

from benchmarks.results import write_results
from flows.fan_out import Job, fan_out
from flows.parameters import Runner, ScanParameters
from flows.server import prefect_server
from schemas.records import CommitRecord, Outcome, Shard, ShardResult, SourceOutcome, Stages
from tasks.model import describe_model
from tasks.scanning.scan_record import make_scan_record
from tasks.tables import Tables


def measure(runner: Runner, count: int, folder: str) -> dict[str, float]:
    """Seconds until the first of ``count`` shards is done, and seconds a shard from then on."""
    parameters = ScanParameters(archive="", tables=folder, runner=runner, workers=2)
    settings = parameters.model_settings()
    record = make_scan_record(describe_model(settings), fps=1)
    job = Job(parameters, settings, lambda: record)
    outcome = SourceOutcome("file:///none.mp4", "e", Outcome.EMPTY, None, 1, 0, 0, 1.0)
    shards = [Shard(f"{runner}-{number}", ()) for number in range(count)]
    for shard in shards:
        now = datetime.now(UTC)
        Tables.at(folder).write_commit(
            CommitRecord(record.scan_id, shard.shard_id, now, (), (outcome,), Stages(0, 0, 0))
        )
    moments: list[float] = []

    def done(_: Shard, result: ShardResult | BaseException) -> None:
        if isinstance(result, BaseException):
            raise result
        moments.append(time.perf_counter())

    @flow(name="fan-out-benchmark", persist_result=False)
    def run() -> None:
        fan_out(job, shards, done)

    started = time.perf_counter()
    run()
    return {
        "first": round(moments[0] - started, 1),
        "a_shard": round((moments[-1] - moments[0]) / (count - 1), 4),
        "all": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--runners", nargs="+", default=["threads", "processes", "dask", "ray"])
    parser.add_argument("--quick", action="store_true", help="20 shards, without dask and ray")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.shards, arguments.runners = [20], ["threads", "processes"]
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, prefect_server(ScanParameters(archive="", tables="")):
        for runner in arguments.runners:
            for count in arguments.shards:
                name = f"{runner}, {count} shards"
                figures[name] = measure(Runner(runner), count, f"{folder}/{runner}-{count}")
                print(f"{name}: {figures[name]}", flush=True)
    print(write_results("fan_out", figures))


if __name__ == "__main__":
    main()
