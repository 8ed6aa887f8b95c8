"""Search with indexes of compacted days: the same results as without, whatever lies there."""

import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.storage import files_below, remove_files, replace_file
from tasks.tables import Tables
from tasks.tables.search import Ranking, SearchFilters, rank, select
from tests.tasks.killable import INDEX, Scans, moments, scans
from tests.tasks.tables.embedded import FIRST_DAY, add_source, directions, scan_record

pytestmark = pytest.mark.whole

Vector = npt.NDArray[np.float32]
NOW = timedelta()
MORE = [("local", 40), ("s3", 12)]
ALL = SearchFilters()


def words(number: int = 0) -> Vector:
    return directions(np.random.default_rng(number), 1 + 3 * number)[-1]


def compacted(place: str) -> Tables:
    """Two days of two drives, one of them with a source that was scanned again, compacted and indexed; and a drive that
    came later."""
    tables, record = Tables.at(place), scan_record()
    for day in range(2):
        for drive in ("a", "b"):
            add_source(tables, record, drive, day)
    assert [day.trouble for day in tables.compact(NOW) if day.trouble] == []
    assert [(day.rows, day.trouble) for day in tables.index()] == [(1200, None), (1200, None)]
    add_source(tables, record, "c", 1)
    return tables


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return compacted(str(tmp_path / "T"))


def both(
    tables: Tables, filters: SearchFilters = ALL, count: int = 20, number: int = 0
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Instances and rounded scores with the indexes and without."""
    found = []
    for use in (True, False):
        ranked = rank(tables, select(tables, filters, use_indexes=use), words(number), count)
        found.append([(hit.instance_id, round(hit.score, 5)) for hit in ranked.hits])
    return found[0], found[1]


@pytest.mark.parametrize("place", ["local", "s3"])
def test_finds_what_comparing_everything_finds(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    tables = compacted(f"{request.getfixturevalue('s3')}/T" if place == "s3" else str(tmp_path / "T"))
    searchable = select(tables, ALL)
    assert (searchable.instances, searchable.indexed, searchable.notes) == (3000, 2400, ())
    for number in range(1 if place == "s3" else 3):
        by_index, everything = both(tables, number=number)
        assert by_index == everything
        assert len({instance for instance, _ in everything}) == 20


@pytest.mark.parametrize(
    ("filters", "left", "indexed"),
    [
        (SearchFilters(drive="a"), 1200, 1200),
        (SearchFilters(name="deer"), 750, 600),
        (SearchFilters(since=FIRST_DAY.date() + timedelta(days=1)), 1800, 1200),
        (SearchFilters(until=FIRST_DAY.date(), drive="b", name="sofa"), 150, 150),
        (SearchFilters(drive="nobody"), 0, 0),
    ],
)
def test_filters_choose_before_anything_is_compared(
    tables: Tables, filters: SearchFilters, left: int, indexed: int
) -> None:
    searchable = select(tables, filters)
    assert (searchable.instances, searchable.indexed) == (left, indexed)
    by_index, everything = both(tables, filters)
    assert by_index == everything
    assert bool(by_index) == bool(left)


def test_only_the_newest_scan_of_a_source_is_found(tables: Tables) -> None:
    newer = scan_record(fps=2.0)
    add_source(tables, newer, "a", 0, minute=1)
    assert select(tables, ALL).instances == 3000
    by_index, everything = both(tables)
    assert by_index == everything


def test_forgotten_sources_are_not_found_and_their_codes_are_removed(tables: Tables) -> None:
    before = indexes(tables)
    forgotten = tables.forget(["s3://fleet/a/0.mp4"])
    by_index, everything = both(tables)
    assert by_index == everything
    assert {hit.source_uri for hit in rank(tables, select(tables, ALL), words(), 999).hits}.isdisjoint(
        forgotten.sources
    )
    assert [day.trouble for day in tables.remove_rows(forgotten, NOW)] == [None]
    assert [day.trouble for day in tables.index_again()] == []  # 600 rows are left: too few for an index
    assert indexes(tables) < before
    assert len(indexes(tables)) == 1


def indexes(tables: Tables) -> set[str]:
    return set(files_below(tables.root.child("_indexes")))


def test_a_compaction_that_changes_files_makes_the_index_again(tables: Tables) -> None:
    before = indexes(tables)
    assert [day.trouble for day in tables.compact(NOW) if day.trouble] == []
    assert [day.rows for day in tables.index()] == [1800]
    assert len(indexes(tables)) == len(before) == 2
    assert list(tables.index()) == []
    assert select(tables, ALL).indexed == 3000


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-100],
    "no header": lambda data: b"\xff" * len(data),
    "another program's": lambda data: b"PK\x03\x04" + data[4:],
    "another version": lambda data: data.replace(b'"version":"1"', b'"version":"9"'),
    "other shapes": lambda data: data.replace(b'"shape":[1200]', b'"shape":[1100]'),
    "zeros": lambda data: data[: 8 + int.from_bytes(data[:8], "little")].ljust(len(data), b"\0"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_costs_time_and_no_row(tables: Tables, damage: str) -> None:
    folder = tables.root.child("_indexes")
    for name in indexes(tables):
        place = folder.child(name)
        replace_file(place, DAMAGE[damage](place.fs.cat_file(place.path)))
    searchable = select(tables, ALL)
    ranked = rank(tables, searchable, words(), 20)
    notes = [*searchable.notes, *ranked.notes]
    assert all("search index" in note and "\n" not in note for note in notes) and notes
    assert ids(ranked) == ids(rank(tables, select(tables, ALL, use_indexes=False), words(), 20))


def ids(ranked: Ranking) -> list[str]:
    return [hit.instance_id for hit in ranked.hits]


def remove(tables: Tables, names: set[str]) -> None:
    remove_files(tables.root.child(f"_indexes/{name}") for name in names)


def test_a_missing_index_is_said_and_made_again(tables: Tables) -> None:
    remove(tables, indexes(tables))
    searchable = select(tables, ALL)
    assert searchable.indexed == 0
    assert searchable.notes == (
        "2 compacted days have no search index, which makes search slower: clipomaly compact makes it",
    )
    assert [day.rows for day in tables.index()] == [1200, 1200]


def test_other_models_are_counted_and_left_out(tables: Tables) -> None:
    add_source(tables, scan_record(weights="2"), "d", 5, rows=100, minute=2)
    searchable = select(tables, SearchFilters(until=date(2026, 11, 21)))
    assert (searchable.instances, searchable.found.left_out) == (3000, ())
    searchable = select(tables, ALL)
    assert searchable.instances == 100
    assert [count for _, count in searchable.found.left_out] == [3000]


def test_check_finds_a_damaged_index_and_removes_it(tables: Tables) -> None:
    assert list(tables.check()) == []
    name = sorted(indexes(tables))[0]
    place = tables.root.child(f"_indexes/{name}")
    replace_file(place, place.fs.cat_file(place.path)[:-1] + b"\x07")
    assert ["search index" in finding.what for finding in tables.check()] == [True]
    assert [finding.repair for finding in tables.check(repair=True)] == ["removed; clipomaly compact makes it again"]
    assert name not in indexes(tables)


def test_a_damaged_day_costs_the_others_nothing(tmp_path: Path) -> None:
    tables, record = Tables.at(str(tmp_path / "T")), scan_record()
    for day in range(2):
        for drive in ("a", "b"):
            add_source(tables, record, drive, day)
    assert [day.trouble for day in tables.compact(NOW) if day.trouble] == []
    [path, _] = sorted((tmp_path / "T" / "embeddings").glob("*/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:5000])
    [first, second] = tables.index()
    assert str(path) in (first.trouble or "")
    assert (second.rows, second.trouble) == (1200, None)


@pytest.fixture(scope="module")
def processes() -> Iterator[Scans]:
    with scans(INDEX) as started:
        yield started


@pytest.mark.whole
@pytest.mark.parametrize(("place", "count"), [("local", 4), *(pytest.param(*p, marks=pytest.mark.slow) for p in MORE)])
def test_killed_at_random_moments(
    processes: Scans, place: str, count: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A search finds the same before and after, and the next compaction makes what is missing and clears the rest."""
    where = f"{request.getfixturevalue('s3')}/T" if place == "s3" else str(tmp_path / "T")
    tables, killed = compacted(where), 0
    names = indexes(tables)
    remove(tables, names)
    started = time.monotonic()
    processes.start(INDEX, where)
    assert processes.wait() == [0]
    longest = time.monotonic() - started
    for seconds in moments(count, longest, seed=count):
        remove(tables, names)
        killed += processes.killed_after(INDEX, where, seconds)
        by_index, everything = both(tables)
        assert by_index == everything
        assert [day.trouble for day in tables.index() if day.trouble] == []
        assert indexes(tables) == names
        assert select(tables, ALL).indexed == 2400
    assert killed


@pytest.mark.slow
def test_finds_nearly_all_of_a_million(tmp_path: Path) -> None:
    tables, record = Tables.at(str(tmp_path / "T")), scan_record()
    for day in range(4):
        for drive in ("a", "b", "c", "d", "e"):
            add_source(tables, record, drive, day, rows=50_000)
    assert [day.trouble for day in tables.compact(NOW) if day.trouble] == []
    assert [day.rows for day in tables.index()] == [250_000] * 4
    searchable, everything = select(tables, ALL), select(tables, ALL, use_indexes=False)
    assert searchable.indexed == everything.instances == 1_000_000
    shares = []
    for number in range(5):
        best = ids(rank(tables, everything, words(number), 100))
        found = ids(rank(tables, searchable, words(number), 100))
        shares.append(len(set(best) & set(found)) / 100)
    assert np.mean(shares) >= 0.95, shares
