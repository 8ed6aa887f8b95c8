"""Published tables when something happens: compactions, repairs, other programs, lost files, several publishers."""

import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipomaly_core.errors import UserError
from schemas.records import ScanRecord
from tasks.tables import Tables, open_table
from tasks.tables.published import Published
from tests.tasks.killable import PUBLISH, Scans, moments, scans
from tests.tasks.tables.test_compact import LATER, NOW, run
from tests.tasks.tables.test_publish import (
    LATEST,
    OF_ALL,
    check,
    check_latest,
    delta,
    generations,
    publish,
    same,
    told,
    with_datafusion,
    with_deltalake,
    with_raw_files,
)
from tests.tasks.tables.test_tables import commit, source

SHORT = timedelta(milliseconds=100)


@pytest.mark.whole
def test_compaction_meanwhile(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """A reader of a log finds its files until the grace is over, counted from when the log named them last."""
    tables = str(tmp_path)
    commit(tables, record, [source("a"), source("b")])
    commit(tables, record, [source("c")], minute=1)
    commit(tables, newer, [source("c")], minute=2)
    publish(tables)
    early = {table: (delta(tables, table), with_deltalake(tables, table)) for table in (*OF_ALL, *LATEST)}
    run(tables, LATER)
    check(tables)  # the logs are behind, but nothing is gone
    # The grace of the compaction is over, but the logs still name the small files.
    time.sleep(2 * SHORT.total_seconds())
    assert not any(day.removed for day in run(tables, SHORT))
    for table, (opened, before) in early.items():
        assert same(opened.to_pyarrow_table().to_pylist()) == same(before), table
    publish(tables)
    check(tables)
    assert list(tmp_path.glob("instances/_published/scan=*/dt=*/merged-*.parquet"))
    # Now they do not, and the same grace later they can go.
    time.sleep(2 * SHORT.total_seconds())
    assert any(day.removed for day in run(tables, SHORT))
    check_latest(tables)
    assert len(with_deltalake(tables, "instances")) == len(early["instances"][1])
    publish(tables)
    check(tables)
    in_place = sorted(path.name for path in tmp_path.glob("instances/scan=*/dt=*/*.parquet"))
    assert sorted(Path(path).name for path in delta(tables, "instances").file_uris()) == in_place


def test_repair(tmp_path: Path, record: ScanRecord) -> None:
    """The shard is scanned again to the same path and, here, the same bytes: the damaged second name must go."""
    tables = str(tmp_path)
    commit(tables, record, [source("a")])
    commit(tables, record, [source("b")], minute=1)
    publish(tables)
    [path] = tmp_path.glob("instances/scan=*/dt=*/" + commit_name(tables, record, "b"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\x00" * 9)
    [finding] = Tables.at(tables).check(repair=True)
    assert len(finding.shards) == 1
    assert publish(tables)["instances_latest"].removed == 1
    check(tables)
    commit(tables, record, [source("b")], minute=2)
    assert path.read_bytes() == whole
    publish(tables)
    check(tables)


def test_repaired_before_anybody_published(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    commit(tables, record, [source("a")])
    publish(tables)
    [path] = tmp_path.glob("frames/scan=*/dt=*/*.parquet")
    path.write_bytes(path.read_bytes()[:-9] + b"\x00" * 9)
    assert len(list(Tables.at(tables).check(repair=True))) == 1
    commit(tables, record, [source("a")], minute=2)
    assert publish(tables)["frames_latest"].version == 1
    check(tables)


def commit_name(tables: str, record: ScanRecord, name: str) -> str:
    commits = Tables.at(tables).commits(record.scan_id)
    [shard] = [item.shard_id for item in commits if item.sources[0].uri == source(name).uri]
    return f"{shard}.parquet"


def test_files_of_latest_that_are_lost_come_back(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    for name in "ab":
        commit(tables, record, [source(name)])
    publish(tables)
    first, second = sorted(tmp_path.glob("instances_latest/scan=*/dt=*/*.parquet"))
    first.unlink()
    second.unlink()
    second.write_bytes(b"PAR1")  # another file: the original is not touched
    assert Tables.at(tables).behind() == ["instances_latest: files to add: 2, to remove: 0"]
    assert publish(tables)["instances_latest"].added == 2
    check(tables)
    assert Tables.at(tables).behind() == []


def test_forgotten_rows_are_in_no_file(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    tables = str(tmp_path)
    commit(tables, record, [source("a"), source("b")])
    commit(tables, newer, [source("a")], minute=1)
    publish(tables)
    ids = set(open_table(tables, "instances").to_table()["instance_id"].to_pylist())
    there = Tables.at(tables)
    forgotten = there.forget([source("a").uri])
    # Before the files are written again, too.
    publish(tables)
    seen = {row["source_uri"] for table in (*OF_ALL, *LATEST) for row in with_deltalake(tables, table)}
    assert seen == {source("b").uri}
    assert not any(day.trouble for day in there.remove_rows(forgotten, NOW))
    assert [done.table for done in there.publish_again(NOW)] == list(Published)
    check(tables)
    gone = ids - set(open_table(tables, "instances").to_table()["instance_id"].to_pylist())
    left = {
        identity
        for path in tmp_path.rglob("*.parquet")
        if "instances" in str(path) and "_delta_log" not in str(path)
        for identity in pq.ParquetFile(path).read(["instance_id"])["instance_id"].to_pylist()
    }
    assert gone and not gone & left


def test_another_program_writes_into_the_log(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    for name in "abc":
        commit(tables, record, [source(name)])
    publish(tables)
    delta(tables, "instances_latest").delete("source_uri LIKE '%a.mp4'")
    delta(tables, "frames_latest").optimize.compact()
    one_row = delta(tables, "frames").to_pyarrow_table().slice(0, 1)
    deltalake.write_deltalake(tmp_path / "frames", one_row, mode="append")
    [first, *_] = Tables.at(tables).behind()
    assert first.startswith("frames: another program wrote into the log: version 1, WRITE, by delta-rs:py-")
    done = publish(tables)
    assert [len(done[table].others) for table in ("instances", "frames", *LATEST)] == [0, 1, 1, 1]
    assert same(with_deltalake(tables, "frames")) == same(with_deltalake(tables, "frames_latest"))
    check_latest(tables)
    assert [table.others for table in publish(tables).values()] == [(), (), (), ()]
    assert Tables.at(tables).behind() == []


def test_a_log_of_another_table(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    commit(tables, record, [source("a")])
    publish(tables)
    other = pa.table({"x": [1]})
    deltalake.write_deltalake(tmp_path / "frames", other, mode="overwrite", schema_mode="overwrite", partition_by=[])
    with pytest.raises(UserError, match="replaced by another program: the table is partitioned by nothing"):
        publish(tables)
    with pytest.raises(UserError, match="replaced by another program"):
        Tables.at(tables).behind()


def test_damaged_tables_leave_the_log_as_it_was(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    commit(tables, record, [source("a")])
    publish(tables)
    commit(tables, record, [source("b")], minute=1)
    next(tmp_path.glob("instances/scan=*/dt=*/" + commit_name(tables, record, "b"))).unlink()
    with pytest.raises(UserError, match="Damaged"):
        publish(tables)
    assert len(with_deltalake(tables, "instances_latest")) == 2


def test_old_files_go_after_the_grace(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    tables = str(tmp_path)
    commit(tables, record, [source("a"), source("b")])
    publish(tables)
    commit(tables, newer, [source("a")], minute=1)
    (tmp_path / "instances_latest" / "left-by-a-killed-one.parquet").write_bytes(b"")
    assert [done.cleaned for done in publish(tables).values()] == [0, 0, 0, 0]
    assert [done.cleaned for done in publish(tables, NOW).values()] == [0, 0, 1, 1]
    with pytest.raises(Exception, match="No such file"):
        delta(tables, "instances_latest", 0).to_pyarrow_table()
    check(tables)


def test_two_publishers_at_once(tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path)
    for number in range(4):
        commit(tables, record, [source(f"clip-{number}")])
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(publish, [tables, tables]))
        for table in Published:
            versions = [done[table].version for done in results]
            assert max(versions) == number, "whoever comes second finds nothing to do"
    check(tables)


def test_a_storage_that_the_library_does_not_reach(record: ScanRecord) -> None:
    tables = f"memory://{uuid.uuid4().hex}"
    commit(tables, record, [source("a")])
    with pytest.raises(UserError, match="cannot be published: only on a disk, S3"):
        publish(tables)


def test_a_folder_that_the_library_cannot_name(tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path / "50%20" / "T"), record, [source("a")])
    with pytest.raises(UserError, match="% in its name cannot be published"):
        publish(tmp_path / "50%20" / "T")
    commit(str(tmp_path / "ü b" / "T"), record, [source("a")])
    publish(tmp_path / "ü b" / "T")
    check(tmp_path / "ü b" / "T", with_deltalake, with_datafusion)


@pytest.fixture(scope="module")
def processes() -> Iterator[Scans]:
    with scans(PUBLISH) as started:
        yield started


@pytest.mark.whole
@pytest.mark.parametrize("count", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_random_moments(processes: Scans, tmp_path: Path, count: int) -> None:
    """Each reader sees the rows before or after, and the next publisher does the rest."""
    killed_at_random_moments(processes, str(tmp_path), count)


@pytest.mark.slow
def test_killed_at_random_moments_over_an_object_store(processes: Scans, s3: str) -> None:
    killed_at_random_moments(processes, f"{s3}/T", 12)


def killed_at_random_moments(processes: Scans, tables: str, count: int) -> None:
    first, second = generations(2)
    commit(tables, first, [source("a"), source("b")])
    started = time.monotonic()
    processes.start(PUBLISH, tables)
    assert processes.wait() == [0]
    longest, killed = time.monotonic() - started, 0
    for night, seconds in enumerate(moments(count, longest, seed=count), 1):
        before = {table: same(with_deltalake(tables, table)) for table in LATEST}
        commit(tables, second, [source(f"clip-{night}"), source("b", f"{night}")], minute=night)
        after = {table: same(open_table(tables, of).to_table().to_pylist()) for table, of in LATEST.items()}
        killed += processes.killed_after(PUBLISH, tables, seconds)
        for table in LATEST:
            assert same(with_deltalake(tables, table)) in (before[table], after[table])
        publish(tables)
        check(tables)
    assert killed


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow) for seed in range(6)])
def test_whatever_happens(tmp_path: Path, seed: int) -> None:
    """A random walk: after each publish the logs are equal to the tables. Until the next one they can be read, unless
    files were removed without a grace."""
    tables, drawn, records = str(tmp_path), random.Random(seed), generations(3)
    there, is_readable = Tables.at(tables), True
    commit(tables, records[0], [source("first")])
    publish(tables)
    for step in range(40):
        match drawn.choice(["scan", "scan", "scan", "compact", "compact now", "repair", "forget", "publish"]):
            case "scan":
                names = drawn.sample("abcdefgh", drawn.randint(1, 3))
                sources = [source(name, f"{step}-{drawn.randint(0, 1)}") for name in names]
                hours, failed = drawn.choice([8, 16]), names[:1] if drawn.random() < 0.2 else []
                commit(tables, drawn.choice(records), sources, minute=step, hours=hours, failed=failed)
            case "compact":
                run(tables, LATER)
            case "compact now":
                run(tables, NOW)
                is_readable = False
            case "repair":
                if files := sorted(open_table(tables, "instances").files):
                    damaged = Path(drawn.choice(files))
                    damaged.write_bytes(damaged.read_bytes()[: drawn.randint(0, 100)])
                    list(there.check(repair=True))
                    is_readable = False
            case "forget":
                uris = {row["source_uri"] for row in open_table(tables, "frames").to_table(["source_uri"]).to_pylist()}
                if len(uris) > 1:
                    list(there.remove_rows(there.forget([drawn.choice(sorted(uris))]), drawn.choice([NOW, LATER])))
                    is_readable = False
            case "publish":
                publish(tables, drawn.choice([NOW, LATER]))
                assert there.behind() == []
                check_every_generation(tables)
                is_readable = True
        if is_readable:
            for table in (*OF_ALL, *LATEST):
                with_deltalake(tables, table)
    publish(tables, NOW)
    check_every_generation(tables)


def check_every_generation(tables: str) -> None:
    """As ``check``, where a raw reader may still see rows of forgotten sources."""
    check_latest(tables)
    for table in OF_ALL:
        found = Counter(told(with_deltalake(tables, table)))
        assert found <= Counter(told(with_raw_files(tables, table)))
        for scan in Tables.at(tables).scans():
            of_scan = open_table(tables, table, scan_id=scan.scan_id).to_table().to_pylist()
            assert Counter(told(of_scan)) <= found
