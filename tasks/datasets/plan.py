"""What a dataset will be: planned first, and kept beside it until it is whole."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from pydantic import TypeAdapter, ValidationError

from schemas.dataset import DatasetFrame, NearPair
from schemas.dataset_format import Blur, DatasetFormat
from schemas.records import ScanRecord
from tasks.datasets.blurring import Detector
from tasks.datasets.cityscapes import label_names
from tasks.datasets.format import Classes
from tasks.datasets.judged_items import Wanted
from tasks.datasets.label_tables import frame_rows, label_rows, read_frames_back
from tasks.datasets.manifest import ScanOfDataset
from tasks.datasets.selection import Selection
from tasks.datasets.split import Shares, check_splits, near_pairs
from tasks.errors import UserError
from tasks.storage import (
    Location,
    read_file,
    replace_file,
)
from tasks.tables import Tables

EVERYTHING = Wanted()
BUILD = "_build"


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
