"""What a dataset will be: planned first, and written in parts, each recorded when it is done.

Plan and records are kept beside it until it is whole, so that a build that was cut off goes on.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial

from pydantic import TypeAdapter, ValidationError

from schemas.dataset import DatasetFrame, NearPair, Split
from schemas.dataset_format import Blur, DatasetFormat
from schemas.records import ScanRecord
from tasks.datasets.blurring import Blurrer, Detector
from tasks.datasets.cityscapes import label_names
from tasks.datasets.format import Classes, Losses, OutputFile
from tasks.datasets.formats import format_named
from tasks.datasets.image_store import Content, read_pictures
from tasks.datasets.judged_items import Wanted
from tasks.datasets.manifest import FileHash, Placed, ScanOfDataset, frame_rows, label_rows, read_frames_back
from tasks.datasets.selection import Selection
from tasks.datasets.split import Shares, check_splits, near_pairs
from tasks.errors import UserError
from tasks.storage import (
    Location,
    file_names,
    read_file,
    replace_file,
)
from tasks.tables import Tables

EVERYTHING = Wanted()
BUILD = "_build"
_WRITERS = 4
_WRITES_AHEAD = 16
# A part is cut where a source ends, so that a video is decoded once; but a part must fit in memory.
PART_FRAMES = 100
_LARGEST_PART = 400


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """What decides the content of a dataset, beside the decisions themselves.

    ``format`` is the name of a built-in ``DatasetFormat``, or of a format that a plugin adds.
    ``seed`` and ``shares`` are of the split by drive, see ``split_drives``; objects of different splits with a cosine
    of at least ``near`` are reported. ``blur`` names what is made unrecognisable.
    """

    tables: str
    format: str
    wanted: Wanted = EVERYTHING
    seed: int = 0
    shares: Shares = (0.8, 0.1, 0.1)
    near: float = 0.95
    blur: tuple[Blur, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The selection as it was when the build began, its frames aside."""

    options: DatasetOptions
    detectors: tuple[Detector, ...]
    classes: Classes
    near: tuple[NearPair, ...]
    warnings: tuple[str, ...]
    without_rows: int
    left_out: int
    scans: tuple[ScanOfDataset, ...]


_PLAN = TypeAdapter(Plan)


def make_plan(selection: Selection, options: DatasetOptions, detectors: tuple[Detector, ...]) -> Plan:
    """The plan of a selection. Raises UsageError where the format cannot hold its classes."""
    scans = scans_of(options.tables, selection.frames)
    classes = Classes(selection.objects, selection.known, known_vocabulary(scans))
    if options.format == DatasetFormat.CITYSCAPES:
        label_names(classes)  # raises when there are too many
    return Plan(
        options,
        detectors,
        classes,
        near_pairs(selection.embeddings, options.near),
        check_splits(selection.frames, options.seed, options.shares),
        selection.without_rows,
        selection.left_out,
        tuple(
            ScanOfDataset(scan.scan_id, scan.model, scan.weights_sha256, scan.vocabulary_sha256, scan.code_version)
            for scan in scans
        ),
    )


def scans_of(tables: str, frames: Iterable[DatasetFrame]) -> list[ScanRecord]:
    """The scans that found something on these frames, oldest first."""
    used = {label.scan_id for frame in frames for label in frame.labels}
    return [scan for scan in Tables.at(tables).scans() if scan.scan_id in used]


def known_vocabulary(scans: Sequence[ScanRecord]) -> tuple[str, ...]:
    """The known classes (V) of the newest of these scans."""
    return tuple(scans[-1].vocabulary[: scans[-1].known_classes]) if scans else ()


def write_plan(out: Location, plan: Plan, frames: Sequence[DatasetFrame]) -> None:
    """Keep a plan and its frames beside the dataset that is begun."""
    build = out.child(BUILD)
    replace_file(build.child("frames.parquet"), frame_rows(frames))
    replace_file(build.child("labels.parquet"), label_rows(frames))
    replace_file(build.child("plan.json"), _PLAN.dump_json(plan, indent=1))


def read_plan(out: Location) -> tuple[Plan, tuple[DatasetFrame, ...]]:
    """The plan of a build that was cut off. Raises UserError when it is damaged."""
    build = out.child(BUILD)
    try:
        plan = _PLAN.validate_json(read_file(build.child("plan.json")))
    except ValidationError as error:
        raise UserError(f"{build.url} is damaged or of another version. Remove {out.url} and build again.") from error
    frames = read_frames_back(read_file(build.child("frames.parquet")), read_file(build.child("labels.parquet")))
    return plan, frames


def plan_digest(plan: Plan, frames: Sequence[DatasetFrame]) -> str:
    """The SHA-256 of all that decides the content of a dataset."""
    digest = hashlib.sha256()
    for data in (_PLAN.dump_json(plan), frame_rows(frames), label_rows(frames)):
        digest.update(data)
    return digest.hexdigest()


def difference(one: DatasetOptions, other: DatasetOptions) -> str:
    """In words, which options of two builds differ."""
    names = [field.name for field in fields(DatasetOptions) if getattr(one, field.name) != getattr(other, field.name)]
    return "with another " + " and ".join("filter" if name == "wanted" else name for name in names)


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
