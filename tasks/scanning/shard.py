"""Scan one shard: decode, run the model and make rows, all at the same time; then write part files and the commit
record."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from threading import Event
from typing import Generic, TypeVar

from clipomaly_core.crops import Moment
from clipomaly_core.timing import count_steps
from clipomaly_core.types import Finish, FrameResult
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
from tasks.errors import DeniedError, SourceError, UserError
from tasks.footage.accelerated import check_device, decoding_on
from tasks.footage.frames import BadTrack, Frame, Position, Track, open_source, read_frames, read_track
from tasks.footage.stored_file import Fetched, count_fetched, fingerprint
from tasks.scanning.inference import Inference, L, Model, Ready, SourceMaps, in_batches, made_ahead
from tasks.scanning.rows import ShardRows
from tasks.storage import reason
from tasks.tables import Tables

log = logging.getLogger("clipomaly.shard")

# Batches that may wait between two stages: one being made, one ready.
_BATCHES_AHEAD = 2
_LOOK_UP_SECONDS = 0.1
_SEGMENTING_THREADS = 4

T = TypeVar("T")


def scan_shard(
    shard: Shard,
    record: ScanRecord,
    tables: Tables,
    model: Model[L],
    progress: Callable[[int], None] | None = None,
) -> ShardResult:
    """Scan the sources of a shard into part files and commit them.

    One thread reads frames, this one infers, some make masks and one rows of them; bounded queues of a few batches lie
    between, so no video is ever whole in memory. What goes wrong inside a source is its outcome, and the others go
    on. ``progress`` is called with the number of frames of each batch that went through the model. Where the memory
    of the accelerator is too small for a batch, the rest of the shard goes through in halves, and a note in the
    commit record says so. A shard that is committed already, before or meanwhile, stays as it is and is
    reported so.

    Raises UserError when the tables cannot be written, the storage is out of reach or no source of the shard
    may be read, and whatever the model raises; nothing is committed then.
    """
    if tables.is_committed(record.scan_id, shard.shard_id):
        return _already_committed(tables, record.scan_id, shard.shard_id)
    if record.decoder:
        check_device(record.decoder)
    rows = ShardRows(record.scan_id, record.embedding_dimension, float(record.options.get("margin") or 0))
    tallies = [_Tally(source) for source in shard.sources]
    inference = Inference(model, model.batch_size)
    seconds = _run_stages(record, inference, rows, tallies, progress)
    if all(tally.denied for tally in tallies):
        # Most likely expired credentials: a commit would make the loss permanent.
        raise UserError(f"Cannot read {shard.sources[0].uri}: {tallies[0].error}.")

    started = time.perf_counter()
    if tables.is_committed(record.scan_id, shard.shard_id):  # by another worker, meanwhile
        return _already_committed(tables, record.scan_id, shard.shard_id)
    files = tables.write(record.scan_id, shard.shard_id, rows.tables())
    outcomes = tuple(tally.outcome() for tally in tallies)
    spent = replace(seconds, writing=seconds.writing + time.perf_counter() - started)
    notes = (*(f"{tally.source.uri}: {note}" for tally in tallies for note in tally.notes), *inference.notes)
    commit = CommitRecord(record.scan_id, shard.shard_id, datetime.now(UTC), files, outcomes, spent, notes, record.run)
    if not tables.write_commit(commit):
        # By another worker, or by this one: the storage has it, and the response was lost on the way.
        there = tables.commit(record.scan_id, shard.shard_id)
        if there.committed != commit.committed:
            return _result(there, names=(), already_committed=True)
    names = sorted(rows.names.items(), key=lambda item: (-item[1], item[0]))
    return _result(commit, tuple(NameCount(name, count) for name, count in names))


def _already_committed(tables: Tables, scan_id: str, shard_id: str) -> ShardResult:
    return _result(tables.commit(scan_id, shard_id), names=(), already_committed=True)


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
    """What has become of a source so far. The reader sets ``error``, ``denied``, ``footage_seconds``, ``fingerprint``,
    ``fetched`` and ``notes``; the rest is counted as rows are made."""

    source: Source
    error: str | None = None
    denied: bool = False
    footage_seconds: float = 0.0
    fingerprint: str | None = None
    fetched: Fetched = field(default_factory=Fetched)
    notes: list[str] = field(default_factory=list)
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
        etag = "" if self.denied and outcome is Outcome.FAILED else self.source.etag
        return SourceOutcome(
            self.source.uri,
            etag,
            outcome,
            error,
            frames,
            bad,
            self.counts["instances"],
            self.footage_seconds,
            self.fingerprint,
            self.fetched.bytes or None,
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """A frame, whose it is, and where the car was."""

    tally: _Tally
    frame: Frame
    position: Position | None


@dataclass(frozen=True, slots=True)
class _Inferred:
    """A frame and what gives what the model found in it, None where the frame could not be read."""

    read: _Read
    finish: Finish | None

    def result(self) -> FrameResult | None:
        return self.finish() if self.finish else None


class _Stopped(Exception):
    """Another stage failed; only its error is raised."""


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
    record: ScanRecord,
    inference: Inference[L],
    rows: ShardRows,
    tallies: Sequence[_Tally],
    progress: Callable[[int], None] | None,
) -> Stages:
    stop = Event()
    read: _Channel[list[_Read]] = _Channel(_BATCHES_AHEAD - 1, stop)  # the reader holds the other
    inferred: _Channel[list[_Inferred]] = _Channel(_BATCHES_AHEAD, stop)

    def stage(work: Callable[[], T]) -> T:
        try:
            return work()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(2, thread_name_prefix="scan") as pool:
        # In this context: what they log belongs to the same task run.
        reader = pool.submit(copy_context().run, stage, lambda: _read(tallies, record, inference.batch_size, read))
        writer = pool.submit(copy_context().run, stage, lambda: _make_rows(inferred, rows))
        inferring = 0.0
        try:
            with count_steps() as steps:
                inferring = stage(lambda: _infer(read, inferred, inference, progress))
        except _Stopped:
            log.debug("Inference stopped for the failure of another stage")
        for other in (reader, writer):
            error = other.exception()
            if error and not isinstance(error, _Stopped):
                raise error
        segmenting, writing = writer.result()
        return Stages(reader.result(), inferring, writing, **asdict(steps), segmenting=segmenting)


@dataclass(slots=True)
class _Busy:
    seconds: float = 0.0


def _read(tallies: Sequence[_Tally], record: ScanRecord, size: int, read: _Channel[list[_Read]]) -> float:
    """Hand on batches of frames: the seconds that reading them took."""
    busy = _Busy()
    for batch in in_batches(_frames(tallies, record, busy), size, lambda item: item.frame.image):
        read.put(batch)
    read.put(None)
    return busy.seconds


def _frames(tallies: Sequence[_Tally], record: ScanRecord, busy: _Busy) -> Iterator[_Read]:
    for tally in tallies:
        started = time.perf_counter()
        try:
            chosen = decoding_on(record.decoder) if record.decoder else nullcontext()
            with count_fetched() as tally.fetched, chosen as decoding:
                source = open_source(tally.source)
                tally.footage_seconds = source.footage_seconds
                tally.fingerprint = fingerprint(source.uri, source.size)
                if source.note:
                    tally.notes.append(source.note)
                track = _track(source, tally)
                placed = track is None
                for frame in read_frames(source, record.fps, record.keyframes):
                    position = _own(frame) or (track.at(frame.timestamp) if track else _standing(source))
                    placed = placed or position is not None
                    busy.seconds += time.perf_counter() - started
                    yield _Read(tally, frame, position)
                    started = time.perf_counter()
                if decoding:
                    tally.notes += decoding.notes
                if track and not placed:
                    tally.notes.append(f"no frame has a position: {track.told_times}")
        except SourceError as error:
            tally.error, tally.denied = str(error), isinstance(error, DeniedError)
        except (UserError, MemoryError):
            raise
        except Exception as error:
            # A decoder failed in an unforeseen way: this source is lost, the others are not.
            log.warning("Reading %s failed", tally.source.uri, exc_info=True)
            tally.error = f"cannot be read: {type(error).__name__}: {reason(error)}"
        busy.seconds += time.perf_counter() - started


def _infer(
    read: _Channel[list[_Read]],
    inferred: _Channel[list[_Inferred]],
    inference: Inference[L],
    progress: Callable[[int], None] | None,
) -> float:
    looking = _Busy()

    def look(batch: list[_Read]) -> list[L]:
        started = time.perf_counter()
        looks = inference.look([item.frame.image for item in batch if item.frame.image is not None])
        looking.seconds += time.perf_counter() - started
        return looks

    finding = 0.0
    maps: SourceMaps[_Read, L] = SourceMaps(inference.model.ordinary_logit)
    for batch, made in made_ahead(look, read, inference.model.batches_in_flight):
        started = time.perf_counter()
        looks = iter(made)
        done: list[_Inferred] = []
        ready: list[Ready[_Read, L]] = []
        for item in batch:
            if item.frame.image is None:
                done.append(_Inferred(item, None))
            else:
                ready += maps.add(item.tally.source.uri, item.frame.camera, item, next(looks))
        done += _found(inference, ready)
        finding += time.perf_counter() - started
        inferred.put(done)
        if progress:
            progress(len(batch))
    started = time.perf_counter()
    rest = _found(inference, maps.close())
    finding += time.perf_counter() - started
    inferred.put(rest)
    inferred.put(None)
    return looking.seconds + finding


def _found(inference: Inference[L], ready: Sequence[Ready[_Read, L]]) -> list[_Inferred]:
    finishes = inference.find([(one.look, one.usual, _moment(one)) for one in ready])
    return [_Inferred(one.item, finish) for one, finish in zip(ready, finishes, strict=True)]


def _moment(one: Ready[_Read, L]) -> Moment:
    """The frames that waited for each other are those in which an object is followed: a rerun has the same."""
    frame = one.item.frame
    return Moment(one.group, frame.index, frame.timestamp)


def _track(source: Source, tally: _Tally) -> Track | None:
    """The track of a source. A track that cannot be read gives a note, and no frame is lost."""
    try:
        return read_track(source)
    except BadTrack as error:
        tally.notes.append(f"positions in {source.track or source.uri} not used: {error}")
        return None


def _own(frame: Frame) -> Position | None:
    if frame.latitude is None or frame.longitude is None:
        return None
    return Position(frame.latitude, frame.longitude)


def _standing(source: Source) -> Position | None:
    if source.latitude is None or source.longitude is None:
        return None
    return Position(source.latitude, source.longitude)


def _make_rows(inferred: _Channel[list[_Inferred]], rows: ShardRows) -> tuple[float, float]:
    """Finish results and make rows of them, in order: busy seconds of the first, and of both."""
    segmenting = busy = 0.0
    with ThreadPoolExecutor(_SEGMENTING_THREADS, thread_name_prefix="segment") as pool:
        for batch in inferred:
            started = time.perf_counter()
            results = list(pool.map(_Inferred.result, batch))
            segmenting += time.perf_counter() - started
            for item, result in zip(batch, results, strict=True):
                tally, frame = item.read.tally, item.read.frame
                found = rows.add(tally.source, frame, item.read.position, result)
                tally.counts.update(frames=1, failed_frames=int(frame.image is None), instances=found)
                if frame.image is None:
                    tally.first_bad_frame = tally.first_bad_frame or frame.error
            busy += time.perf_counter() - started
    return segmenting, busy
