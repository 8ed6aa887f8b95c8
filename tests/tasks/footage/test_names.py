"""Names as they are met: each file is listed once, none is lost, and each is read again by its URI."""

import os
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tasks.addresses import on_disk, printable
from tasks.errors import UserError
from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import read_frame, read_frames
from tests.tasks.footage.numbered import number_of, write_numbered
from tests.tasks.samples import image_bytes, write_images, write_tar, write_video


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "a" / "x.mp4")
    os.replace(video, os.fsencode(tmp_path / "a") + b"/caf\xe9 100%.mp4")
    write_video(tmp_path / "a" / "caf%C3.mp4")
    os.makedirs(os.fsencode(tmp_path / "a") + b"/\xff\xfe")
    photo = os.fsencode(tmp_path / "a") + b"/\xff\xfe/\xe9.jpg"
    with open(photo, "wb") as file:
        file.write(image_bytes(1)[:300])
    listing = list_sources(str(tmp_path / "a"))
    assert [source.uri.split("/a/")[1] for source in listing.sources] == ["%FF%FE/", "caf%C3.mp4", "caf%E9 100%25.mp4"]
    assert [source.error for source in listing.sources] == [None] * 3
    found = {source.uri.split("/a/")[1]: list(read_frames(source, 1.0)) for source in listing.sources}
    assert [number_of(frame.image) for frame in found["caf%E9 100%25.mp4"]] == [0, 10, 20, 30, 40, 50]
    assert number_of(read_frame(listing.sources[2].uri, 13)) == 13
    assert str(found["%FF%FE/"][0].error).startswith("%E9.jpg: ")


def test_a_member_whose_name_is_no_text(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", {"caf\udce9.jpg": image_bytes(0)[:300], "1.jpg": image_bytes(1)})
    broken, whole = read_frames(list_sources(str(tar)).sources[0], 1.0)
    assert str(broken.error).startswith("caf%E9.jpg: ") and whole.image is not None


@pytest.mark.parametrize("name", ["a::b.mp4", "100%.mp4", "#1?.mp4", "~x.mp4", " a [1] *.mp4", "日本.mp4", "a\nb.mp4"])
def test_odd_names_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    write_numbered(tmp_path / "a" / name)
    [source] = list_sources(str(tmp_path / "a")).sources
    assert source.error is None and "\n" not in source.uri
    assert number_of(read_frame(source.uri, 13)) == 13


def test_printable_names_come_back(tmp_path: Path) -> None:
    for name in ("plain", "100%", "a%20b"):
        assert printable(name) == name
    raw = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9%")
    Path(raw).touch()
    assert printable(raw).endswith("/%E9%25") and on_disk(printable(raw)) == raw
    assert on_disk("/nowhere/%E9") == "/nowhere/%E9"


def test_keys_of_object_stores_are_kept(tmp_path: Path, s3: str) -> None:
    clip, photo = write_video(tmp_path / "clip.mp4").read_bytes(), image_bytes(1)
    store = fsspec.filesystem("s3")
    keys = ["car1//front/1.mp4", "car1/rear/1.mp4", "car1/2.mp4", "car1/a b+c%20d.mp4", "/car2/1.mp4", "car3/x::y.mp4"]
    # What looks like a secret or a chain of URLs is a name here.
    keys += ["car3/a::s3://b.mp4", "car3/x?token=abc.mp4", "https://ann:word@host.mp4"]
    for key in keys:
        store.pipe_file(f"{s3}/night/{key}", clip)
    for marker in ("", "car1/", "empty/"):
        store.call_s3("put_object", Bucket=s3.removeprefix("s3://"), Key=f"night/{marker}", Body=b"")
    found = [source.uri.removeprefix(f"{s3}/night/") for source in find_sources(f"{s3}/night").sources]
    assert sorted(found) == sorted(keys)
    opened = list_sources(f"{s3}/night").sources
    assert [source.error for source in opened] == [None] * len(keys)
    # Images in a folder without a name cannot be listed by it: they are told, not taken from another folder.
    store.pipe_file(f"{s3}/night/car4//1.jpg", photo)
    [failed] = [source for source in find_sources(f"{s3}/night").sources if source.error]
    assert "two slashes" in str(failed.error)


def test_what_systems_leave_is_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "car1" / "20261122_031500.mp4")
    write_images(tmp_path / "car1" / "@eaDir" / "20261122_031500.mp4", 1)
    write_images(tmp_path / "car1" / "photos", 1)
    for name in ("#recycle/1.mp4", "$RECYCLE.BIN/S-1/$R1.mp4", ".Trashes/2.mp4", "System Volume Information/3.mp4"):
        write_video(tmp_path / name)
    for name in ("car1/thumb.png", "car1/20261122_031500_thumb.jpg", "car1/._20261122_031500.mp4"):
        (tmp_path / name).write_bytes(image_bytes(1))
    listing = find_sources(str(tmp_path))
    assert [source.uri.split("/car1/")[1] for source in listing.sources] == ["20261122_031500.mp4", "photos/"]
    assert listing.ignored == () and listing.left_over == 8


def test_small_copies_are_footage_where_nothing_else_is(tmp_path: Path) -> None:
    for name in ("car1/GX010001.MP4", "car1/GL010001.LRV", "car2/GL010002.LRV", "car3/DJI_0001.lrf"):
        write_numbered(tmp_path / name, form="mp4")
    for name in ("car1/GX010001.THM", "car2/GX010002.THM"):
        (tmp_path / name).write_bytes(image_bytes(1))
    listing = list_sources(str(tmp_path))
    assert [source.uri.removeprefix(f"file://{tmp_path}/") for source in listing.sources] == [
        "car1/GX010001.MP4", "car2/GL010002.LRV", "car3/DJI_0001.lrf"
    ]  # fmt: skip
    assert listing.ignored == () and listing.left_over == 3
    assert [number_of(frame.image) for frame in read_frames(listing.sources[1], 1.0)] == [0, 10, 20, 30, 40, 50]
    [named] = find_sources(str(tmp_path / "car1" / "GL010001.LRV")).sources
    assert named.uri.endswith("/GL010001.LRV")


def test_copies_and_previews_that_names_tell(tmp_path: Path) -> None:
    footage = [
        "a/261122_031500_001_FH.MP4",
        "b/fcamera.hevc",
        "c/VID_20261122_031500_00_001.insv",
        "d/M4ROOT/CLIP/C1.MP4",
    ]
    copies = [
        "a/261122_031500_001_FL.MP4",
        "b/qcamera.ts",
        "c/LRV_20261122_031500_01_001.insv",
        "d/M4ROOT/SUB/C1S03.MP4",
    ]
    previews = ["d/M4ROOT/THMBNL/C1T01.JPG", "b/preview.png", "a/261122_031500_001_FH.MP4.jpg", "a/Thumbnails/1.jpg"]
    deleted = ["LOST.DIR/1.mp4", "FOUND.001/1.mp4", "Recycled/1.mp4", "~snapshot/1.mp4", "a/~$1.mp4", "@__thumb/1.jpg"]
    for name in (*footage, *copies, *previews, *deleted):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listing = find_sources(str(tmp_path))
    assert [source.uri.removeprefix(f"file://{tmp_path}/") for source in listing.sources] == footage
    assert listing.ignored == () and listing.left_over == len([*copies, *previews, *deleted])
    [alone] = find_sources(str(tmp_path / "d" / "M4ROOT" / "SUB")).sources
    assert alone.uri.endswith("/C1S03.MP4")


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    write_video(tmp_path / "in" / "1.mp4")
    write_images(tmp_path / "in" / "photos", 1)
    for name in ("pipe.mp4", "photos/pipe.jpg"):
        os.mkfifo(tmp_path / "in" / name)
    (tmp_path / "in" / "linked.mp4").symlink_to(tmp_path / "in" / "pipe.mp4")
    listing = list_sources(str(tmp_path / "in"))
    assert [len(list(read_frames(source, 1.0))) for source in listing.sources] == [2, 1]
    assert [name.split("/in/")[1] for name in listing.ignored] == ["linked.mp4", "photos/pipe.jpg", "pipe.mp4"]
    with pytest.raises(UserError, match=r"pipe\.mp4 is no file: a pipe"):
        find_sources(str(tmp_path / "in" / "pipe.mp4"))


def test_what_describes_a_source_in_any_case_of_letters(tmp_path: Path) -> None:
    for name in ("A.MP4", "b.mp4"):
        write_video(tmp_path / "in" / name)
    for name in ("a.GPX", "B.JSON", "b.Csv"):
        (tmp_path / "in" / name).write_text('{"captured": "2026-11-22T03:15:00Z"}')
    upper, lower = find_sources(str(tmp_path / "in")).sources
    assert str(upper.track).endswith("/a.GPX")
    assert str(lower.track).endswith("/b.Csv") and str(lower.sidecar).endswith("/B.JSON")
    (tmp_path / "in" / "A.JSON").write_text("{}")
    [alone] = find_sources(str(tmp_path / "in" / "A.MP4")).sources
    assert str(alone.sidecar).endswith("/A.JSON")


def test_links_to_folders(tmp_path: Path) -> None:
    """Followed out of the archive, and never round in a circle."""
    write_video(tmp_path / "elsewhere" / "deep" / "1.mp4")
    write_video(tmp_path / "archive" / "car1" / "2.mp4")
    (tmp_path / "archive" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "archive" / "car1" / "up").symlink_to(tmp_path / "archive")
    (tmp_path / "elsewhere" / "deep" / "round").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "archive")
    listing = find_sources(str(tmp_path / "archive"))
    assert [source.uri.split("/archive/")[1] for source in listing.sources] == ["car1/2.mp4", "linked/deep/1.mp4"]
    assert {name.split("/archive/")[1] for name in listing.ignored} == {
        "car1/up", "linked/back", "linked/deep/round"
    }  # fmt: skip


SUFFIXES = {
    "ts": "mpegts", "MTS": "mpegts", "m2ts": "mpegts", "m2t": "mpegts", "trp": "mpegts", "m4v": "mp4", "3gp": "mp4",
    "360": "mp4", "f4v": "mp4", "mp4v": "mp4", "qt": "mov", "webm": "matroska", "mk3d": "matroska", "nut": "nut",
    "asf": "asf", "divx": "avi", "vob": "vob", "mod": "vob", "dav": "mpegts",
}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_suffixes_that_ffmpeg_decodes(tmp_path: Path, suffix: str) -> None:
    form = SUFFIXES[suffix]
    codec = {"asf": "mpeg4", "avi": "mpeg4", "vob": "mpeg2video"}.get(form, "libx264")
    write_numbered(tmp_path / f"a.{suffix}", codec, form=form)
    [source] = list_sources(str(tmp_path)).sources
    assert [number_of(frame.image) for frame in read_frames(source, 1.0)] == [0, 10, 20, 30, 40, 50]


def test_a_thousand_odd_names(tmp_path: Path) -> None:
    letters = ["a", "é", "%", "#", " ", "::", "'", "[", "日"]
    names = {f"{one}{two}{three}{n}" for n, one in enumerate(letters) for two in letters for three in letters}
    for name in names:
        (tmp_path / f"{name}.mp4").touch()
    found = [source.uri for source in find_sources(str(tmp_path)).sources]
    assert len(found) == len(set(found)) == len(names) == 729
    assert {Path(uri.removeprefix("file://")).name.removesuffix(".mp4") for uri in found} == names


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    write_images(tmp_path / "in" / "a%", 2, ".png")
    [folder] = list_sources(str(tmp_path / "in")).sources
    for frame in read_frames(folder, 1.0):
        assert frame.image is not None and np.array_equal(frame.image, read_frame(folder.uri, frame.index))
