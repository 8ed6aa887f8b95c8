"""Search through the indexes of compacted days: candidates by their codes, then exact cosines of these."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tasks.storage import Location
from tasks.tables.dataset import Keys, id_keys, read_rows, whole_files
from tasks.tables.embeddings import cosines_of
from tasks.tables.indexing import MergedDay, index_names, merged_days, open_day, vectors_of
from tasks.tables.selection import Selection
from tasks.tables.vector_index import BadIndexError, Floats, Mask, VectorIndex

_THREADS = 4
_FIRST = 1_000  # candidates that are always compared exactly: where fewer rows are wanted, nothing is estimated
_OF_EACH = 20  # candidates at least for each object that is asked for
_MOST = 16  # times as many at most
_SURE = 2.0  # standard deviations of an estimated cosine


@dataclass(frozen=True, slots=True)
class SearchedDay:
    """A compacted day with its index. ``mask`` (N,) says which embeddings are wanted, None all; ``count`` how many."""

    day: MergedDay
    index: VectorIndex
    mask: Mask | None
    count: int

    @property
    def key(self) -> tuple[str, date]:
        """Generation and day."""
        return self.day.scan_id, self.day.day


@dataclass(frozen=True, slots=True)
class Nearest:
    """Instances with their exact cosines, best first: (N,) arrays. ``days`` is the number of the searched day,
    ``places`` that of the embedding in it, ``objects`` a key of the object."""

    scores: Floats
    objects: Keys
    days: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


def open_days(
    root: Location, selection: Selection, since: date | None, until: date | None, condition: ds.Expression | None
) -> tuple[list[SearchedDay], list[str]]:
    """The compacted days between ``since`` and ``until`` with an index, and a line for each that has none which can be
    used. The indexes of other days are not read.

    ``selection`` is of ``instances``; those that meet ``condition`` are wanted.
    """
    days = [
        day
        for day in merged_days(selection)
        if (since is None or day.day >= since) and (until is None or day.day <= until)
    ]
    names = {scan_id: index_names(root, scan_id) for scan_id in {day.scan_id for day in days}}
    missing = [day for day in days if day.name not in names[day.scan_id]]
    opened: list[tuple[MergedDay, VectorIndex]] = []
    notes = []
    if missing:
        count = f"{len(missing):,} compacted days have" if len(missing) > 1 else "a compacted day has"
        notes.append(f"{count} no search index, which makes search slower: clipomaly compact makes it")
    for day in days:
        if day in missing:
            continue
        try:
            opened.append((day, open_day(root, day)))
        except BadIndexError as error:
            notes.append(
                f"the search index {day.place(root).url} is not used, and its day is slower to search: {error}. "
                "clipomaly compact makes it again"
            )

    def searched(item: tuple[MergedDay, VectorIndex]) -> SearchedDay:
        day, index = item
        met = _met(root, selection, day, condition)
        mask = None if met is None else met[index.rows]
        return SearchedDay(day, index, mask, len(index) if mask is None else int(np.count_nonzero(mask)))

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(searched, opened)), notes


def _met(root: Location, selection: Selection, day: MergedDay, condition: ds.Expression | None) -> Mask | None:
    """Which instances of a day count and meet the condition; None if all do."""
    files = tuple(
        item for item in selection.files if item.shard_id is None and (item.scan_id, item.day) == (day.scan_id, day.day)
    )
    within = (rows.within(day.scan_id, day.day, files[0].shards) for rows in selection.left_out)
    terms = [~rows.expression() for rows in within if rows is not None]
    if condition is not None:
        terms.append(condition)
    if not terms:
        return None
    met = terms[0]
    for term in terms[1:]:
        met &= term
    column = whole_files(root, replace(selection, files=files)).to_table(columns={"met": met})["met"]
    found: Mask = pc.fill_null(column, False).to_numpy()
    return found


def nearest(root: Location, days: Sequence[SearchedDay], vector: Floats, count: int) -> Nearest:
    """At least the best instance of each of the ``count`` objects with the greatest cosine to a (D,) vector of length
    1, as far as the indexes find them.

    Candidates are compared exactly, the best estimates first, until the last of ``count`` objects is better than the
    next estimate by more than the last estimates were wrong. Raises UserError when files cannot be read.
    """
    first = max(_FIRST, _OF_EACH * count)
    most = _MOST * first

    def candidates(searched: SearchedDay) -> tuple[Floats, npt.NDArray[np.int64]]:
        try:
            return searched.index.nearest(vector, most, searched.mask)
        except BadIndexError as error:
            raise _damaged(root, searched.day) from error

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(candidates, days))
    estimates = np.concatenate([scores for scores, _ in found])
    places = np.concatenate([places for _, places in found])
    numbers = np.repeat(np.arange(len(days)), [len(scores) for scores, _ in found])
    order = np.argsort(-estimates, kind="stable")[:most]
    parts: list[Nearest] = []
    start, step = 0, first
    while start < len(order):
        chosen = order[start : start + step]
        exact, at = _exact(root, days, numbers[chosen], places[chosen], vector)
        parts.append(exact)
        errors = exact.scores - estimates[chosen][at]
        start, step = start + step, start + step
        best = _best(_joined(parts), count)
        if start < len(order) and len(best.scores) >= count:
            unsure = max(float(np.mean(errors)), 0) + _SURE * float(np.std(errors))
            if best.scores[-1] >= estimates[order[start]] + unsure:
                break
    return _best(_joined(parts), count) if parts else _NOTHING


def _exact(
    root: Location,
    days: Sequence[SearchedDay],
    numbers: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    vector: Floats,
) -> tuple[Nearest, npt.NDArray[np.int64]]:
    """Cosines of embeddings, by day and place in it, in another order; and which of the given each is."""

    def of_day(number: int) -> tuple[Nearest, npt.NDArray[np.int64]]:
        searched = days[number]
        at = np.flatnonzero(numbers == number)
        mine = places[at]
        table = read_rows(root, searched.day.embeddings, mine, ["embedding"])
        scores = cosines_of(vectors_of(table["embedding"], searched.day.dimension), vector)
        return Nearest(scores, searched.index.objects[mine], np.full(len(at), number), mine), at

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(of_day, np.unique(numbers).tolist()))
    return _joined([part for part, _ in found]), np.concatenate([at for _, at in found])


def _joined(parts: Sequence[Nearest]) -> Nearest:
    return Nearest(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.objects for part in parts]),
        np.concatenate([part.days for part in parts]),
        np.concatenate([part.places for part in parts]),
    )


def _best(found: Nearest, count: int) -> Nearest:
    """The best instance of each of the best objects."""
    order = np.argsort(-found.scores, kind="stable")
    _, first = np.unique(found.objects[order], return_index=True)
    best = order[np.sort(first)[:count]]
    return Nearest(found.scores[best], found.objects[best], found.days[best], found.places[best])


_NO_NUMBERS = np.zeros(0, np.int64)
_NOTHING = Nearest(np.zeros(0, np.float32), np.zeros(0, np.uint64), _NO_NUMBERS, _NO_NUMBERS)


def read_instances(root: Location, days: Sequence[SearchedDay], found: Nearest, columns: Sequence[str]) -> pa.Table:
    """Columns of these instances, in their order. Raises BadIndexError when an index names other rows than those whose
    embeddings were compared."""

    def of_day(number: int) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        mine = np.flatnonzero(found.days == number)
        day, places = days[number].day, found.places[mine]
        rows = read_rows(root, day.instances, days[number].index.rows[places].astype(np.int64), columns)
        compared = read_rows(root, day.embeddings, places, ["instance_id"])
        shown, scored = (id_keys(table["instance_id"].combine_chunks()) for table in (rows, compared))
        if not np.array_equal(shown, scored):
            raise _damaged(root, day)
        return rows, mine

    with ThreadPoolExecutor(_THREADS) as pool:
        read = list(pool.map(of_day, np.unique(found.days).tolist()))
    order = np.argsort(np.concatenate([mine for _, mine in read]))
    return pa.concat_tables([rows for rows, _ in read]).combine_chunks().take(pa.array(order))


def _damaged(root: Location, day: MergedDay) -> BadIndexError:
    return BadIndexError(
        f"the search index {day.place(root).url} is damaged: clipomaly check --repair removes it. All instances were "
        "compared one by one"
    )
