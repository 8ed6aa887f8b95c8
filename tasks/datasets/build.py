"""Build a training dataset of judged items: plan first, pictures in parts, manifest last.

OUT/_build/…              the plan and a record for each part that is done; gone when the dataset is finished
OUT/<files of the format>
OUT/frames.parquet        where each frame comes from, where its picture is, and its sha256
OUT/labels.parquet        each instance: mask, item, scan, and who decided what when
OUT/near_duplicates.csv   frames of different splits that look alike
OUT/README.md, samples.jpg
OUT/manifest.json         written last: a dataset is whole when it is there
"""

import csv
import hashlib
import io
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial

from pydantic import TypeAdapter, ValidationError

from schemas.dataset import DatasetFrame, NearPair, Split
from schemas.dataset_format import Blur, DatasetFormat
from schemas.review import QueuedItem
from schemas.version import VERSION
from tasks.datasets.blurring import Blurrer, Detector, load_blurrer
from tasks.datasets.card import card, sample_sheet
from tasks.datasets.cityscapes import label_names
from tasks.datasets.format import Classes, Format, Kept, Losses, OutputFile
from tasks.datasets.formats import format_named
from tasks.datasets.image_store import JPEG_QUALITY, Content, ImageForm, gone_sources, read_pictures
from tasks.datasets.label_tables import Placed, frame_rows, label_rows, read_frames_back
from tasks.datasets.manifest import Blurring, Counts, FileHash, Manifest, ScanOfDataset, count
from tasks.datasets.selection import Selection, Wanted, select
from tasks.datasets.split import Shares, check_splits, near_pairs
from tasks.errors import UserError
from tasks.storage import Location, cannot_read, exists, file_names, is_local, locate, read_file, replace_file
from tasks.storage_errors import storage_errors
from tasks.tables import Tables

EVERYTHING = Wanted()
_BUILD = "_build"
_WRITERS = 4
_WRITES_AHEAD = 16
# A part is cut where a source ends, so that a video is decoded once; but a part must fit in memory.
_PART = 100
_LARGEST_PART = 400
_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{32}")  # what a killed writer leaves beside its file


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """What decides the content of a dataset, beside the decisions themselves.

    ``format`` is the name of one that is built in, a ``DatasetFormat``, or of one that a plugin adds.
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
class Missing:
    """A frame that could not be read, and why."""

    frame_id: str
    source_uri: str
    frame_index: int
    error: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """The selection as it was when the build began, its frames aside."""

    options: DatasetOptions
    detectors: tuple[Detector, ...]
    classes: Classes
    near: tuple[NearPair, ...]
    warnings: tuple[str, ...]
    without_rows: int
    left_out: int
    scans: tuple[ScanOfDataset, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A run of frames of one split that is written and recorded in one go."""

    name: str
    frames: tuple[DatasetFrame, ...]


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of a part."""

    placed: tuple[Placed, ...]
    files: tuple[FileHash, ...]
    missing: tuple[Missing, ...]
    losses: Losses


@dataclass(frozen=True, slots=True)
class Built:
    """What ``build_dataset`` did. ``resumed`` says that it went on with an older plan, ``there`` that the same
    dataset was there already."""

    manifest: Manifest
    resumed: bool = False
    there: bool = False


_PLAN = TypeAdapter(_Plan)
_DONE = TypeAdapter(_Done)
_MANIFEST = TypeAdapter(Manifest)


def build_dataset(
    items: Callable[[], Iterable[QueuedItem]],
    out_url: str,
    options: DatasetOptions,
    *,
    skip_missing: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Build a dataset, or go on with one that was cut off.

    Args:
        items: gives the judged items of the queue; not called when a build goes on, which keeps to its plan.
        out_url: an empty or new folder, or any fsspec URL.
        options: what is taken and how it is written.
        skip_missing: leave out frames that cannot be read any more instead of failing.
        progress: told how many frames of how many are written.

    Raises:
        UserError: nothing to build of, frames gone, a place that holds something else or cannot be written.
            There is no manifest then; the same command goes on where it ended.
    """
    out = locate(out_url)
    format_named(options.format)  # raises before anything is read
    blur = load_blurrer(options.blur)
    detectors = blur.detectors if blur else ()
    resumed = exists(out.child(f"{_BUILD}/plan.json"))
    if resumed and not exists(out.child("manifest.json")):
        plan, frames = _read_plan(out)
        if plan.options != options:
            raise UserError(
                f"{out.url} holds the beginning of another build ({_difference(plan.options, options)}). Run that one "
                "again, remove the folder, or name another."
            )
        if plan.detectors != detectors:
            raise UserError(
                f"{out.url} holds the beginning of a build that blurs with another detector "
                f"({', '.join(one.package for one in plan.detectors)}). Install that one again, or remove the folder."
            )
    else:
        resumed = False
        selection = select(items(), Tables.at(options.tables), options.wanted, options.seed, options.shares)
        plan, frames = _plan(selection, options, detectors), selection.frames
        if manifest := read_manifest(out_url):
            if manifest.selection != _digest(plan, frames):
                raise UserError(
                    f"{out.url} holds a dataset of another selection. Name another folder: a dataset that somebody "
                    "may be training with is not changed."
                )
            _clear(out)
            return Built(manifest, there=True)
        _check_place(out)
        gone = gone_sources(frames)
        if gone and not skip_missing:
            raise UserError(
                f"{len(gone)} source{'s' if len(gone) > 1 else ''} of the dataset {'are' if len(gone) > 1 else 'is'} "
                f"gone from the archive, such as {gone[0]}. Bring them back, or leave their frames out by "
                "--skip-missing."
            )
        _write_plan(out, plan, frames)
    done = _write_parts(out, plan, frames, blur, skip_missing, progress)
    missing = tuple(one for part in done for one in part.missing)
    if missing and not skip_missing:
        raise UserError(
            f"{len(missing)} of {len(frames)} frames cannot be read any more, such as frame {missing[0].frame_index} "
            f"of {missing[0].source_uri} ({missing[0].error}). Bring them back and run the same command again, or "
            "leave them out by --skip-missing."
        )
    if len(missing) == len(frames):
        raise UserError(f"None of the {len(frames)} frames can be read any more: {missing[0].error}.")
    manifest = _finish(out, plan, frames, done, blur)
    if resumed:
        _sweep(out)
    _clear(out)
    return Built(manifest, resumed=resumed)


def read_manifest(out_url: str) -> Manifest | None:
    """The manifest of a dataset; None where there is no finished one. Raises UserError when it is damaged."""
    place = locate(out_url).child("manifest.json")
    if not exists(place):
        return None
    try:
        return _MANIFEST.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is no manifest of a Clipomaly dataset. Name another folder.") from error


# ------------------------------------------------------------------------------------------------ plan


def _plan(selection: Selection, options: DatasetOptions, detectors: tuple[Detector, ...]) -> _Plan:
    used = {label.scan_id for frame in selection.frames for label in frame.labels}
    scans = [scan for scan in Tables.at(options.tables).scans() if scan.scan_id in used]
    classes = Classes(
        selection.objects,
        selection.known,
        scans[-1].vocabulary[: scans[-1].known_classes] if scans else (),
    )
    if options.format == DatasetFormat.CITYSCAPES:
        label_names(classes)  # raises when there are too many
    return _Plan(
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


def _write_plan(out: Location, plan: _Plan, frames: Sequence[DatasetFrame]) -> None:
    build = out.child(_BUILD)
    replace_file(build.child("frames.parquet"), frame_rows(frames))
    replace_file(build.child("labels.parquet"), label_rows(frames))
    replace_file(build.child("plan.json"), _PLAN.dump_json(plan, indent=1))


def _read_plan(out: Location) -> tuple[_Plan, tuple[DatasetFrame, ...]]:
    build = out.child(_BUILD)
    try:
        plan = _PLAN.validate_json(read_file(build.child("plan.json")))
    except ValidationError as error:
        raise UserError(f"{build.url} is damaged or of another version. Remove {out.url} and build again.") from error
    frames = read_frames_back(read_file(build.child("frames.parquet")), read_file(build.child("labels.parquet")))
    return plan, frames


def _digest(plan: _Plan, frames: Sequence[DatasetFrame]) -> str:
    digest = hashlib.sha256()
    for data in (_PLAN.dump_json(plan), frame_rows(frames), label_rows(frames)):
        digest.update(data)
    return digest.hexdigest()


def _difference(one: DatasetOptions, other: DatasetOptions) -> str:
    names = [field.name for field in fields(DatasetOptions) if getattr(one, field.name) != getattr(other, field.name)]
    return "with another " + " and ".join("filter" if name == "wanted" else name for name in names)


def _check_place(out: Location) -> None:
    try:
        found = out.fs.ls(out.path, detail=False) if out.fs.exists(out.path) else []
    except storage_errors() as error:
        raise cannot_read(out, error) from error
    # A killed build that had no plan yet left its folder; a store lists the prefix itself.
    others = [path for path in map(str, found) if path.rstrip("/").rsplit("/", 1)[-1] not in ("", _BUILD)]
    if others:
        raise UserError(f"{out.url} is not empty and holds no dataset of Clipomaly. Name another folder.")


def _clear(out: Location) -> None:
    build = out.child(_BUILD)
    try:
        if out.fs.exists(build.path):
            out.fs.rm(build.path, recursive=True)
    except storage_errors() as error:
        raise UserError(f"The dataset is whole, but {build.url} cannot be removed: {error}. Remove it.") from error


def _sweep(out: Location) -> None:
    """Remove the half-written temporary files that a killed build left on a local disk."""
    if is_local(out.fs):
        for folder, _, names in os.walk(out.path):
            for name in names:
                if _LEFT_BEHIND.fullmatch(name):
                    os.unlink(os.path.join(folder, name))


# ----------------------------------------------------------------------------------------------- parts


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
        full = len(group) >= _PART and frame.source_uri != last.source_uri
        if group and (frame.split is not last.split or full or len(group) >= _LARGEST_PART):
            yield finished()
            group = []
        group.append(frame)
    if group:
        yield finished()


def _write_parts(
    out: Location,
    plan: _Plan,
    frames: Sequence[DatasetFrame],
    blur: Blurrer | None,
    skip_missing: bool,
    progress: Callable[[int, int], None] | None,
) -> list[_Done]:
    records = out.child(f"{_BUILD}/parts")
    there = set(file_names(records, ".json"))
    done: list[_Done] = []
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


def _write_part(out: Location, part: _Part, plan: _Plan, blur: Blurrer | None) -> _Done:
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
    for file in _written(out, form.part(part.name, contents(), plan.classes)):
        losses += file.losses
        for frame_id, picture in file.pictures:
            digest = hashlib.sha256(picture.data).hexdigest()
            size = len(picture.data)
            placed.append(Placed(frame_id, file.path, digest, size, picture.copied, picture.blurred))
        if not (file.pictures and file.data is file.pictures[0][1].data):  # a picture's hash stands with its frame
            files.append(_hash(file))
    return _Done(tuple(placed), tuple(files), tuple(missing), losses)


def _written(out: Location, files: Iterable[OutputFile]) -> Iterator[OutputFile]:
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


def _hash(file: OutputFile) -> FileHash:
    return FileHash(file.path, len(file.data), hashlib.sha256(file.data).hexdigest())


# ----------------------------------------------------------------------------------------------- finish


def _finish(
    out: Location, plan: _Plan, frames: Sequence[DatasetFrame], done: Sequence[_Done], blur: Blurrer | None
) -> Manifest:
    form = format_named(plan.options.format)
    placed = {one.frame_id: one for part in done for one in part.placed}
    kept = [Kept(frame, placed[frame.frame_id].path) for frame in frames if frame.frame_id in placed]
    hashes = [file for part in done for file in part.files]
    for file in _written(out, form.closing(kept, plan.classes)):
        hashes.append(_hash(file))
    left = [one.frame for one in kept]
    manifest = Manifest(
        clipomaly=VERSION,
        format=plan.options.format,
        selection=_digest(plan, frames),
        options=plan.options.wanted,
        tables=plan.options.tables,
        seed=plan.options.seed,
        shares=plan.options.shares,
        near_threshold=plan.options.near,
        objects=plan.classes.objects,
        known=plan.classes.known,
        scans=plan.scans,
        counts=count(left),
        pictures=_told_pictures(list(placed.values()), form),
        limits=form.limits,
        losses=sum((part.losses for part in done), Losses()),
        warnings=plan.warnings,
        without_rows=plan.without_rows,
        left_out=plan.left_out,
        near_duplicates=len(plan.near),
        missing=tuple(
            f"{one.source_uri} frame {one.frame_index}: {one.error}" for part in done for one in part.missing
        ),
        blur=Blurring(
            plan.detectors,
            sum(one.blurred > 0 for one in placed.values()),
            sum(one.blurred for one in placed.values()),
        ),
        files=(),
    )
    sheet = sample_sheet(left, blur)
    closing = [
        OutputFile("frames.parquet", frame_rows(left, placed)),
        OutputFile("labels.parquet", label_rows(left)),
        OutputFile("near_duplicates.csv", _near_rows(plan.near)),
        OutputFile("README.md", card(manifest, form.load, plan.near, sheet is not None).encode()),
        *([OutputFile("samples.jpg", sheet)] if sheet else []),
    ]
    hashes += [_hash(file) for file in _written(out, closing)]
    whole = manifest.with_files(sorted(hashes, key=lambda file: file.path))
    replace_file(out.child("manifest.json"), _MANIFEST.dump_json(whole, indent=1) + b"\n")
    return whole


def _told_pictures(placed: Sequence[Placed], form: Format) -> str:
    copied = sum(one.copied for one in placed)
    how = "PNG" if form.images is ImageForm.PNG else f"JPEG of quality {JPEG_QUALITY}"
    return f"{copied} copied as they are, {len(placed) - copied} encoded as {how}"


def _near_rows(pairs: Iterable[NearPair]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(NearPair))
    for pair in pairs:
        writer.writerow(getattr(pair, field.name) for field in fields(NearPair))
    return text.getvalue().encode()


__all__ = ["Built", "Counts", "DatasetOptions", "Missing", "build_dataset", "read_manifest"]
