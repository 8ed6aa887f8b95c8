"""The typed records that rooms hand to each other. Immutable; everything in them can be written as JSON."""

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
    """The result of scanning a source: ``ok`` (finds), ``empty`` (no finds), ``partial`` (some frames lost), ``failed``
    (all frames lost), ``forgotten`` (removed on request, and not scanned again)."""

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
    """One thing in an archive that holds frames: a video, a recording, a tar or a folder of images.

    The end of ``uri`` says which kind it is. ``size`` is in bytes. ``etag`` changes when the content changes.
    ``captured`` is the time of the first frame in UTC. ``footage_seconds`` is the length of the footage (an image
    counts as one second). ``error`` says why the source cannot be read, if that is known. ``sidecar`` is the URL of the
    file that describes it; ``latitude`` and ``longitude`` come from there, in degrees. ``track`` is the URL of a file
    with positions over time. ``note`` is about something unusual that lost nothing, such as a wrong clock.

    A listing gives only name, size and etag. Until ``tasks.footage.frames`` reads the source, ``captured`` and
    ``footage_seconds`` are estimates, and the fields that come from its content are empty.
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
    """The result of one source of a shard.

    ``etag`` is the etag of the content that was scanned. It is empty if the source could not be read for a reason
    outside of it, such as missing permission: then it counts as not scanned, and the next scan tries again.
    ``footage_seconds`` is the length of its footage, 0 if unknown; None in records of old versions. ``fingerprint`` is
    the size and a hash of both ends of a file; None for a folder and in records of old versions.
    ``fetched_bytes`` is how much of a video was fetched from a store, with its header; None if nothing was counted, as
    for a local file.
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
    fetched_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class PartFile:
    """One Parquet file of a commit; ``path`` is relative to the tables' root."""

    table: str
    path: str
    rows: int
    size: int
    sha256: str

    @property
    def day(self) -> date:
        """The capture day of its rows."""
        folder = self.path.rsplit("/", 2)[1]
        return date.fromisoformat(folder.removeprefix("dt="))


@dataclass(frozen=True, slots=True)
class Stages:
    """Busy seconds of each stage of a shard; stages overlap, so they do not add up to its wall time.

    ``scoring`` (dense features and anomaly scores) and ``naming`` (regions and their names) are the parts of
    ``inferring``. ``segmenting`` (masks at the frame's size) is a part of ``writing``; in old records, a part of
    ``inferring``. They are 0 in records of versions that did not measure them.
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
    """A shard is done exactly when its commit record exists. It is written last, and never overwritten.

    ``notes`` are lines about things that did not go as planned but lost nothing. ``run`` is the number of the run that
    wrote the record, 0 in records of old versions. Of two commits of a source, the one of the later run is newer,
    independent of the clocks of the machines.
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
    """The merged files of one capture day of a generation. Never overwritten; the highest ``number`` of a day counts.

    ``files`` hold the rows of that day of these ``shards``, for all three tables: a reader takes ``files`` instead of
    the files of the shards. A reader that opened the tables before ``compacted`` may still read the older files.
    ``forgotten`` counts, for each shard, the sources that were forgotten before the merge: ``files`` do not hold their
    rows. ``schema_version`` is that of all ``files`` if they were upgraded to it, else 0: then it is that of the scan.
    """

    scan_id: str
    day: date
    number: int
    compacted: datetime
    shards: tuple[str, ...]
    files: tuple[PartFile, ...]
    forgotten: dict[str, int] = field(default_factory=dict)
    schema_version: int = 0


@dataclass(frozen=True, slots=True)
class ReferenceNote:
    """The reference of ordinary footage that a scan used: its id, its place, and how many frames it was made from,
    sampled at ``fps`` frames a second."""

    reference_id: str
    url: str
    frames: int
    fps: float


@dataclass(frozen=True, slots=True)
class ScanRecord:
    """One generation of rows: everything that can change a row, and the ``scan_id`` hashed from it.

    ``options`` are the method's options by name. ``vocabulary_sha256`` covers every known class, candidate name and
    synonym. ``keyframes`` says that only key frames were sampled. ``decoder`` is the device on which torchcodec
    decoded the videos, None for our own decoder. The hash includes the id of ``reference``. It does
    not include ``created``, ``code_version`` and ``code_commit`` (None if the code is not a checkout). ``run`` is the
    number of a run: in the tables, of the first run with this record; in a worker, of the run that it works for; 0 in
    old records.
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
    decoder: str | None = None


@dataclass(frozen=True, slots=True)
class NameCount:
    """How often a name was found."""

    name: str
    instances: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What ``scan_shard`` returns to the flow: small, because there are thousands of them."""

    shard_id: str
    frames: int
    instances: int
    names: tuple[NameCount, ...]
    sources: tuple[SourceOutcome, ...]
    seconds: Stages
    already_committed: bool = False
