"""Scan one shard: decode → model → rows, at the same time, then part files and the commit record."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Event
from typing import Generic, Protocol, TypeVar

from clipomaly_core.types import FrameResult
from schemas.records import (
    CommitRecord,
    NameCount,
    Outcome,
    ScanRecord,
    Shard,
    ShardResult,
    Source,
    SourceOutcome,
    Stages,
)
from tasks.commits import is_committed, read_commit, write_commit
from tasks.errors import SourceError, UserError
from tasks.frames import Frame, read_frames
from tasks.images import Rgb
from tasks.rows import ShardRows
from tasks.storage import reason
from tasks.tables import write_parts

log = logging.getLogger(__name__)

# Batches that may wait between two stages: one being made, one ready.
_BATCHES_AHEAD = 2
_LOOK_UP_SECONDS = 0.1

T = TypeVar("T")


class Model(Protocol):
    """What a shard is scanned with: ``clipomaly_core.Clipomaly``, or anything that is called like it."""

    @property
    def batch_size(self) -> int:
        """How many frames one call should hold."""

    def __call__(self, frames: Sequence[Rgb], /) -> list[FrameResult]:
        """(H, W, 3) uint8 RGB frames, of any sizes → what is in each."""


def scan_shard(
    shard: Shard,
    record: ScanRecord,
    tables_url: str,
    model: Model,
    progress: Callable[[int], None] | None = None,
) -> ShardResult:
    """Scan the sources of a shard into part files and commit them.

    One thread reads frames, this one infers, one makes rows; bounded queues of a few batches lie between,
    so no video is ever whole in memory. What goes wrong inside a source is its outcome, and the others go
    on. ``progress`` is told the number of frames of each batch that went through the model. A shard that is
    committed already, before or meanwhile, stays as it is and is reported so.

    Raises UserError when the tables cannot be written or the storage is out of reach, and whatever the model
    raises; nothing is committed then.
    """
    if is_committed(tables_url, record.scan_id, shard.shard_id):
        return _already_committed(tables_url, record.scan_id, shard.shard_id)
    rows = ShardRows(record.scan_id, record.embedding_dimension)
    tallies = [_Tally(source) for source in shard.sources]
    seconds = _run_stages(shard, record.fps, model, rows, tallies, progress)

    started = time.perf_counter()
    if is_committed(tables_url, record.scan_id, shard.shard_id):  # by another worker, meanwhile
        return _already_committed(tables_url, record.scan_id, shard.shard_id)
    files = write_parts(tables_url, record.scan_id, shard.shard_id, rows.tables())
    outcomes = tuple(tally.outcome() for tally in tallies)
    spent = Stages(seconds.reading, seconds.inferring, seconds.writing + time.perf_counter() - started)
    commit = CommitRecord(record.scan_id, shard.shard_id, datetime.now(UTC), files, outcomes, spent)
    if not write_commit(tables_url, commit):
        return _already_committed(tables_url, record.scan_id, shard.shard_id)
    names = sorted(rows.names.items(), key=lambda item: (-item[1], item[0]))
    return _result(commit, tuple(NameCount(name, count) for name, count in names))


def _already_committed(tables_url: str, scan_id: str, shard_id: str) -> ShardResult:
    return _result(read_commit(tables_url, scan_id, shard_id), names=(), already_committed=True)


def _result(commit: CommitRecord, names: tuple[NameCount, ...], already_committed: bool = False) -> ShardResult:
    return ShardResult(
        shard_id=commit.shard_id,
        frames=sum(source.frames for source in commit.sources),
        instances=sum(source.instances for source in commit.sources),
        names=names,
        sources=commit.sources,
        seconds=commit.seconds,
        already_committed=already_committed,
    )


@dataclass(slots=True)
class _Tally:
    """What has become of a source so far. The reader sets ``error``; the rest is counted as rows are made."""

    source: Source
    error: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    first_bad_frame: str | None = None

    def outcome(self) -> SourceOutcome:
        frames, bad = self.counts["frames"], self.counts["failed_frames"]
        if frames == bad:
            outcome = Outcome.FAILED
        elif bad or self.error:
            outcome = Outcome.PARTIAL
        else:
            outcome = Outcome.OK if self.counts["instances"] else Outcome.EMPTY
        error = self.error or self.first_bad_frame
        if outcome is Outcome.FAILED and error is None:
            error = "no frames in it"
        if bad and frames > bad:
            error = f"{bad} of {frames} frames lost: {error}"
        return SourceOutcome(self.source.uri, self.source.etag, outcome, error, frames, bad, self.counts["instances"])


@dataclass(frozen=True, slots=True)
class _Read:
    """A frame and whose it is."""

    tally: _Tally
    frame: Frame


@dataclass(frozen=True, slots=True)
class _Inferred:
    """A frame and what the model found in it, None where the frame could not be read."""

    read: _Read
    result: FrameResult | None


class _Stopped(Exception):
    """Another stage failed; its error is the one that counts."""


class _Channel(Generic[T]):
    """A bounded queue between two stages that lets go of both once ``stop`` is set."""

    def __init__(self, size: int, stop: Event) -> None:
        self._queue: Queue[T | None] = Queue(size)
        self._stop = stop

    def put(self, item: T | None) -> None:
        """Hand on an item, waiting for room; None says that there are no more."""
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=_LOOK_UP_SECONDS)
            except Full:
                continue
        raise _Stopped

    def __iter__(self) -> Iterator[T]:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_LOOK_UP_SECONDS)
            except Empty:
                continue
            if item is None:
                return
            yield item
        raise _Stopped


def _run_stages(
    shard: Shard,
    fps: float,
    model: Model,
    rows: ShardRows,
    tallies: Sequence[_Tally],
    progress: Callable[[int], None] | None,
) -> Stages:
    stop = Event()
    read: _Channel[_Read] = _Channel(_BATCHES_AHEAD * model.batch_size, stop)
    inferred: _Channel[list[_Inferred]] = _Channel(_BATCHES_AHEAD, stop)

    def stage(work: Callable[[], float]) -> float:
        try:
            return work()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(2, thread_name_prefix="scan") as pool:
        reader = pool.submit(stage, lambda: _read(tallies, fps, read))
        writer = pool.submit(stage, lambda: _make_rows(inferred, rows))
        inferring = 0.0
        try:
            inferring = stage(lambda: _infer(read, inferred, model, progress))
        except _Stopped:
            log.debug("Inference stopped for the failure of another stage")
        for other in (reader, writer):
            error = other.exception()
            if error and not isinstance(error, _Stopped):
                raise error
        return Stages(reader.result(), inferring, writer.result())


def _read(tallies: Sequence[_Tally], fps: float, read: _Channel[_Read]) -> float:
    busy = 0.0
    for tally in tallies:
        started = time.perf_counter()
        try:
            for frame in read_frames(tally.source, fps):
                busy += time.perf_counter() - started
                read.put(_Read(tally, frame))
                started = time.perf_counter()
        except SourceError as error:
            tally.error = str(error)
        except (UserError, _Stopped, MemoryError):
            raise
        except Exception as error:
            # A decoder met what its authors did not foresee: this source is lost, its neighbours are not.
            log.warning("Reading %s failed", tally.source.uri, exc_info=True)
            tally.error = f"cannot be read: {type(error).__name__}: {reason(error)}"
        busy += time.perf_counter() - started
    read.put(None)
    return busy


def _infer(
    read: _Channel[_Read],
    inferred: _Channel[list[_Inferred]],
    model: Model,
    progress: Callable[[int], None] | None,
) -> float:
    busy = 0.0
    for batch in _batches(read, model.batch_size):
        started = time.perf_counter()
        images = [item.frame.image for item in batch if item.frame.image is not None]
        results = iter(model(images) if images else ())
        paired = [_Inferred(item, next(results) if item.frame.image is not None else None) for item in batch]
        busy += time.perf_counter() - started
        inferred.put(paired)
        if progress:
            progress(len(batch))
    inferred.put(None)
    return busy


def _batches(read: _Channel[_Read], size: int) -> Iterator[list[_Read]]:
    """Frames in batches of ``size``, across sources; always cut alike, so that a rerun computes the same."""
    batch: list[_Read] = []
    for item in read:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _make_rows(inferred: _Channel[list[_Inferred]], rows: ShardRows) -> float:
    busy = 0.0
    for batch in inferred:
        started = time.perf_counter()
        for item in batch:
            tally, frame = item.read.tally, item.read.frame
            found = rows.add(tally.source, frame, item.result)
            tally.counts.update(frames=1, failed_frames=int(frame.image is None), instances=found)
            if frame.image is None:
                tally.first_bad_frame = tally.first_bad_frame or frame.error
        busy += time.perf_counter() - started
    return busy
