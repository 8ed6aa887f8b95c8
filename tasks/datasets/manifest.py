"""What a finished dataset says of itself."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from schemas.dataset import DatasetFrame, Role, Split
from tasks.datasets.blurring import Detector
from tasks.datasets.format import Losses
from tasks.datasets.judged_items import Wanted
from tasks.datasets.split import Shares


@dataclass(frozen=True, slots=True)
class FileHash:
    """A file below the dataset's folder; those of single pictures stand in ``frames.parquet``."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ScanOfDataset:
    """The scan that found instances of the dataset."""

    scan_id: str
    model: str
    weights_sha256: str
    vocabulary_sha256: str
    code_version: str


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many instances of a class are in a split; ``name`` is None for background."""

    name: str | None
    role: Role
    split: Split
    instances: int
    objects: int


@dataclass(frozen=True, slots=True)
class SplitCount:
    """How much there is in a split; ``background`` frames have no instance, ``unlabelled`` ones have an instance
    without a label."""

    split: Split
    drives: int
    frames: int
    background: int
    unlabelled: int
    instances: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The dataset in numbers."""

    splits: tuple[SplitCount, ...]
    classes: tuple[ClassCount, ...]


@dataclass(frozen=True, slots=True)
class Blurring:
    """Which detectors chose what is blurred, and how many places in how many frames are blurred."""

    detectors: tuple[Detector, ...] = ()
    frames: int = 0
    places: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """Written last. ``selection`` is the SHA-256 over everything that was planned; ``limits`` say what the format
    cannot hold and ``losses`` how often that was so; ``missing`` are frames that were left out."""

    clipomaly: str
    format: str
    selection: str
    options: Wanted
    tables: str
    seed: int
    shares: Shares
    near_threshold: float
    objects: tuple[str, ...]
    known: tuple[str, ...]
    scans: tuple[ScanOfDataset, ...]
    counts: Counts
    pictures: str
    limits: tuple[str, ...]
    losses: Losses
    warnings: tuple[str, ...]
    without_rows: int
    left_out: int
    near_duplicates: int
    missing: tuple[str, ...]
    blur: Blurring
    files: tuple[FileHash, ...]

    def with_files(self, files: Iterable[FileHash]) -> "Manifest":
        """The same with the files that are written."""
        return replace(self, files=tuple(files))


def count(frames: Iterable[DatasetFrame]) -> Counts:
    """Count frames, instances and objects by split and class."""
    drives: dict[Split, set[str]] = {split: set() for split in Split}
    numbers: Counter[tuple[Split, str]] = Counter()
    instances: Counter[tuple[Role, str | None, Split]] = Counter()
    objects: dict[tuple[Role, str | None, Split], set[str]] = {}
    for frame in frames:
        split = frame.split
        drives[split].add(frame.drive)
        own = [label for label in frame.labels if label.role is not Role.BACKGROUND]
        numbers[split, "frames"] += 1
        numbers[split, "background"] += not own
        numbers[split, "unlabelled"] += frame.unlabelled > 0
        numbers[split, "instances"] += len(own)
        for label in frame.labels:
            key = (label.role, label.name, split)
            instances[key] += 1
            objects.setdefault(key, set()).add(label.item_id)
    order = {role: place for place, role in enumerate(Role)}
    classes = sorted(instances, key=lambda key: (order[key[0]], key[1] or "", list(Split).index(key[2])))
    return Counts(
        tuple(
            SplitCount(
                split,
                len(drives[split]),
                *(numbers[split, what] for what in ("frames", "background", "unlabelled", "instances")),
            )
            for split in Split
        ),
        tuple(
            ClassCount(name, role, split, instances[role, name, split], len(objects[role, name, split]))
            for role, name, split in classes
        ),
    )
