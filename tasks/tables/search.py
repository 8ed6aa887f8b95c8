"""Search by text: rank every scanned object by its embeddings and that of the words. No pixels are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from schemas.records import ScanRecord
from tasks.errors import UsageError, UserError
from tasks.tables.embeddings import OneModel, cosines, read_one_model
from tasks.tables.tables import Tables

_COLUMNS = ("instance_id", "track_id")


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Filters for instances; None means no condition. ``since`` and ``until`` are capture dates in UTC, both
    included."""

    since: date | None = None
    until: date | None = None
    drive: str | None = None
    name: str | None = None

    def condition(self) -> ds.Expression | None:
        """As a condition on the table ``instances``."""
        terms = []
        if self.since is not None:
            terms.append(ds.field("timestamp") >= pa.scalar(_midnight(self.since)))
        if self.until is not None:
            terms.append(ds.field("timestamp") < pa.scalar(_midnight(self.until) + timedelta(days=1)))
        if self.drive is not None:
            terms.append(ds.field("drive") == self.drive)
        if self.name is not None:
            terms.append(ds.field("name") == self.name)
        met: ds.Expression | None = None
        for term in terms:
            met = term if met is None else met & term
        return met


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hit:
    """An object that fits the words; ``score`` is the cosine of its best instance with them, in [-1, 1]."""

    score: float
    timestamp: datetime
    source_uri: str
    drive: str
    frame_index: int
    name: str
    anomaly_score: float
    instance_id: str
    track_id: str | None


@dataclass(frozen=True, slots=True)
class Searchable:
    """The instances that meet the filters, before any embedding is read."""

    found: OneModel

    @property
    def scan(self) -> ScanRecord:
        """The newest generation of the model whose embeddings are compared: which text encoder to ask."""
        return self.found.newest


def select(tables: Tables, filters: SearchFilters) -> Searchable:
    """Find the instances to rank. Raises UserError when there are no tables, UsageError for dates that end before they
    begin."""
    if filters.since is not None and filters.until is not None and filters.since > filters.until:
        raise UsageError(f"--since {filters.since} is after --until {filters.until}.")
    return Searchable(read_one_model(tables, _COLUMNS, filters.condition()))


def rank(tables: Tables, searchable: Searchable, text: npt.NDArray[np.float32], count: int) -> list[Hit]:
    """The ``count`` objects that fit best, one instance each, best first.

    ``text`` is (D,) float32 of length 1, embedded by the model of ``searchable.scan``. Raises UserError when the
    embeddings are missing or of another length.
    """
    rows, scans = searchable.found.rows, searchable.found.scans
    if text.shape != (scans[-1].embedding_dimension,):
        raise UserError(
            f"The text's embedding has {text.shape[0]} numbers, the tables' {scans[-1].embedding_dimension}: "
            "name the --model that scanned them."
        )
    if not len(rows):
        return []
    scores = cosines(tables, scans, rows["instance_id"], text)
    order = _best(scores, rows, count)
    return _hits(tables, rows["instance_id"].take(pa.array(order)).to_pylist(), scores[order].tolist())


def _best(scores: npt.NDArray[np.float32], rows: pa.Table, count: int) -> npt.NDArray[np.int64]:
    """Indices of the best instance of each of the best ``count`` objects."""
    wanted = count
    while True:
        wanted = min(4 * wanted, len(scores))
        top = np.argpartition(-scores, wanted - 1)[:wanted]
        top = top[np.lexsort((top, -scores[top]))]
        part = rows.take(pa.array(top))
        tracks = pc.coalesce(part["track_id"], part["instance_id"]).to_numpy()
        _, first = np.unique(tracks.astype(np.str_), return_index=True)
        if len(first) >= count or wanted == len(scores):
            best: npt.NDArray[np.int64] = top[np.sort(first)[:count]]
            return best


def _hits(tables: Tables, instance_ids: Sequence[str], scores: Sequence[float]) -> list[Hit]:
    columns = ["instance_id", "track_id", "timestamp", "source_uri", "drive", "frame_index", "name", "anomaly_score"]
    wanted = ds.field("instance_id").isin(pa.array(instance_ids, pa.string()))
    found = tables.open("instances").to_table(columns=columns, filter=wanted)
    rows = {row["instance_id"]: row for row in found.to_pylist()}
    return [Hit(score=score, **rows[key]) for key, score in zip(instance_ids, scores, strict=True)]
