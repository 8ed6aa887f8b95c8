"""Storage that fails: some of the time, and for good."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import s3fs

from clipomaly_core.errors import UserError
from schemas.records import Outcome, ScanRecord
from tasks.footage.archive import list_sources
from tasks.scanning.plan import plan
from tasks.scanning.shard import scan_shard
from tasks.storage import locate
from tasks.tables import Tables
from tests.tasks.faulty_proxy import FAULTS, FaultyProxy, faulty_proxy
from tests.tasks.samples import BlobFinder, image_bytes, upload, write_images, write_tar, write_video
from tests.tasks.scanning.test_scan import outcomes, rows, whole


@pytest.fixture
def proxy(s3: str, _s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Between this process and the bucket; what a request costs here is shorter than in a night."""
    assert locate(s3).fs.config_kwargs["retries"] == {"mode": "standard", "max_attempts": 8}
    quick = {"retries": {"mode": "standard", "max_attempts": 8}, "read_timeout": 1, "connect_timeout": 2}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": quick})
    with faulty_proxy(_s3_server, share=0.0, silence=1.5) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        s3fs.S3FileSystem.clear_instance_cache()
        yield proxy
        s3fs.S3FileSystem.clear_instance_cache()


def some(root: Path, videos: int = 2) -> Path:
    """Footage of all kinds."""
    for number in range(videos):
        write_video(root / f"drive-{number % 3}" / f"20261122_0315{number:02d}.mp4", frames=40)
    write_images(root / "drive-3" / "photos", 6)
    write_tar(root / "drive-3" / "2026-11-22T09-00-00.tar", {f"{n}.png": image_bytes(n, ".png") for n in range(6)})
    return root


def scan(archive: str, tables: str, record: ScanRecord, minutes: float = 0.1) -> None:
    shards = plan(list_sources(archive).sources, Tables.at(tables).commits(record.scan_id), minutes)
    for shard in shards:
        scan_shard(shard, record, Tables.at(tables), BlobFinder())
    Tables.at(tables).fold(record.scan_id)


@pytest.mark.parametrize("videos", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_one_in_twenty_requests_fails(
    tmp_path: Path, record: ScanRecord, s3: str, proxy: FaultyProxy, videos: int
) -> None:
    archive = upload(some(tmp_path / "a", videos), f"{s3}/a")
    scan(archive, f"{s3}/calm", record)
    calm = proxy.requests
    proxy.share, nights = 0.05, 0
    while min(proxy.met[fault] for fault in FAULTS) < 1 and nights < 8:
        nights += 1
        scan(archive, f"{s3}/stormy-{nights}", record)
        for table in ("frames", "instances", "embeddings"):
            assert rows(f"{s3}/stormy-{nights}", table, record) == rows(f"{s3}/calm", table, record)
        commits = Tables.at(f"{s3}/stormy-{nights}").commits(record.scan_id)
        assert all(source.outcome is Outcome.OK for commit in commits for source in commit.sources)
    assert calm > 50 and all(proxy.met[fault] for fault in FAULTS), (calm, proxy.met)


def test_storage_that_stays_away_loses_the_shard_and_no_source(
    tmp_path: Path, record: ScanRecord, s3: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not come back within the retries is no fault of the footage: nothing is committed."""
    archive = upload(some(tmp_path / "a"), f"{s3}/a")
    shard = whole(archive)
    hasty = {"retries": {"mode": "standard", "max_attempts": 2}, "read_timeout": 1, "connect_timeout": 2}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": hasty})
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)
    s3fs.S3FileSystem.clear_instance_cache()
    proxy.share = 1.0
    for fault in ("503", "drop"):
        monkeypatch.setattr(proxy, "fault", lambda path, fault=fault: fault if "/a/" in path else None)
        with pytest.raises(UserError, match=r"Cannot read s3://.*Check the address and your access") as error:
            scan_shard(shard, record, Tables.at(f"{s3}/T"), BlobFinder())
        assert "\n" not in str(error.value)
    assert Tables.at(f"{s3}/T").commits(record.scan_id) == []


def test_denial_is_one_line(tmp_path: Path, record: ScanRecord, s3: str, proxy: FaultyProxy) -> None:
    archive = upload(some(tmp_path / "a"), f"{s3}/a")
    shard = whole(archive)
    for denied in ("", "/a"):  # everything, and the archive once it was listed
        proxy.deny = s3.removeprefix("s3://") + denied
        with pytest.raises(UserError) as error:
            if denied:
                scan_shard(shard, record, Tables.at(f"{s3}/T"), BlobFinder())
            else:
                list_sources(archive)
        assert "\n" not in str(error.value) and archive in str(error.value) and "access" in str(error.value)
    proxy.deny = None
    assert Tables.at(f"{s3}/T").commits(record.scan_id) == []


def test_a_denied_source_costs_no_neighbour_and_is_tried_again(
    tmp_path: Path, record: ScanRecord, s3: str, proxy: FaultyProxy
) -> None:
    archive = upload(some(tmp_path / "a"), f"{s3}/a")
    shard = whole(archive)
    proxy.deny = "20261122_031501.mp4"
    found = outcomes(scan_shard(shard, record, Tables.at(f"{s3}/T"), BlobFinder()))
    outcome, error = found.pop("20261122_031501.mp4")
    assert outcome is Outcome.FAILED and error is not None and "may not be read" in error
    assert {outcome for outcome, _ in found.values()} == {Outcome.OK}
    proxy.deny = None
    [again] = plan(list_sources(archive).sources, Tables.at(f"{s3}/T").commits(record.scan_id), 10)
    assert [source.uri.rsplit("/", 1)[-1] for source in again.sources] == ["20261122_031501.mp4"]
    assert (
        outcomes(scan_shard(again, record, Tables.at(f"{s3}/T"), BlobFinder()))["20261122_031501.mp4"][0] is Outcome.OK
    )
    assert len({str(row["source_uri"]) for row in rows(f"{s3}/T", "frames", record)}) == 4
