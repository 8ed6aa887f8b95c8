"""Hand shards to a task runner: a window of them at a time, and in sub-flows when they are many."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from flows.parameters import ScanParameters
from flows.runners import start_task_runner, window_of
from flows.shard_task import scan_shard_task
from schemas.records import ScanRecord, Shard, ShardResult
from tasks.errors import UserError
from tasks.model_settings import ModelSettings

# A server grows slow over flows of more than 2,000 task runs. Half of that, so that shards that are lost with a
# worker can be submitted again in the same flow.
SHARDS_A_FLOW = 1000

_MOST_LOST_WORKERS = 3
_MOST_LOST_POOLS = 12

Done = Callable[[Shard, ShardResult | Exception], None]


class WorkerLost(UserError):
    """A shard that no worker survives."""


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
    """Run shards, whatever happens to the workers.

    A process that dies takes its pool along, and nobody can tell which of the shards under way killed it. They are
    run again in a new pool one at a time; one that has seen ``_MOST_LOST_WORKERS`` die is set aside.
    """
    left, suspects = deque(shards), deque[Shard]()
    workers_lost: Counter[str] = Counter()
    pools_lost = 0  # in a row, without one shard that was finished between them
    while left or suspects:
        finished = 0

        def tell(shard: Shard, outcome: ShardResult | Exception) -> None:
            nonlocal finished
            finished += 1
            done(shard, outcome)

        with start_task_runner(job.parameters, job.settings) as runner:
            lost = _until_broken(job, runner, suspects, 1, tell)
            if not lost:
                lost = _until_broken(job, runner, left, window_of(job.parameters), tell)
        pools_lost = pools_lost + 1 if not finished else 1
        for shard in lost:
            workers_lost[shard.shard_id] += 1
            if workers_lost[shard.shard_id] < _MOST_LOST_WORKERS:
                suspects.append(shard)
            else:
                done(
                    shard, WorkerLost(f"set aside: {_MOST_LOST_WORKERS} workers died of it (killed, or out of memory)")
                )
        if lost and pools_lost == _MOST_LOST_POOLS:
            for shard in (*suspects, *left):
                done(shard, WorkerLost("workers die whatever they scan: look at this machine's memory and accelerator"))
            return


def _until_broken(job: Job, runner: TaskRunner[Any], shards: deque[Shard], window: int, done: Done) -> list[Shard]:
    """Take shards and run them until none is left or a worker died: the shards that were lost with it."""
    lost: list[Shard] = []

    def taken() -> Iterator[Shard]:
        while shards and not lost:
            yield shards.popleft()

    def submit(shard: Shard) -> PrefectFuture[ShardResult]:
        given = {"shard": shard, "record": job.record, "tables": job.parameters.tables, "settings": job.settings}
        future: PrefectFuture[ShardResult] = runner.submit(scan_shard_task, given)
        return future

    for shard, future in in_windows(submit, taken(), window):
        try:
            done(shard, future.result())
        except BrokenExecutor:
            lost.append(shard)
        except Exception as error:  # one shard's trouble is not the night's
            done(shard, error)
    return lost


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
