"""Archives that lie in one packed file, which fsspec reads by chained URLs."""

import os
import tarfile
from datetime import timedelta
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import fsspec
import pytest

from clipomaly_core.errors import UserError
from tasks.addresses import file_name, split_chain
from tasks.errors import BadUrlError
from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import current_etag, read_frame, read_frames, read_track
from tasks.footage.track import Position
from tests.tasks.footage.numbered import number_of, write_numbered
from tests.tasks.samples import write_images


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A folder with an archive as ZIP, as tar, and as a ZIP in a ZIP."""
    write_numbered(tmp_path / "in" / "car1" / "20261122_031500.mp4")
    write_numbered(tmp_path / "in" / "car1" / "a::b.mp4")
    (tmp_path / "in" / "car1" / "20261122_031500.json").write_text('{"latitude": 48.0, "longitude": 11.0}')
    track = "".join(f"2026-11-22T03:15:0{second}Z,48.{second},11\n" for second in range(9))
    (tmp_path / "in" / "car1" / "20261122_031500.csv").write_text(f"time,lat,lon\n{track}")
    write_images(tmp_path / "in" / "car2" / "photos", 3)
    with ZipFile(tmp_path / "night.zip", "w", ZIP_DEFLATED) as file:
        for path in sorted((tmp_path / "in").rglob("*.*")):
            file.write(path, path.relative_to(tmp_path / "in"))
    with tarfile.open(tmp_path / "night.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "in", ".")
    with ZipFile(tmp_path / "outer.zip", "w") as outer:
        outer.write(tmp_path / "night.zip", "deep/night.zip")
    return tmp_path


@pytest.mark.parametrize(
    "chain", ["zip://::@/night.zip", "tar://::file://@/night.tar.gz", "zip://::zip://deep/night.zip::@/outer.zip"]
)
def test_a_packed_archive_is_scanned_as_a_folder_is(packed: Path, chain: str) -> None:
    sources = list_sources(chain.replace("@", str(packed))).sources
    folder = list_sources(str(packed / "in")).sources
    assert [file_name(source.uri) for source in sources] == ["20261122_031500.mp4", "a::b.mp4", "photos"]
    for there, here in zip(sources, folder, strict=True):
        for field in ("size", "drive", "captured_from", "footage_seconds", "latitude", "note", "error"):
            assert getattr(there, field) == getattr(here, field)
        assert there.etag == current_etag(there)
    track = read_track(sources[0])
    assert track and track.at(sources[0].captured + timedelta(seconds=3)) == Position(48.3, 11.0)
    for video in sources[:2]:
        assert [number_of(frame.image) for frame in read_frames(video, 1.0)] == [0, 10, 20, 30, 40, 50]
        assert number_of(read_frame(video.uri, 13)) == 13
    assert sum(frame.image is not None for frame in read_frames(sources[2], 1.0)) == 3


def test_a_packed_archive_in_a_store(packed: Path, s3: str) -> None:
    fsspec.filesystem("s3").put_file(str(packed / "night.zip"), f"{s3}/night.zip")
    [source] = find_sources(f"zip://car2::{s3}/night.zip").sources
    assert source.uri == f"zip://car2/photos/::{s3}/night.zip"
    assert [frame.error for frame in read_frames(source, 1.0)] == [None] * 3


def test_a_packed_file_that_is_replaced_is_read_anew(packed: Path) -> None:
    url = f"zip://::{packed}/night.zip"
    assert len(find_sources(url).sources) == 3
    with ZipFile(packed / "new.zip", "w") as file:
        file.write(packed / "in" / "car1" / "a::b.mp4", "b.mp4")
    os.replace(packed / "new.zip", packed / "night.zip")
    assert [file_name(source.uri) for source in find_sources(url).sources] == ["b.mp4"]


def test_packed_files_that_cannot_be_read(packed: Path) -> None:
    (packed / "cut.zip").write_bytes((packed / "night.zip").read_bytes()[:2000])
    for url, told in (
        (f"zip://::{packed}/cut.zip", "is no whole zip file"),
        (f"zip://::{packed}/gone.zip", "No such file"),
        (f"zip://car9::{packed}/night.zip", "There is no archive at zip://car9"),
        (f"{packed}/night.zip", f"scanned as zip://::file://{packed}/night.zip"),
        (f"simplecache::{packed}", "There is no archive"),
    ):
        with pytest.raises(UserError, match=told) as error:
            find_sources(url)
        assert "\n" not in str(error.value)
    with pytest.raises(BadUrlError, match="of chained URLs, zip:// and tar:// are read"):
        find_sources("simplecache::s3://bucket/night")


def test_a_damaged_or_encrypted_member_costs_only_itself(packed: Path) -> None:
    data = bytearray((packed / "night.zip").read_bytes())
    with ZipFile(packed / "night.zip") as file:
        damaged, encrypted = (file.getinfo(f"car1/{name}.mp4") for name in ("20261122_031500", "a::b"))
    at = damaged.header_offset + 200
    data[at : at + 400] = bytes(400)
    data[encrypted.header_offset + 6] |= 1
    data[data.index(b"car1/a::b.mp4", data.index(b"PK\x01\x02")) - 46 + 8] |= 1
    (packed / "bad.zip").write_bytes(data)
    first, second, photos = list_sources(f"zip://::{packed}/bad.zip").sources
    assert str(first.error).startswith("cannot be opened: ") and "\n" not in str(first.error)
    assert "is encrypted" in str(second.error)
    assert [frame.error for frame in read_frames(photos, 1.0)] == [None] * 3


def test_only_protocols_of_packed_files_begin_a_chain() -> None:
    assert split_chain("zip://a::b/x.mp4::s3://bucket/n.zip") == ("zip://a::b/x.mp4", "s3://bucket/n.zip")
    assert split_chain("zip://::zip://n.zip::/data/o.zip") == ("zip://", "zip://n.zip::/data/o.zip")
    assert split_chain("s3://bucket/a::s3://b.mp4") == ("s3://bucket/a::s3://b.mp4", "")
