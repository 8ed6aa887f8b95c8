"""The typed records that cross rooms. Immutable; everything in them can be written as JSON."""

from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from enum import StrEnum


class TimestampSource(StrEnum):
    """Where a capture time comes from, most trusted first."""

    INVENTORY = "inventory"
    SIDECAR = "sidecar"
    CONTAINER = "container"
    FILENAME = "filename"
    MTIME = "mtime"


class Outcome(StrEnum):
    """What became of a source: ``ok`` found something, ``empty`` found nothing, ``partial`` lost some
    frames, ``failed`` lost all; ``forgotten`` was removed on request and is not scanned again."""

    OK = "ok"
    EMPTY = "empty"
    PARTIAL = "partial"
    FAILED = "failed"
    FORGOTTEN = "forgotten"


class FrameStatus(StrEnum):
    """Whether a sampled frame could be read."""

    OK = "ok"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Source:
    """One thing of an archive that holds frames. What kind of thing tells the end of its ``uri``.

    ``size`` is in bytes; ``etag`` changes when the content does; ``captured`` is the time of the first
    frame in UTC; ``footage_seconds`` is how much footage it holds (images count as one second each);
    ``error`` says why it cannot be read, where that is known. ``sidecar`` is the URL of the file that
    describes it; ``latitude`` and ``longitude`` are in degrees, from there; ``track`` is the URL of a file that
    tells them moment by moment. ``note`` tells of something odd that costs nothing, such as a wrong clock.

    A listing knows name, size and etag; what ``tasks.footage.opening`` reads from the inside is, until then, a guess
    (``captured``, ``footage_seconds``) or nothing.
    """

    uri: str
    size: int
    etag: str
    drive: str
    captured: datetime
    captured_from: TimestampSource
    footage_seconds: float
    error: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    sidecar: str | None = None
    track: str | None = None
    note: str | None = None

    @property
    def day(self) -> str:
        """The capture date in UTC, ``YYYY-MM-DD``: the ``dt`` folder of its rows."""
        return self.captured.astimezone(UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Shard:
    """The sources that one task scans. ``shard_id`` is a short hash of them."""

    shard_id: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """What became of one source of a shard.

    ``etag`` is that of the content that the outcome is of; empty where it could not be looked at for a reason
    that is none of its own, such as missing permission: it counts as not scanned, and the next scan tries again.
    ``footage_seconds`` is how much footage it holds, 0 where that could not be told; None in records of old versions.
    ``fingerprint`` is the size and a hash of both ends of a file; None of a folder and in records of old versions.
    """

    uri: str
    etag: str
    outcome: Outcome
    error: str | None
    frames: int
    failed_frames: int
    instances: int
    footage_seconds: float | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class PartFile:
    """One Parquet file of a commit; ``path`` is relative to the tables' root."""

    table: str
    path: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Stages:
    """Busy seconds of each stage of a shard; stages overlap, so they do not add up to its wall time.

    ``scoring`` (dense features and anomaly scores) and ``naming`` (regions and their names) are the parts of
    ``inferring``; ``segmenting`` (masks at the frame's size) is a part of ``writing``, of ``inferring`` once. 0 in
    records of before they were counted.
    """

    reading: float
    inferring: float
    writing: float
    scoring: float = 0.0
    naming: float = 0.0
    segmenting: float = 0.0

    def __add__(self, other: "Stages") -> "Stages":
        """The seconds of both, stage by stage."""
        return Stages(*(getattr(self, stage.name) + getattr(other, stage.name) for stage in fields(self)))


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """Written last and create-only: a shard is done when, and only when, its record exists.

    ``notes`` tell, a line each, what went otherwise than planned and cost nothing. ``run`` is the number of the run
    that wrote it, 0 in records of old versions: of two commits of a source that of the later run is newer, whatever
    the clocks of their machines said.
    """

    scan_id: str
    shard_id: str
    committed: datetime
    files: tuple[PartFile, ...]
    sources: tuple[SourceOutcome, ...]
    seconds: Stages
    notes: tuple[str, ...] = ()
    run: int = 0


@dataclass(frozen=True, slots=True)
class CompactionRecord:
    """The rows of a generation's capture day in merged files; create-only. Of a day the greatest ``number`` counts.

    ``shards`` are those whose rows of that day are in ``files``, all three tables: a reader takes ``files`` instead
    of theirs. Whoever opened the tables before ``compacted`` may still read what was there before. ``forgotten`` counts
    the sources that were forgotten before, by shard, where there are any: their rows are not in the files.
    """

    scan_id: str
    day: date
    number: int
    compacted: datetime
    shards: tuple[str, ...]
    files: tuple[PartFile, ...]
    forgotten: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReferenceNote:
    """The reference of the ordinary that a scan used: its id, where it was, and how many frames, sampled at ``fps``
    frames a second, it rests on."""

    reference_id: str
    url: str
    frames: int
    fps: float


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """One generation of rows: everything that can change a row, and the ``scan_id`` hashed from it.

    ``options`` are the method's options by name; ``vocabulary_sha256`` covers every known class, candidate
    name and synonym. ``keyframes`` says that only those were sampled. Of ``reference`` the id is hashed.
    ``created``, ``code_version`` and ``code_commit`` (None where the code is no checkout) are told, not hashed.
    ``run`` is the number of the run: in the tables that of the first with this record, in a worker that of the run it
    works for; 0 in old records.
    """

    scan_id: str
    schema_version: int
    model: str
    weights_sha256: str
    embedding_dimension: int
    vocabulary: tuple[str, ...]
    vocabulary_sha256: str
    known_classes: int
    fps: float
    options: dict[str, str | float | int | bool | None]
    code_version: str
    created: datetime
    keyframes: bool = False
    code_commit: str | None = None
    run: int = 0
    reference: ReferenceNote | None = None


@dataclass(frozen=True, slots=True)
class NameCount:
    """How often a name was found."""

    name: str
    instances: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What ``scan_shard`` hands back to the flow: small enough for thousands of them."""

    shard_id: str
    frames: int
    instances: int
    names: tuple[NameCount, ...]
    sources: tuple[SourceOutcome, ...]
    seconds: Stages
    already_committed: bool = False
