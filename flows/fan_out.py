"""Hand shards to a task runner: a window of them at a time, and in sub-flows when they are many."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue

from prefect import flow
from prefect.futures import PrefectFuture

from flows.parameters import ScanParameters
from flows.runners import start_task_runner, window_of
from flows.shard_task import scan_shard_task
from schemas.records import ScanRecord, Shard, ShardResult
from tasks.model import ModelSettings

# A server grows slow over flows of more than 2,000 task runs. Half of that, so that shards that are lost with a
# worker can be submitted again in the same flow.
SHARDS_A_FLOW = 1000

Done = Callable[[Shard, ShardResult | Exception], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What every shard of a scan needs, wherever it runs."""

    parameters: ScanParameters
    settings: ModelSettings
    record: ScanRecord


def fan_out(job: Job, shards: Sequence[Shard], done: Done) -> None:
    """Run shards as Prefect tasks and tell ``done`` of each as it ends; called within a flow.

    Up to ``SHARDS_A_FLOW`` run in the calling flow, more in sub-flows of so many, one after another.
    """
    parts = [shards[first : first + SHARDS_A_FLOW] for first in range(0, len(shards), SHARDS_A_FLOW)]
    for number, part in enumerate(parts, start=1):
        if len(parts) == 1:
            _run_part(job, part, done)
            continue
        token = _work.set(partial(_run_part, job, part, done))
        try:
            scan_part(number, len(parts))
        finally:
            _work.reset(token)


# The shards of a part reach their flow beside its parameters: those Prefect stores on its server and sends to workers.
_work: ContextVar[Callable[[], None]] = ContextVar("work")


@flow(name="scan-part", flow_run_name="part {number} of {parts}", persist_result=False)
def scan_part(number: int, parts: int) -> None:
    """One part of a scan that has more shards than one flow should hold."""
    _current_work()()


def _current_work() -> Callable[[], None]:
    # A function, because flows are sent to workers with the objects that they name, which a context variable cannot be.
    return _work.get()


def _run_part(job: Job, shards: Sequence[Shard], done: Done) -> None:
    with start_task_runner(job.parameters, job.settings) as runner:

        def submit(shard: Shard) -> PrefectFuture[ShardResult]:
            given = {
                "shard": shard,
                "record": job.record,
                "tables": job.parameters.tables,
                "settings": job.settings,
            }
            future: PrefectFuture[ShardResult] = runner.submit(scan_shard_task, given)
            return future

        for shard, future in in_windows(submit, shards, window_of(job.parameters)):
            try:
                outcome: ShardResult | Exception = future.result()
            except Exception as error:  # one shard's trouble is not the night's
                outcome = error
            done(shard, outcome)


def in_windows(
    submit: Callable[[Shard], PrefectFuture[ShardResult]], shards: Iterable[Shard], window: int
) -> Iterator[tuple[Shard, PrefectFuture[ShardResult]]]:
    """Submit shards in order, at most ``window`` of them under way at a time, and yield each as it is done."""
    left = iter(shards)
    under_way: dict[PrefectFuture[ShardResult], Shard] = {}
    finished: SimpleQueue[PrefectFuture[ShardResult]] = SimpleQueue()

    def start(count: int) -> None:
        for shard in islice(left, count):
            future = submit(shard)
            under_way[future] = shard
            future.add_done_callback(finished.put)

    start(window)
    while under_way:
        future = finished.get()
        yield under_way.pop(future), future
        start(1)
