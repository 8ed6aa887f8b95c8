"""Damage to tables: it is told by every reader, found by check, and mended by repair and the next scan."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from clipomaly.cli.main import app
from schemas.records import ScanRecord
from schemas.tables import Table
from tasks.errors import UserError
from tasks.scanning.plan import plan
from tasks.scanning.status import read_status
from tasks.tables import Tables, open_table
from tasks.tables.check import Finding
from tests.tasks.tables.test_compact import raw, view
from tests.tasks.tables.test_tables import commit, source

pytestmark = pytest.mark.whole

DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "a flipped bit": lambda path: path.write_bytes(path.read_bytes()[:50] + b"\0\1\2" + path.read_bytes()[53:]),
}
SEEN_BY_SIZE = {"gone", "cut off", "empty"}


def fill(tables: Path, record: ScanRecord) -> None:
    """Three shards, of which two have rows on two days."""
    commit(str(tables), record, [source("a"), source("b")], minute=0)
    commit(str(tables), record, [source("c")], minute=1, hours=16)
    commit(str(tables), record, [source("d")], minute=2, hours=16)


def scan_again(tables: Path, record: ScanRecord) -> list[str]:
    """What a scan does with shards that are not committed: the sources that it planned."""
    groups = [[source("a"), source("b")], [source("c")], [source("d")]]
    left = plan([one for group in groups for one in group], Tables.at(tables).commits(record.scan_id), 1).sources
    names = [one.uri for one in left]
    for number, group in enumerate(groups):
        if group[0].uri in names:
            commit(str(tables), record, group, minute=10 + number, hours=16 if number else 8)
    return names


def findings(tables: Path, repair: bool = False, hashes: bool = True) -> list[Finding]:
    found = list(Tables.at(tables).check(repair=repair, hashes=hashes))
    assert all("\n" not in one.what for one in found)
    return found


def cases() -> Iterator[object]:
    """Every table, damage and kind of file. What is not slow has each of the three with each of the others."""
    for place, compacted in enumerate(("no", "aside", "yes")):
        for kind, damage in enumerate(DAMAGES):
            for number, table in enumerate(Table):
                marks = () if (place + kind + number) % 3 == 0 else (pytest.mark.slow,)
                yield pytest.param(table, damage, compacted, marks=marks)


@pytest.mark.parametrize(("table", "damage", "compacted"), list(cases()))
def test_a_damaged_file_is_told_and_scanned_again(
    tmp_path: Path, record: ScanRecord, table: Table, damage: str, compacted: str
) -> None:
    tables, whole = tmp_path / "T", tmp_path / "whole"
    for place in (tables, whole):
        fill(place, record)
    grace = timedelta(hours=1) if compacted == "aside" else timedelta()
    if compacted != "no":
        list(Tables.at(tables).compact(grace))
        Tables.at(tables).fold(record.scan_id)
    assert findings(tables) == []
    folder = f"_compacted/{table}" if compacted == "aside" else str(table)
    file = max((tables / folder).rglob("dt=2026-11-23/*.parquet"))
    DAMAGES[damage](file)
    if damage in SEEN_BY_SIZE:
        with pytest.raises(UserError, match="Damaged: scan") as told:
            open_table(tables, table)
        assert str(file) in str(told.value) and "check --repair" in str(told.value) and "\n" not in str(told.value)
        if compacted == "no":
            assert any(source(name).uri in str(told.value) for name in "cd")
    assert bool(findings(tables, hashes=False)) == (damage in SEEN_BY_SIZE)
    [found] = findings(tables)
    assert str(file) in found.what and found.repair is None
    [mended] = findings(tables, repair=True)
    assert mended.what == found.what and mended.repair
    assert findings(tables) == []
    # Within the grace the files of before are there still: nothing has to be scanned again.
    expected = {"no": 1, "aside": 0, "yes": 2}[compacted]
    assert len(mended.shards) == expected
    assert len(scan_again(tables, record)) == expected
    assert view(str(tables), record) == view(str(whole), record)
    for name in Table:
        assert raw(str(tables), name) == raw(str(whole), name)
    list(Tables.at(tables).compact(timedelta()))
    assert view(str(tables), record) == view(str(whole), record) and findings(tables) == []


def test_swapped_files(tmp_path: Path, record: ScanRecord) -> None:
    fill(tmp_path, record)
    one, other = sorted((tmp_path / "frames").rglob("dt=2026-11-23/*.parquet"))
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    assert len(findings(tmp_path)) == 2


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("damage", ["garbage", "empty", "of another shard"])
def test_a_damaged_commit_record(tmp_path: Path, record: ScanRecord, damage: str, folded: bool) -> None:
    fill(tmp_path, record)
    expected = view(str(tmp_path), record)
    if folded:
        Tables.at(tmp_path).fold(record.scan_id)
    one, other, _ = sorted((tmp_path / "_commits" / record.scan_id).iterdir())
    one.write_bytes({"garbage": b"{\x00", "empty": b"", "of another shard": other.read_bytes()}[damage])
    if not folded:
        with pytest.raises(UserError, match="is damaged") as told:
            open_table(tmp_path, "frames")
        assert str(one) in str(told.value) and "check --repair" in str(told.value)
    [found] = findings(tmp_path)
    assert str(one) in found.what
    findings(tmp_path, repair=True)
    assert findings(tmp_path) == []
    assert bool(scan_again(tmp_path, record)) == (not folded)  # the checkpoint has a copy
    assert view(str(tmp_path), record) == expected


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("damage", ["lost", "garbage"])
def test_a_lost_scan_record(tmp_path: Path, record: ScanRecord, newer: ScanRecord, damage: str, folded: bool) -> None:
    fill(tmp_path, record)
    commit(str(tmp_path), newer, [source("e")], minute=5)
    expected = view(str(tmp_path), record, newer)
    if folded:
        Tables.at(tmp_path).fold(record.scan_id)
    path = tmp_path / "_scans" / f"{record.scan_id}.json"
    if damage == "lost":
        path.unlink()
    else:
        path.write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"is (lost|damaged)") as told:
        open_table(tmp_path, "instances")
    assert str(path) in str(told.value)
    [found] = findings(tmp_path)
    assert str(path) in found.what
    [mended] = findings(tmp_path, repair=True)
    assert bool(mended.repair) == folded  # the checkpoint has a copy
    Tables.at(tmp_path).begin(record)  # as the same scan does
    assert findings(tmp_path) == []
    assert view(str(tmp_path), record, newer) == expected


def test_a_damaged_checkpoint(tmp_path: Path, record: ScanRecord) -> None:
    fill(tmp_path, record)
    expected = view(str(tmp_path), record)
    Tables.at(tmp_path).fold(record.scan_id)
    path = tmp_path / "_checkpoints" / f"{record.scan_id}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    [found] = findings(tmp_path, repair=True)
    assert str(path) in found.what and found.repair
    assert len(pq.read_table(path)) == 3
    assert findings(tmp_path) == [] and view(str(tmp_path), record) == expected


def test_damage_of_one_table_leaves_the_others_readable(tmp_path: Path, record: ScanRecord) -> None:
    fill(tmp_path, record)
    next((tmp_path / "embeddings").rglob("*.parquet")).unlink()
    assert open_table(tmp_path, "instances").count_rows() == open_table(tmp_path, "frames").count_rows() == 8


def test_an_object_store_is_checked_alike(s3: str, record: ScanRecord) -> None:
    tables = Tables.at(f"{s3}/checked")
    commit(tables.root.url, record, [source("a")])
    commit(tables.root.url, record, [source("b")], minute=1)
    assert list(tables.check()) == []
    [path, _] = tables.root.fs.glob(f"{tables.root.path}/frames/**/*.parquet")
    tables.root.fs.pipe_file(path, b"short")
    with pytest.raises(UserError, match=r"has 5 of [\d,]+ bytes"):
        tables.open("frames")
    [found] = tables.check(repair=True)
    assert len(found.shards) == 1 and list(tables.check()) == []
    assert tables.open("frames").count_rows() == 2


def test_status_tells_of_damage(tmp_path: Path, record: ScanRecord) -> None:
    fill(tmp_path, record)
    [before] = read_status(Tables.at(tmp_path))
    assert before.damaged == ()
    next((tmp_path / "embeddings").rglob("*.parquet")).unlink()
    [status] = read_status(Tables.at(tmp_path))
    assert len(status.damaged) == 1 and "is gone" in status.damaged[0] and status.frames == 8


def test_the_command(tmp_path: Path, record: ScanRecord) -> None:
    fill(tmp_path, record)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, [*arguments])
        return result.exit_code, result.output

    assert run("check", str(tmp_path)) == (0, "nothing is damaged\n")
    path = next((tmp_path / "frames").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert run("check", str(tmp_path), "--quick") == (0, "nothing is damaged\n")
    code, told = run("check", str(tmp_path))
    assert code == 1 and path.name in told and "1 damage left" in told
    code, told = run("check", str(tmp_path), "--repair")
    assert code == 0 and "1 shard will be scanned again by the next scan" in told
    assert run("check", str(tmp_path))[0] == 0
    path = next((tmp_path / "frames").rglob("*.parquet"))
    path.unlink()
    code, told = run("status", str(tmp_path))
    assert code == 1 and path.name in told and "--repair" in told
