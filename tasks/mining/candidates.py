"""Make one candidate for each object from the instances of the tables: its track, shown by its best frame."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from schemas.records import ScanRecord
from schemas.review import Box, TrackFrame
from schemas.tables import Table
from tasks.tables import Tables
from tasks.tables.embeddings import OneModel, Vectors, read_one_model, read_vectors

_COLUMNS = (
    "instance_id", "track_id", "source_uri", "frame_index", "timestamp", "name", "anomaly_score", "area",
    "bbox_x", "bbox_y", "bbox_width", "bbox_height", "frame_height", "frame_width", "latitude", "longitude", "names",
)  # fmt: skip
_CUT = 0.5  # weight of an instance at the frame's edge, where the object may be cut off


@dataclass(frozen=True, slots=True)
class Best:
    """The instance that shows a candidate, as in the table."""

    scan_id: str
    source_uri: str
    frame_index: int
    timestamp: datetime
    frame_height: int
    frame_width: int
    box: Box
    name: str
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True)
class Guesses:
    """The possible names of N objects: ``name`` (N, K) are indices into ``names``, with their ``probability`` (N, K), 0
    if an object has fewer names. The rest to 1 belongs to names that are not listed."""

    names: tuple[str, ...]
    name: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The objects that one model found: arrays of length N, in order of their track ids.

    ``best`` is the row of ``rows`` (all their instances, sorted by track) that shows the object best; ``first`` and
    ``sights`` are where its instances begin there and how many there are. ``score`` is its greatest anomaly score in
    [0, 1], ``size`` the share of the frame that it covers at its best. ``places`` are (latitude, longitude) in
    degrees, NaN where unknown. ``guesses`` are the names that each may have. ``vectors`` are (N, D) float16, of
    length 1.
    """

    scans: tuple[ScanRecord, ...]
    rows: pa.Table
    track_ids: list[str]
    best: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    sights: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]
    names: npt.NDArray[np.object_]
    guesses: Guesses
    places: npt.NDArray[np.float64]
    vectors: Vectors
    warning: str | None

    def __len__(self) -> int:
        return len(self.track_ids)

    def row(self, candidate: int) -> Best:
        """The best instance of a candidate."""
        [row] = self.rows.slice(int(self.best[candidate]), 1).to_pylist()
        return Best(
            scan_id=row["scan"],
            source_uri=row["source_uri"],
            frame_index=row["frame_index"],
            timestamp=row["timestamp"],
            frame_height=row["frame_height"],
            frame_width=row["frame_width"],
            box=_box(row),
            name=row["name"],
            latitude=row["latitude"],
            longitude=row["longitude"],
        )

    def track(self, candidate: int) -> tuple[TrackFrame, ...]:
        """Every frame on which it was seen, in order."""
        start = int(self.first[candidate])
        frames = self.rows.slice(start, int(self.sights[candidate])).to_pylist()
        return tuple(TrackFrame(int(row["frame_index"]), _time(row["timestamp"]), _box(row)) for row in frames)


def _box(row: dict[str, object]) -> Box:
    return Box(*(int(str(row[f"bbox_{side}"])) for side in ("x", "y", "width", "height")))


def _time(value: object) -> datetime:
    assert isinstance(value, datetime)
    return value


def read_candidates(tables: Tables, condition: ds.Expression | None = None) -> Candidates:
    """Read the tables: the objects whose instances meet ``condition``.

    If the tables hold finds of several models, only those of the newest model are used, and ``warning`` says so. An
    instance of an old scan without tracks is a track of its own.

    Raises UserError when there are no tables or the embeddings are missing.
    """
    found = read_one_model(tables, _COLUMNS, condition)
    rows = _by_track(found)
    tracks = rows["track_id"].combine_chunks().dictionary_encode()
    codes = tracks.indices.to_numpy(zero_copy_only=False)
    first = np.flatnonzero(np.diff(codes, prepend=-1)).astype(np.int64)
    sights = np.diff(np.append(first, len(rows)))
    score, share, cut = _quality(rows)
    quality = score * np.sqrt(share) * np.where(cut, _CUT, 1.0)
    # A stable sort: among equals, the earliest is shown.
    order = np.lexsort((-quality, codes))
    best = order[first]
    shown = rows.take(pa.array(best))
    places = np.stack([shown[side].to_numpy().astype(np.float64) for side in ("latitude", "longitude")], axis=1)
    return Candidates(
        scans=found.scans,
        rows=rows.drop_columns(["names"]),
        track_ids=tracks.dictionary.to_pylist(),
        best=best,
        first=first,
        sights=sights,
        score=np.maximum.reduceat(score, first) if len(rows) else score,
        size=share[best],
        names=shown["name"].to_numpy(),
        guesses=_guesses(shown["names"].combine_chunks()),
        places=places,
        vectors=read_vectors(tables, found.scans, shown["instance_id"]),
        warning=found.warning(),
    )


def _by_track(found: OneModel) -> pa.Table:
    rows = found.rows
    tracks = pc.coalesce(rows["track_id"], rows["instance_id"])
    rows = rows.set_column(rows.schema.get_field_index("track_id"), "track_id", tracks)
    # Addresses and names repeat: a million of them must fit in memory beside the embeddings.
    for name in ("source_uri", "name", "scan"):
        column = rows[name].dictionary_encode().unify_dictionaries()
        rows = rows.set_column(rows.schema.get_field_index(name), name, column)
    return rows.sort_by([("track_id", "ascending"), ("frame_index", "ascending"), ("instance_id", "ascending")])


def _guesses(names: pa.ListArray) -> Guesses:
    """The names of each, which a table may leave out."""
    lengths = pc.fill_null(pc.list_value_length(names), 0).to_numpy()
    told = names.flatten()
    at = (
        np.repeat(np.arange(len(names)), lengths),
        np.arange(len(told)) - np.repeat(np.cumsum(lengths) - lengths, lengths),
    )
    shape = len(names), int(lengths.max(initial=0))
    encoded = told.field("name").dictionary_encode()
    guesses = Guesses(tuple(encoded.dictionary.to_pylist()), np.zeros(shape, np.int64), np.zeros(shape))
    guesses.name[at] = encoded.indices.to_numpy()
    guesses.probability[at] = told.field("score").to_numpy(zero_copy_only=False).clip(0, 1)
    return guesses


def _quality(rows: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Score, covered share of the frame, and whether the frame's edge may cut the object off."""
    x, y, width, height, rows_, columns, area = (
        rows[name].to_numpy().astype(np.float64)
        for name in ("bbox_x", "bbox_y", "bbox_width", "bbox_height", "frame_height", "frame_width", "area")
    )
    cut = (x <= 1) | (y <= 1) | (x + width >= columns - 1) | (y + height >= rows_ - 1)
    return rows["anomaly_score"].to_numpy().astype(np.float64), area / (rows_ * columns), cut


@dataclass(frozen=True, slots=True)
class Shown:
    """The columns of an instance that are only needed to show it."""

    instance_id: str
    drive: str
    names: tuple[tuple[str, float], ...]
    mask_rle: bytes
    timestamp_source: str


def read_shown(tables: Tables, instance_ids: list[str]) -> dict[str, Shown]:
    """The columns that are only needed to show instances, for a few ids."""
    table = tables.open(Table.INSTANCES).to_table(
        columns=["instance_id", "drive", "names", "mask_rle", "timestamp_source"],
        filter=ds.field("instance_id").isin(pa.array(instance_ids, pa.string())),
    )
    return {
        row["instance_id"]: Shown(
            row["instance_id"],
            row["drive"],
            tuple((name["name"], float(name["score"])) for name in row["names"] or ()),
            row["mask_rle"],
            row["timestamp_source"],
        )
        for row in table.to_pylist()
    }
