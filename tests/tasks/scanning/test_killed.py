"""Scans that are killed at any moment, and two of one archive at once."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from schemas.records import CommitRecord, ScanRecord, Stages
from tasks.tables import Tables, open_table
from tests.tasks.killable import Scans, moments, scans
from tests.tasks.samples import upload, write_images, write_video
from tests.tasks.scanning.test_scan import scan_all

FEW, MANY = 3, 50


@pytest.fixture(scope="module")
def running() -> Iterator[Scans]:
    with scans() as running:
        yield running


def files(tables: str) -> dict[str, bytes]:
    """Every part file, committed or not, by its path below the tables."""
    fs, root = fsspec.core.url_to_fs(tables, use_listings_cache=False)
    found = [path for path in fs.find(root) if path.endswith(".parquet") and "/_" not in path.removeprefix(root)]
    return {path.removeprefix(root): fs.cat_file(path) for path in sorted(found)}


def commits(tables: str, record: ScanRecord) -> list[CommitRecord]:
    """What is committed, without what differs from run to run."""
    never = datetime(2000, 1, 1, tzinfo=UTC)
    return [replace(c, committed=never, seconds=Stages(0, 0, 0)) for c in Tables.at(tables).commits(record.scan_id)]


def visible(tables: str, record: ScanRecord) -> list[str]:
    Tables.at(tables).begin(record)
    return sorted(json.dumps(row, default=str) for row in open_table(tables, "frames").to_table().to_pylist())


def eight_drives(root: Path) -> Path:
    for number in range(7):
        write_video(root / f"drive-{number}" / f"20261122_03150{number}.mp4")
    write_images(root / "drive-7" / "20261122_031509", 6)
    return root


def kill_and_run_again(archive: str, tables: str, record: ScanRecord, count: int, running: Scans) -> int:
    """How many scans were still at work when they were killed."""
    started = time.monotonic()
    running.start(archive, f"{tables}/whole")
    assert running.wait() == [0]
    seconds = time.monotonic() - started
    whole, rows = files(f"{tables}/whole"), visible(f"{tables}/whole", record)
    done = commits(f"{tables}/whole", record)
    assert len(done) == 8 and len(rows) == 34
    killed = 0
    for number, moment in enumerate(moments(count, seconds, seed=count)):
        there = f"{tables}/{number}"
        killed += running.killed_after(archive, there, moment)
        committed = commits(there, record)
        # Whole shards or nothing, and of what was not committed not one row.
        seen = visible(there, record)
        assert set(seen) <= set(rows) and len(seen) == sum(s.frames for c in committed for s in c.sources)
        scan_all(archive, record, there)
        assert files(there) == whole
        assert commits(there, record) == done
        assert visible(there, record) == rows
    return killed


@pytest.mark.whole
@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("local", FEW),
        ("s3", 1),
        pytest.param("local", MANY, marks=pytest.mark.slow),
        pytest.param("s3", MANY, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments(
    tmp_path: Path, record: ScanRecord, running: Scans, kind: str, count: int, request: pytest.FixtureRequest
) -> None:
    archive, tables = str(eight_drives(tmp_path / "a")), str(tmp_path / "T")
    if kind == "s3":
        bucket = request.getfixturevalue("s3")
        archive, tables = upload(Path(archive), f"{bucket}/a"), f"{bucket}/T"
    killed = kill_and_run_again(archive, tables, record, count, running)
    assert killed >= count // 4, "nearly all had ended before they were killed"


@pytest.mark.whole
@pytest.mark.parametrize("kind", ["local", "s3"])
def test_two_scans_at_once(
    tmp_path: Path, record: ScanRecord, running: Scans, kind: str, request: pytest.FixtureRequest
) -> None:
    """Both do the whole archive, shard for shard at the same time: one commit each, no row twice."""
    archive, tables = str(eight_drives(tmp_path / "a")), str(tmp_path / "T")
    if kind == "s3":
        bucket = request.getfixturevalue("s3")
        archive, tables = upload(Path(archive), f"{bucket}/a"), f"{bucket}/T"
    scan_all(archive, record, f"{tables}/alone")
    running.start(archive, f"{tables}/both", count=2)
    assert running.wait() == [0, 0]
    assert files(f"{tables}/both") == files(f"{tables}/alone")
    assert commits(f"{tables}/both", record) == commits(f"{tables}/alone", record)
    assert visible(f"{tables}/both", record) == visible(f"{tables}/alone", record)
