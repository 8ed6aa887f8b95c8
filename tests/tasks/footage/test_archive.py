import io
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from clipomaly_core.errors import UserError
from schemas.records import Source, TimestampSource
from tasks.errors import DeniedError
from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import current_etag, kind_of, read_frames
from tasks.footage.source_folder import FOLDER
from tasks.footage.source_tar import TAR
from tasks.footage.source_video import VIDEO, look_into
from tests.tasks.samples import (
    image_bytes,
    set_creation_time,
    upload,
    write_images,
    write_tar,
    write_video,
)


def by_name(sources: Sequence[Source]) -> dict[str, Source]:
    return {source.uri.rstrip("/").rsplit("/", 1)[-1]: source for source in sources}


def test_mixed_archive(archive: Path) -> None:
    listing = list_sources(str(archive))
    found = by_name(listing.sources)
    facts = {name: (kind_of(s.uri), s.drive, s.captured_from, s.footage_seconds) for name, s in found.items()}
    assert facts == {
        "20261122_031500.mp4": (VIDEO, "drive-a", TimestampSource.FILENAME, 2.0),
        "20261122_031600.mp4": (VIDEO, "drive-a", TimestampSource.SIDECAR, 2.0),
        "20261123_080000.avi": (VIDEO, "drive-b", TimestampSource.FILENAME, 2.0),
        "2026-11-23T09-00-00.tar": (TAR, "drive-b", TimestampSource.FILENAME, 4.0),
        "photos": (FOLDER, "drive-b", TimestampSource.MTIME, 3.0),
    }
    assert all(source.error is None for source in listing.sources)
    assert listing.ignored == ()
    described = found["20261122_031600.mp4"]
    assert described.captured == datetime(2026, 11, 22, 3, 16, 5, tzinfo=UTC)
    assert (described.latitude, described.longitude) == (48.1, 11.5)
    assert found["20261122_031500.mp4"].captured == datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
    assert found["photos"].uri.endswith("/drive-b/photos/")
    assert found["photos"].size == sum(p.stat().st_size for p in (archive / "drive-b" / "photos").iterdir())
    assert [source.uri for source in listing.sources] == sorted(source.uri for source in listing.sources)


def test_same_listing_from_s3(archive: Path, s3: str) -> None:
    local, remote = list_sources(str(archive)), list_sources(upload(archive, f"{s3}/archive"))
    for here, there in zip(local.sources, remote.sources, strict=True):
        assert there.uri.removeprefix(f"{s3}/archive") == here.uri.removeprefix(f"file://{archive}")
        for field in ("size", "drive", "captured_from", "footage_seconds", "error", "latitude"):
            assert getattr(there, field) == getattr(here, field)
        if here.captured_from is not TimestampSource.MTIME:
            assert there.captured == here.captured
        assert there.etag and there.etag == current_etag(there)
        assert here.etag == current_etag(here)


def test_capture_time_precedence(tmp_path: Path) -> None:
    video = write_video(tmp_path / "20261122_031500.mp4")
    header, named = datetime(2025, 5, 5, 5, 5, 5, tzinfo=UTC), datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
    sidecar = tmp_path / "20261122_031500.mp4.json"

    def captured() -> tuple[datetime, TimestampSource]:
        [source] = list_sources(str(tmp_path)).sources
        return source.captured, source.captured_from

    assert captured() == (named, TimestampSource.FILENAME)
    set_creation_time(video, datetime(1970, 1, 1, tzinfo=UTC))
    assert captured() == (named, TimestampSource.FILENAME)
    set_creation_time(video, header)
    assert captured() == (header, TimestampSource.CONTAINER)
    sidecar.write_text(json.dumps({"captured": "2024-04-04T04:04:04Z"}))
    assert captured() == (datetime(2024, 4, 4, 4, 4, 4, tzinfo=UTC), TimestampSource.SIDECAR)
    sidecar.write_text(json.dumps({"latitude": 1}))
    assert captured() == (header, TimestampSource.CONTAINER)
    sidecar.unlink()
    video.rename(tmp_path / "clip.mp4")
    set_creation_time(tmp_path / "clip.mp4", datetime(1904, 1, 1, tzinfo=UTC))
    os.utime(tmp_path / "clip.mp4", (1.7e9, 1.7e9))
    # It was written last when the recording of two seconds ended.
    assert captured() == (datetime.fromtimestamp(1.7e9 - 2, UTC), TimestampSource.MTIME)


def test_what_is_no_source(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4")
    write_images(tmp_path / "photos", 1)
    for name in ("notes.txt", "clip.srt", "README", "lonely.json", "broken.mp3"):
        (tmp_path / name).write_text("x")
    (tmp_path / "clip.json").write_text("not JSON")
    (tmp_path / "photos" / "000.json").write_text("{}")
    for hidden in (".hidden.mp4", "._clip.mp4", ".cache/x.mp4", "__MACOSX/x.mp4", "photos/._000.jpg"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"x")
    (tmp_path / "photos" / "000.labels").mkdir()
    (tmp_path / "photos" / "000.labels" / "truth.png").write_bytes(image_bytes(0, ".png"))
    listing = list_sources(str(tmp_path))
    assert sorted(by_name(listing.sources)) == ["clip.mp4", "photos"]
    assert [name.rsplit("/", 1)[-1] for name in listing.ignored] == [
        "README", "broken.mp3", "lonely.json", "notes.txt"
    ]  # fmt: skip
    # An unreadable sidecar is told, a good or unused one is not.
    assert {source.note and source.note.rsplit("/", 1)[-1] for source in listing.sources} == {
        None, "clip.json cannot be read as a sidecar: not used"
    }  # fmt: skip


def test_only_these_prefixes(archive: Path, s3: str) -> None:
    write_images(archive / "drive-b" / "deep" / "photos", 1)
    (archive / "drive-b" / "photos.json").write_text(json.dumps({"captured": "2024-04-04T04:04:04Z"}))
    for url in (str(archive), upload(archive, f"{s3}/archive")):
        everything = by_name(find_sources(url).sources)
        assert str(everything["photos"].sidecar).endswith("drive-b/photos.json")
        for prefixes, count in ((["drive-a"], 2), (["drive-b/", "drive-b/deep"], 4), (["drive-a", "drive-b/deep"], 3)):
            found = find_sources(url, prefixes).sources
            assert len(found) == count
            assert {source.uri: source for source in found}.items() <= {
                source.uri: source for source in find_sources(url).sources
            }.items()
        with pytest.raises(UserError, match=r"There is nothing at .*drive-c\. Check --prefix"):
            find_sources(url, ["drive-a", "drive-c"])
        with pytest.raises(UserError, match="--prefix"):
            find_sources(url, ["../elsewhere"])


def test_many_folders_are_listed_as_few_are(tmp_path: Path, s3: str) -> None:
    for number in range(70):
        (tmp_path / "fleet" / f"car{number}").mkdir(parents=True)
        (tmp_path / "fleet" / f"car{number}" / "clip.mp4").touch()
    write_images(tmp_path / "fleet" / "car7" / "front", 1)
    for name in ("car7/front.gpx", "car8.json", "car9/.hidden.mp4", "notes.txt"):
        (tmp_path / "fleet" / name).touch()
    for url in (str(tmp_path / "fleet"), upload(tmp_path / "fleet", f"{s3}/fleet")):
        listing = find_sources(url)
        assert len(listing.sources) == 71
        assert [name.rsplit("/", 1)[-1] for name in listing.ignored] == ["car8.json", "notes.txt"]
        [photos] = [source for source in listing.sources if source.track]
        assert photos.uri.endswith("/car7/front/") and str(photos.track).endswith("/car7/front.gpx")


def test_drive_is_first_folder_or_own_name(tmp_path: Path) -> None:
    root = tmp_path / "fleet"
    write_video(root / "a.mp4")
    write_images(root, 1)
    write_images(root / "car7" / "front" / "photos", 1)
    drives = {s.uri.removeprefix(f"file://{root}"): s.drive for s in list_sources(f"{root}/").sources}
    assert drives == {"/": "fleet", "/a.mp4": "fleet", "/car7/front/photos/": "car7"}


def test_single_file(tmp_path: Path) -> None:
    video = write_video(tmp_path / "car7" / "clip.mp4")
    (tmp_path / "car7" / "clip.json").write_text(json.dumps({"captured": "2024-04-04T04:04:04Z"}))
    write_video(tmp_path / "car7" / "other.mp4")
    [source] = list_sources(str(video)).sources
    assert (source.uri, source.drive, source.captured.year) == (f"file://{video}", "car7", 2024)
    tar = write_tar(tmp_path / "x.tar", {"a.jpg": image_bytes(0), "b.txt": b"text"})
    [source] = list_sources(tar.as_uri()).sources
    assert source.footage_seconds == 1.0
    write_images(tmp_path, 1)
    with pytest.raises(UserError, match=r"is one image"):
        list_sources(str(tmp_path / "000.jpg"))


def test_broken_sources_are_listed(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all\n" * 20)
    (tmp_path / "text.tar").write_text("no tar at all\n" * 100)
    (tmp_path / "empty.tar").touch()
    write_tar(tmp_path / "no-images.tar", {"a.txt": b"x"})
    whole = write_video(tmp_path / "cut.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "gone.mov").symlink_to(tmp_path / "nowhere.mov")
    os.mkfifo(tmp_path / "notes.fifo")
    found = by_name(list_sources(str(tmp_path)).sources)
    errors = {name: source.error for name, source in found.items()}
    assert errors.pop("good.mp4") is None
    assert set(errors) == {
        "empty.mp4", "text.mp4", "text.tar", "empty.tar", "no-images.tar", "cut.mp4", "gone.mov"
    }  # fmt: skip
    assert all(errors.values())
    assert errors["empty.mp4"] == "the file is empty"
    assert errors["gone.mov"] == "cannot be opened: No such file or directory"
    for name in errors:
        assert found[name].footage_seconds == 0
        assert found[name].captured_from is TimestampSource.MTIME


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "good.mp4")
    write_video(tmp_path / "locked.mp4")
    write_images(tmp_path / "vault")
    listed, opened = LocalFileSystem.ls, LocalFileSystem._open

    def ls(self: LocalFileSystem, path: str, **kwargs: Any) -> Any:
        if path.rstrip("/").endswith(refused):
            raise PermissionError(13, "Permission denied", path)
        return listed(self, path, **kwargs)

    def open_(self: LocalFileSystem, path: str, **kwargs: Any) -> Any:
        if "locked" in path:
            raise PermissionError(13, "Permission denied", path)
        return opened(self, path, **kwargs)

    monkeypatch.setattr(LocalFileSystem, "ls", ls)
    monkeypatch.setattr(LocalFileSystem, "_open", open_)
    refused = "/vault"
    sources = by_name(list_sources(str(tmp_path)).sources)
    assert list(sources) == ["good.mp4", "locked.mp4", "vault"]
    for name, source in sources.items():
        assert source.error is None  # what may not be read today may be tomorrow: the scan finds out
        if name != "good.mp4":
            with pytest.raises(DeniedError, match="may not be read: Permission denied"):
                next(read_frames(source, 1.0))
    refused = tmp_path.name
    with pytest.raises(UserError, match="Permission denied"):
        list_sources(str(tmp_path))


def test_archives_that_cannot_be(tmp_path: Path, s3: str) -> None:
    for url in (str(tmp_path / "nowhere"), f"{s3}/nowhere", "s3://no-such-bucket-here/x"):
        with pytest.raises(UserError, match="There is no archive"):
            list_sources(url)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="holds nothing to scan"):
        list_sources(str(tmp_path))
    for url in ("gopher://x/y", "zip://a::file:///b.zip", "ftp://me:hunter2@host/x"):
        with pytest.raises(UserError) as error:
            list_sources(url)
        assert "hunter2" not in str(error.value) and "\n" not in str(error.value)


def test_storage_out_of_reach(monkeypatch: pytest.MonkeyPatch, s3: str) -> None:
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"retries": {"max_attempts": 1}}})
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(UserError, match="Cannot read"):
        list_sources(f"{s3}/archive")


def test_links_do_not_lead_in_circles(tmp_path: Path) -> None:
    write_video(tmp_path / "a" / "clip.mp4")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "same.mp4").symlink_to(tmp_path / "a" / "clip.mp4")
    listing = list_sources(str(tmp_path))
    sources = by_name(listing.sources)
    assert sources["same.mp4"].size == sources["clip.mp4"].size and len(sources) == 2
    assert [name.rsplit("/", 1)[-1] for name in listing.ignored] == ["up"]


def test_folder_etag_follows_its_images(tmp_path: Path) -> None:
    write_images(tmp_path / "photos")
    [before] = list_sources(str(tmp_path)).sources
    assert current_etag(before) == before.etag
    (tmp_path / "photos" / "999.jpg").write_bytes(image_bytes(9))
    assert current_etag(before) != before.etag
    [after] = list_sources(str(tmp_path)).sources
    assert after.etag == current_etag(before) and after.footage_seconds == 4


def test_only_headers_are_read(tmp_path: Path) -> None:
    class Counting(io.BytesIO):
        total = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.total += len(data)
            return data

    padding = 50 * 2**20
    video = write_video(tmp_path / "clip.mp4").read_bytes()
    head = int.from_bytes(video[:4], "big")  # ftyp
    free = (padding).to_bytes(4, "big") + b"free" + bytes(padding - 8)
    file = Counting(video[:head] + free + video[head:])
    assert look_into(file, datetime.now(UTC)).seconds == 2.0
    assert file.total < 2 * 2**20
