"""Footage that is moved or renamed between two nights counts once."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.records import ScanRecord
from tasks.footage.archive import Sources, find_sources
from tasks.scanning.moved import note_moved
from tasks.scanning.plan import plan
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables, open_table
from tests.tasks.samples import BlobFinder, upload, write_images, write_video


def night(archive: str, tables: Tables, record: ScanRecord) -> None:
    """What a scan does: note what was moved, then scan what is not committed."""
    tables.begin(record)
    sources = Sources.of(find_sources(archive).sources)
    note_moved(tables, archive, sources)
    for shard in plan(sources, tables.done(record.scan_id), 10):
        scan_shard(shard, record, tables, BlobFinder())


def seen(tables: Tables, table: str = "frames") -> dict[str, int]:
    uris = open_table(tables.name, table).to_table(columns=["source_uri"])["source_uri"].to_pylist()
    return {"/".join(uri.rstrip("/").rsplit("/", 2)[-2:]): uris.count(uri) for uri in sorted(set(uris))}


@pytest.mark.parametrize("how", ["rename", "copy and remove"])
def test_moved_footage_counts_once(tmp_path: Path, record: ScanRecord, newer: ScanRecord, how: str) -> None:
    archive, tables = tmp_path / "archive", Tables.at(tmp_path / "T")
    clip = write_video(archive / "inbox" / "a.mp4")
    write_video(archive / "inbox" / "b.mp4", frames=10)
    photos = write_images(archive / "inbox" / "photos")
    night(str(archive), tables, record)
    assert seen(tables) == {"inbox/a.mp4": 4, "inbox/b.mp4": 2, "inbox/photos": 3}
    dated = archive / "2026-11-28"
    dated.mkdir()
    if how == "rename":
        clip.rename(dated / "renamed.mp4")
    else:
        shutil.copyfile(clip, dated / "renamed.mp4")  # with another time, and so another etag
        clip.unlink()
    photos.rename(dated / "photos")
    night(str(archive), tables, record)
    once = {"2026-11-28/photos": 3, "2026-11-28/renamed.mp4": 4, "inbox/b.mp4": 2}
    assert seen(tables) == once
    assert seen(tables, "instances").keys() == once.keys()
    # So it stays, under a newer model as well, and after a compaction.
    night(str(archive), tables, newer)
    list(tables.compact(timedelta()))
    assert seen(tables) == once
    # What is moved back counts where it is now.
    (dated / "renamed.mp4").rename(clip)
    night(str(archive), tables, newer)
    assert seen(tables) == {"2026-11-28/photos": 3, "inbox/a.mp4": 4, "inbox/b.mp4": 2}


def test_rows_stay_until_the_new_address_is_scanned(tmp_path: Path, record: ScanRecord) -> None:
    archive, tables = tmp_path / "archive", Tables.at(tmp_path / "T")
    clip = write_video(archive / "inbox" / "a.mp4")
    write_video(archive / "inbox" / "b.mp4", frames=10)
    night(str(archive), tables, record)
    clip.rename(archive / "inbox" / "c.mp4")
    note_moved(tables, str(archive), Sources.of(find_sources(str(archive)).sources))
    assert seen(tables) == {"inbox/a.mp4": 4, "inbox/b.mp4": 2}


def test_copies_and_lookalikes_are_footage_of_their_own(tmp_path: Path, record: ScanRecord) -> None:
    archive, tables = tmp_path / "archive", Tables.at(tmp_path / "T")
    front = write_video(archive / "front" / "a.mp4")
    night(str(archive), tables, record)
    # A copy beside the original; and a file of the same size, time and name with other bytes, its twin being gone.
    (archive / "copy").mkdir()
    shutil.copy2(front, archive / "copy" / "a.mp4")
    other = archive / "rear" / "a.mp4"
    other.parent.mkdir()
    data = bytearray(front.read_bytes())
    data[-1] ^= 1
    other.write_bytes(bytes(data))
    os.utime(other, ns=(front.stat().st_atime_ns, front.stat().st_mtime_ns))
    night(str(archive), tables, record)
    assert set(seen(tables)) == {"front/a.mp4", "copy/a.mp4", "rear/a.mp4"}
    shutil.rmtree(archive / "copy")
    front.unlink()
    night(str(archive), tables, record)
    # Nothing that is left has the content of the two: their rows stay.
    assert set(seen(tables)) == {"front/a.mp4", "copy/a.mp4", "rear/a.mp4"}


def test_an_object_store(tmp_path: Path, s3: str, record: ScanRecord) -> None:
    write_video(tmp_path / "a" / "inbox" / "a.mp4")
    archive, tables = upload(tmp_path / "a", f"{s3}/archive"), Tables.at(f"{s3}/T")
    night(archive, tables, record)
    fs = tables.root.fs
    fs.mv(f"{archive}/inbox/a.mp4", f"{archive}/2026-11-28/a.mp4")
    night(archive, tables, record)
    uris = set(tables.open("frames").to_table()["source_uri"].to_pylist())
    assert {uri.rsplit("/", 2)[-2] for uri in uris} == {"2026-11-28"}
