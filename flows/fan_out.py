"""Hand shards to a task runner: a window at a time, and in sub-flows if there are many."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from queue import Empty, SimpleQueue

from prefect import flow
from prefect.futures import PrefectFuture

from flows.engines import Engine, EngineGone, server_is_away
from flows.logs import one_line
from flows.parameters import ScanParameters
from flows.runners import start_engine, window_of
from flows.shard_task import scan_shard_task
from flows.whole_night import Begin, Done
from schemas.records import ScanRecord, Shard, ShardResult
from tasks.errors import UserError
from tasks.model_settings import ModelSettings

log = logging.getLogger("clipomaly.night")

# A server gets slow with flows of more than 2,000 task runs. This is half of it, so that shards that are lost with a
# worker can be submitted again in the same flow.
SHARDS_A_FLOW = 1000

_MOST_LOST_WORKERS = 3
_MOST_LOST_POOLS = 12
_LOOK_SECONDS = 2.0  # whether the engine is still there, while nothing is finished
_SERVER_AGAIN_SECONDS = 5.0


class WorkerLost(UserError):
    """A shard that was given up because its workers died."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every shard of a scan needs, wherever it runs. ``begin`` writes and returns the record of the scan; it is
    called when the first shard can begin."""

    parameters: ScanParameters
    settings: ModelSettings
    begin: Begin


def fan_out(job: Job, shards: Sequence[Shard], done: Done) -> None:
    """Run shards as Prefect tasks and call ``done`` once for each when it ends; call it within a flow.

    Up to ``SHARDS_A_FLOW`` run in the calling flow, more run in sub-flows of this size, one after another. An error in
    ``done`` is raised and does not count as the error of a shard.
    """
    job = replace(job, begin=cache(job.begin))
    parts = [shards[first : first + SHARDS_A_FLOW] for first in range(0, len(shards), SHARDS_A_FLOW)]
    for number, part in enumerate(parts, start=1):
        work = _Part(job, part, done)
        if len(parts) == 1:
            work.run()
        else:
            _run_in_flow(work, number, len(parts), job.parameters.patience_minutes)


def _run_in_flow(work: "_Part", number: int, parts: int, patience_minutes: float) -> None:
    """Run a part as a flow of its own. It waits for a Prefect server that cannot be reached, for these minutes."""
    give_up: float | None = None
    token = _work.set(work.run)
    try:
        while work.unfinished:
            try:
                scan_part(number, parts)
            except Exception as error:
                if not server_is_away(error):
                    raise
                give_up = give_up or time.monotonic() + 60 * patience_minutes
                if time.monotonic() > give_up:
                    raise EngineGone(
                        f"The Prefect server cannot be reached: {one_line(error)}. Run the scan again."
                    ) from error
                log.warning("the Prefect server cannot be reached (%s): waiting for it", one_line(error))
                time.sleep(_SERVER_AGAIN_SECONDS)
    finally:
        _work.reset(token)


# The shards of a part are not parameters of its flow, because Prefect stores parameters on its server and sends them to
# workers.
_work: ContextVar[Callable[[], None]] = ContextVar("work")


@flow(name="scan-part", flow_run_name="part {number} of {parts}", persist_result=False)
def scan_part(number: int, parts: int) -> None:
    """One part of a scan with more shards than one flow should hold."""
    _current_work()()


def _current_work() -> Callable[[], None]:
    # A function, because flows are pickled for workers with the objects that they name, and a context variable cannot
    # be pickled.
    return _work.get()


class _Part:
    """Runs shards in one flow, also when workers or their engine fail."""

    def __init__(self, job: Job, shards: Sequence[Shard], done: Done) -> None:
        self._job, self._done = job, done
        self._left = deque(shards)
        # A process that dies breaks its pool, and nobody can tell which of the running shards killed it. They are run
        # again in a new pool, one at a time. A shard is given up after ``_MOST_LOST_WORKERS`` of its workers died.
        self._suspects: deque[Shard] = deque()
        self._workers_lost: Counter[str] = Counter()
        self._finished = 0

    @property
    def unfinished(self) -> bool:
        """Whether the result of any shard is still missing."""
        return bool(self._left or self._suspects)

    def run(self) -> None:
        """Run the remaining shards until the result of each is known.

        Raises:
            EngineGone: the engine went away and did not come back. The remaining shards can be run again.
        """
        started = False
        barren = 0  # pools lost in a row without a finished shard between them
        while self.unfinished:
            before = self._finished
            with start_engine(self._job.parameters, self._job.settings, again=started) as engine:
                started = True
                record = self._job.begin()
                broken = self._run_until_broken(engine, record, self._suspects, 1)
                if not broken:
                    broken = self._run_until_broken(engine, record, self._left, window_of(self._job.parameters))
            barren = barren + 1 if self._finished == before else 1
            if broken and barren == _MOST_LOST_POOLS:
                for shard in (*self._suspects, *self._left):
                    trouble = "workers die on every shard: check the memory and the accelerator of this machine"
                    self._done(shard, WorkerLost(trouble))
                self._suspects.clear()
                self._left.clear()

    def _run_until_broken(self, engine: Engine, record: ScanRecord, shards: deque[Shard], window: int) -> bool:
        """Take shards and run them until none is left or their engine breaks; returns whether it broke."""
        broken = False

        def taken() -> Iterator[Shard]:
            while shards and not broken:
                yield shards.popleft()

        def submit(shard: Shard) -> PrefectFuture[ShardResult]:
            job = self._job
            given = {"shard": shard, "record": record, "tables": job.parameters.tables, "settings": job.settings}
            future: PrefectFuture[ShardResult] = engine.runner.submit(scan_shard_task, given)
            return future

        for shard, future in in_windows(submit, taken(), window, engine.is_there):
            outcome = _outcome(engine, future)
            if isinstance(outcome, BrokenExecutor):
                broken = True
                self._suspect(shard)
            elif isinstance(outcome, EngineGone):
                broken = True
                self._left.append(shard)
            else:
                self._finished += 1
                self._done(shard, outcome)
        return broken

    def _suspect(self, shard: Shard) -> None:
        self._workers_lost[shard.shard_id] += 1
        if self._workers_lost[shard.shard_id] < _MOST_LOST_WORKERS:
            self._suspects.append(shard)
        else:
            aside = f"given up: {_MOST_LOST_WORKERS} workers died of it (killed, or out of memory)"
            self._done(shard, WorkerLost(aside))


def _outcome(engine: Engine, future: PrefectFuture[ShardResult] | BaseException) -> ShardResult | BaseException:
    """The outcome of a shard: its result, its own error, or the loss of its engine."""
    if isinstance(future, BaseException):
        return future
    try:
        # The error of a shard is returned. An error of the engine is raised.
        outcome: ShardResult | BaseException = future.result(raise_on_failure=False)
    except BrokenExecutor as error:
        return error
    except engine.gone as error:
        return EngineGone(one_line(error))
    except Exception as error:
        return error if engine.is_there() else EngineGone(one_line(error))
    if isinstance(outcome, BaseException) and server_is_away(outcome):
        return EngineGone(one_line(outcome))
    return outcome


def in_windows(
    submit: Callable[[Shard], PrefectFuture[ShardResult]],
    shards: Iterable[Shard],
    window: int,
    is_there: Callable[[], bool] = lambda: True,
) -> Iterator[tuple[Shard, PrefectFuture[ShardResult] | BaseException]]:
    """Submit shards in order, at most ``window`` at a time, and yield each when it is done. If their engine is gone,
    the running ones are yielded with an EngineGone.
    """
    left = iter(shards)
    under_way: dict[PrefectFuture[ShardResult], Shard] = {}
    finished: SimpleQueue[PrefectFuture[ShardResult]] = SimpleQueue()
    failed: deque[tuple[Shard, BaseException]] = deque()

    def start(count: int) -> None:
        for shard in islice(left, count):
            try:
                future = submit(shard)
            except Exception as error:
                failed.append((shard, error if is_there() else EngineGone(one_line(error))))
                continue
            under_way[future] = shard
            future.add_done_callback(finished.put)

    start(window)
    while under_way or failed:
        while failed:
            yield failed.popleft()
            start(1)
        if not under_way:
            continue
        try:
            future = finished.get(timeout=_LOOK_SECONDS)
        except Empty:
            if is_there():
                continue
            for shard in under_way.values():
                yield shard, EngineGone("the connection to it is lost")
            return
        yield under_way.pop(future), future
        start(1)
