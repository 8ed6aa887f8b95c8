from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.records import CommitRecord, Outcome, ScanRecord, Source, SourceOutcome, Stages
from tasks.footage.archive import Sources, find_sources, list_sources
from tasks.footage.frames import open_source
from tasks.scanning import plan as planning
from tasks.scanning.plan import plan, with_footage
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tasks.tables.commits import done_of
from tests.tasks.samples import BlobFinder, write_images, write_video
from tests.tasks.scanning.test_plan import START

NOTHING = done_of([])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of what planning opened."""
    names: list[str] = []

    def counting(source: Source) -> Source:
        names.append(source.uri.rsplit("/", 1)[-1])
        return open_source(source)

    monkeypatch.setattr(planning, "open_source", counting)
    yield names


def seconds(sources: Sources) -> dict[str, float]:
    return {source.uri.rstrip("/").rsplit("/", 1)[-1]: source.footage_seconds for source in sources}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Nine clips of one to nine seconds, about as large as they are long, and photos."""
    for number in range(1, 10):
        write_video(tmp_path / "archive" / "car" / f"{number}.mp4", frames=10 * number)
    write_images(tmp_path / "archive" / "car" / "photos", 3)
    return tmp_path / "archive"


def test_small_archives_are_as_long_as_they_are(archive: Path, opened: list[str]) -> None:
    found = find_sources(str(archive)).sources
    exact = {s.uri: s.footage_seconds for s in list_sources(str(archive)).sources}
    assert {s.uri: s.footage_seconds for s in with_footage(Sources.of(found), NOTHING)} == exact
    assert len(opened) == 4  # a folder of images need not be opened


def test_of_many_a_few_are_opened_and_the_rest_estimated(
    clips: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_SAMPLE", 3)
    found = Sources.of(find_sources(str(clips)).sources)
    told = seconds(with_footage(found, NOTHING))
    assert len(opened) == 3 and told.pop("photos") == 3
    for name, length in told.items():
        real = float(name[0])
        assert length == real if name in opened else 0.3 * real < length < 3 * real
    # The same whatever of it is committed, and nothing of that is opened.
    for count in range(10):
        outcomes = tuple(
            SourceOutcome(s.uri, s.etag, Outcome.OK, None, 1, 0, 0, float(s.uri[-5]))
            for s in found[:count]
            if s.uri.endswith("mp4")
        )
        opened.clear()
        done = done_of([CommitRecord("scan", "shard", START, (), outcomes, Stages(0, 0, 0))])
        again = seconds(with_footage(found, done))
        committed = {outcome.uri.rsplit("/", 1)[-1] for outcome in outcomes}
        assert not committed & set(opened)
        assert {name: again[name] for name in told if name not in committed} == {
            name: told[name] for name in told if name not in committed
        }


def test_nothing_can_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(1000))
    (tmp_path / "b.mp4").touch()
    assert seconds(with_footage(Sources.of(find_sources(str(tmp_path)).sources), NOTHING)) == {"a.mp4": 0, "b.mp4": 0}


def test_a_scan_that_was_cut_off_plans_the_same_shards_without_opening_what_is_done(
    clips: Path, tmp_path: Path, record: ScanRecord, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_SAMPLE", 3)
    tables = str(tmp_path / "tables")

    def planned() -> list[str]:
        done = Tables.at(tables).done(record.scan_id)
        sources = Sources.of(find_sources(str(clips)).sources)
        return list(plan(with_footage(sources, done), done, 0.1).shard_ids)

    whole = planned()
    assert len(whole) > 4
    for folded in (False, True):
        done = Tables.at(tables).done(record.scan_id)
        sources = with_footage(Sources.of(find_sources(str(clips)).sources), done)
        scan_shard(plan(sources, done, 0.1)[1], record, Tables.at(tables), BlobFinder())
        if folded:
            Tables.at(tables).fold(record.scan_id)
        opened.clear()
        before, whole = whole, planned()
        assert whole == [before[0], *before[2:]]
        committed = {str(uri).rsplit("/", 1)[-1] for uri in Tables.at(tables).done(record.scan_id)["uri"].to_pylist()}
        assert not committed & set(opened)


def test_what_is_done_in_checkpoints_of_old_versions(clips: Path, tmp_path: Path, record: ScanRecord) -> None:
    """Their sources do not tell how long they are."""
    import pyarrow.parquet as pq

    tables = tmp_path / "tables"
    sources = Sources.of(find_sources(str(clips)).sources)
    scan_shard(plan(sources, [], 10)[0], record, Tables.at(tables), BlobFinder())
    Tables.at(tables).fold(record.scan_id)
    path = tables / "_checkpoints" / f"{record.scan_id}.parquet"
    rows = pq.read_table(path).to_pylist()
    for source in rows[0]["sources"]:
        del source["footage_seconds"]
    pq.write_table(pa.Table.from_pylist(rows), path)
    done = Tables.at(tables).done(record.scan_id)
    assert len(done) == len(sources) and done["footage_seconds"].null_count == len(done)
    assert len(plan(with_footage(sources, done), done, 10)) == 0
