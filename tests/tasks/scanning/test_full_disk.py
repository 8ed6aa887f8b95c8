"""Disks that are full: for the temporary copies of videos, and for the tables."""

import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clipomaly_core.errors import UserError
from schemas.records import ScanRecord
from tasks.footage.archive import list_sources
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.samples import BlobFinder, upload, write_video
from tests.tasks.scanning.test_scan import part_files, whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 64 kB; only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("may not mount a disk here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 64 kB: a quota that anyone can set."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def long_video(path: Path) -> Path:
    video = write_video(path, frames=400, things=3, codec="MJPG")
    assert video.stat().st_size > 200_000
    return video


def check(bucket: str, record: ScanRecord, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says where and what to do, nothing left behind, nothing committed; and well again after it."""
    shard = whole(f"{bucket}/a")
    home = tempfile.gettempdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(UserError, match=rf"No space left in {folder} for a copy of .*TMPDIR") as error:
        scan_shard(shard, record, Tables.at(f"{bucket}/T"), BlobFinder())
    assert "\n" not in str(error.value)
    assert list(folder.iterdir()) == []
    assert Tables.at(f"{bucket}/T").commits(record.scan_id) == []
    monkeypatch.setattr(tempfile, "tempdir", home)


def test_no_room_for_a_copy(
    tmp_path: Path, record: ScanRecord, s3: str, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_video(tmp_path / "a" / "long.avi")
    archive = upload(tmp_path / "a", f"{s3}/a")
    check(s3, record, small_disk, monkeypatch)
    assert scan_shard(whole(archive), record, Tables.at(f"{s3}/T"), BlobFinder()).frames == 80


def test_a_quota_is_as_good_as_full(
    tmp_path: Path, record: ScanRecord, s3: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    long_video(tmp_path / "a" / "long.avi")
    upload(tmp_path / "a", f"{s3}/a")
    (tmp_path / "tmp").mkdir()
    request.getfixturevalue("small_files")
    check(s3, record, tmp_path / "tmp", monkeypatch)


@pytest.mark.whole
def test_no_room_for_the_tables(tmp_path: Path, record: ScanRecord, small_disk: Path) -> None:
    for number in range(12):
        write_video(tmp_path / "a" / f"20261122_0315{number:02d}.mp4", frames=200, things=3)
    shard = whole(tmp_path / "a")
    (small_disk / "ballast").write_bytes(bytes(40 * 1024))
    with pytest.raises(UserError, match=r"Cannot write .*No space left on device") as error:
        scan_shard(shard, record, Tables.at(small_disk / "T"), BlobFinder())
    assert "\n" not in str(error.value)
    assert Tables.at(small_disk / "T").commits(record.scan_id) == []
    assert not [path for path in small_disk.rglob(".*")], "half-written files"
    (small_disk / "ballast").unlink()
    scan_shard(shard, record, Tables.at(tmp_path / "T"), BlobFinder())
    assert part_files(tmp_path / "T") and len(list_sources(str(tmp_path / "a")).sources) == 12
