"""Search by text: rank every scanned object by its embeddings and that of the words. No pixels are read."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from schemas.records import ScanRecord
from schemas.tables import Table
from tasks.errors import UsageError, UserError
from tasks.tables.dataset import open_rows
from tasks.tables.embeddings import OneModel, cosines, read_one_model
from tasks.tables.indexed_days import SearchedDay, nearest, open_days, read_instances
from tasks.tables.selection import select as select_files
from tasks.tables.tables import Tables
from tasks.tables.vector_index import BadIndexError

_COLUMNS = ("instance_id", "track_id")
_SHOWN = ("instance_id", "track_id", "timestamp", "source_uri", "drive", "frame_index", "name", "anomaly_score")


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Filters for instances; None means no condition. ``since`` and ``until`` are capture dates in UTC, both
    included."""

    since: date | None = None
    until: date | None = None
    drive: str | None = None
    name: str | None = None

    def condition(self, *, dates: bool = True) -> ds.Expression | None:
        """As a condition on the table ``instances``, with the dates or without."""
        terms = []
        if dates and self.since is not None:
            terms.append(ds.field("timestamp") >= pa.scalar(_midnight(self.since)))
        if dates and self.until is not None:
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
    """The instances that meet the filters, before any embedding is read: ``days`` have a search index, the instances
    of ``found`` have none. ``notes`` are lines about indexes that are missing or damaged."""

    found: OneModel
    days: tuple[SearchedDay, ...]
    filters: SearchFilters
    notes: tuple[str, ...]

    @property
    def scan(self) -> ScanRecord:
        """The newest generation of the model whose embeddings are compared: which text encoder to ask."""
        return self.found.newest

    @property
    def indexed(self) -> int:
        """How many instances an index covers."""
        return sum(day.count for day in self.days)

    @property
    def instances(self) -> int:
        """How many instances there are to rank."""
        return self.indexed + len(self.found.rows)


def select(tables: Tables, filters: SearchFilters, *, use_indexes: bool = True) -> Searchable:
    """Find the instances to rank. Raises UserError when there are no tables, UsageError for dates that end before they
    begin."""
    if filters.since is not None and filters.until is not None and filters.since > filters.until:
        raise UsageError(f"--since {filters.since} is after --until {filters.until}.")
    days: list[SearchedDay] = []
    notes: list[str] = []
    if use_indexes:
        selection = select_files(tables.root, Table.INSTANCES, None)
        condition = filters.condition(dates=False)
        days, notes = open_days(tables.root, selection, filters.since, filters.until, condition)
    indexed = {day.key: day.count for day in days}
    found = read_one_model(tables, _COLUMNS, filters.condition(), indexed)
    chosen = {scan.scan_id for scan in found.scans}
    return Searchable(found, tuple(day for day in days if day.day.scan_id in chosen), filters, tuple(notes))


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best objects, one instance each, best first, and lines about what went wrong."""

    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()


def rank(tables: Tables, searchable: Searchable, text: npt.NDArray[np.float32], count: int) -> Ranking:
    """The ``count`` objects that fit best.

    Instances of days with a search index are found by it and then compared exactly; of others, every instance is
    compared. ``text`` is (D,) float32 of length 1, embedded by the model of ``searchable.scan``. Raises UserError when
    the embeddings are missing or of another length.
    """
    if text.shape != (searchable.scan.embedding_dimension,):
        raise UserError(
            f"The text's embedding has {text.shape[0]} numbers, the tables' {searchable.scan.embedding_dimension}: "
            "name the --model that scanned them."
        )
    try:
        found = [*_by_index(tables, searchable, text, count), *_one_by_one(tables, searchable, text, count)]
    except BadIndexError as error:
        everything = select(tables, searchable.filters, use_indexes=False)
        return Ranking(rank(tables, everything, text, count).hits, (str(error),))
    best: dict[str, Hit] = {}
    for hit in sorted(found, key=lambda hit: -hit.score):
        best.setdefault(hit.track_id or hit.instance_id, hit)
    return Ranking(tuple(best.values())[:count])


def _by_index(tables: Tables, searchable: Searchable, text: npt.NDArray[np.float32], count: int) -> list[Hit]:
    found = nearest(tables.root, searchable.days, text, count) if searchable.indexed else None
    if found is None or not len(found.scores):
        return []
    rows = read_instances(tables.root, searchable.days, found, _SHOWN)
    return [Hit(score=score, **row) for score, row in zip(found.scores.tolist(), rows.to_pylist(), strict=True)]


def _one_by_one(tables: Tables, searchable: Searchable, text: npt.NDArray[np.float32], count: int) -> list[Hit]:
    rows, besides = searchable.found.rows, frozenset(day.key for day in searchable.days)
    if not len(rows):
        return []
    scores = cosines(tables, searchable.found.scans, rows["instance_id"], text, besides)
    order = _best(scores, rows, count)
    ids = rows["instance_id"].take(pa.array(order)).to_pylist()
    wanted = ds.field("instance_id").isin(pa.array(ids, pa.string()))
    table = open_rows(tables.root, Table.INSTANCES, besides=besides).to_table(columns=[*_SHOWN], filter=wanted)
    found = {row["instance_id"]: row for row in table.to_pylist()}
    return [Hit(score=score, **found[key]) for key, score in zip(ids, scores[order].tolist(), strict=True)]


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
