"""The pictures of a dataset, written in parts, each recorded when it is done: so a build that was cut off goes on."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter

from schemas.dataset import DatasetFrame, Split
from tasks.datasets.blurring import Blurrer
from tasks.datasets.format import Losses, OutputFile
from tasks.datasets.formats import format_named
from tasks.datasets.image_store import Content, read_pictures
from tasks.datasets.label_tables import Placed
from tasks.datasets.manifest import FileHash
from tasks.datasets.plan import BUILD, Plan
from tasks.storage import (
    Location,
    file_names,
    read_file,
    replace_file,
)

_WRITERS = 4
_WRITES_AHEAD = 16
# A part is cut where a source ends, so that a video is decoded once; but a part must fit in memory.
PART_FRAMES = 100
_LARGEST_PART = 400


@dataclass(frozen=True, slots=True)
class Missing:
    """A frame that could not be read, and why."""

    frame_id: str
    source_uri: str
    frame_index: int
    error: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A run of frames of one split that is written and recorded in one go."""

    name: str
    frames: tuple[DatasetFrame, ...]


@dataclass(frozen=True, slots=True)
class DonePart:
    """What became of a part."""

    placed: tuple[Placed, ...]
    files: tuple[FileHash, ...]
    missing: tuple[Missing, ...]
    losses: Losses


_DONE = TypeAdapter(DonePart)


def _parts(frames: Iterable[DatasetFrame]) -> Iterator[_Part]:
    """Runs of frames of one split; always cut alike, so that a build that goes on finds its parts again."""
    numbers: Counter[Split] = Counter()
    group: list[DatasetFrame] = []

    def finished() -> _Part:
        split = group[0].split
        numbers[split] += 1
        return _Part(f"{split}-{numbers[split] - 1:05d}", tuple(group))

    for frame in frames:
        last = group[-1] if group else frame
        full = len(group) >= PART_FRAMES and frame.source_uri != last.source_uri
        if group and (frame.split is not last.split or full or len(group) >= _LARGEST_PART):
            yield finished()
            group = []
        group.append(frame)
    if group:
        yield finished()


def write_parts(
    out: Location,
    plan: Plan,
    frames: Sequence[DatasetFrame],
    blur: Blurrer | None,
    skip_missing: bool,
    progress: Callable[[int, int], None] | None,
) -> list[DonePart]:
    """Write the parts that are not there yet; what became of each. ``progress`` gets frames done and all."""
    records = out.child(f"{BUILD}/parts")
    there = set(file_names(records, ".json"))
    done: list[DonePart] = []
    finished = 0
    for part in _parts(frames):
        record = records.child(f"{part.name}.json")
        before = _DONE.validate_json(read_file(record)) if f"{part.name}.json" in there else None
        if before is None or (before.missing and not skip_missing):
            before = _write_part(out, part, plan, blur)
            replace_file(record, _DONE.dump_json(before))
        done.append(before)
        finished += len(part.frames)
        if progress:
            progress(finished, len(frames))
    return done


def _write_part(out: Location, part: _Part, plan: Plan, blur: Blurrer | None) -> DonePart:
    form = format_named(plan.options.format)
    missing: list[Missing] = []

    def contents() -> Iterator[Content]:
        for content in read_pictures(part.frames, form.images, blur):
            if content.error is not None:
                frame = content.frame
                missing.append(Missing(frame.frame_id, frame.source_uri, frame.frame_index, content.error))
            yield content

    placed: list[Placed] = []
    files: list[FileHash] = []
    losses = Losses()
    for file in write_files(out, form.part(part.name, contents(), plan.classes)):
        losses += file.losses
        for frame_id, picture in file.pictures:
            digest = hashlib.sha256(picture.data).hexdigest()
            size = len(picture.data)
            placed.append(Placed(frame_id, file.path, digest, size, picture.copied, picture.blurred))
        if not (file.pictures and file.data is file.pictures[0][1].data):  # a picture's hash stands with its frame
            files.append(file_hash(file))
    return DonePart(tuple(placed), tuple(files), tuple(missing), losses)


def write_files(out: Location, files: Iterable[OutputFile]) -> Iterator[OutputFile]:
    """Write files, a few at a time, and hand each on when it is there."""
    waiting: deque[tuple[OutputFile, Future[None]]] = deque()
    with ThreadPoolExecutor(_WRITERS) as pool:
        for file in files:
            # Waiting for the disk at each of a hundred thousand pictures takes longer than all else together.
            write = partial(replace_file, out.child(file.path), file.data, durable=False)
            waiting.append((file, pool.submit(write)))
            if len(waiting) > _WRITES_AHEAD:
                first, writing = waiting.popleft()
                writing.result()
                yield first
        for last, writing in waiting:
            writing.result()
            yield last


def file_hash(file: OutputFile) -> FileHash:
    """The hash that the manifest keeps of a file."""
    return FileHash(file.path, len(file.data), hashlib.sha256(file.data).hexdigest())
