import gc
import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from av import CodecContext, VideoFrame
from av.container import InputContainer

from clipomaly_core.errors import UserError
from schemas.records import Source, TimestampSource
from tasks.errors import SourceError
from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, read_frame, read_frames
from tasks.footage.images import read_image
from tests.tasks.samples import draw, image_bytes, upload, write_images, write_tar, write_video


def listed(path: Path | str) -> Source:
    [source] = list_sources(str(path)).sources
    return source


def read(source: Source, fps: float = 2.0) -> tuple[list[Frame], str | None]:
    """All frames, and the SourceError that ended them."""
    frames: list[Frame] = []
    try:
        for frame in read_frames(source, fps):
            frames.append(frame)
    except SourceError as error:
        return frames, str(error)
    return frames, None


def decoded(path: Path) -> list[npt.NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(path))
    frames: list[npt.NDArray[np.uint8]] = []
    while True:
        there, frame = capture.read()
        if not there:
            return frames
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8))


def vary_frame_rate(video: Path, out: Path, milliseconds: Sequence[int]) -> Path:
    """Put the frames of a video at these times (Matroska)."""
    packets = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    raw = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1, cv2.VIDEOWRITER_PROP_KEY_INTERVAL, 1]
    fourcc = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(out), cv2.CAP_FFMPEG, fourcc, 1000, (64, 48), raw)
    for moment in milliseconds:
        there, packet = packets.read()
        assert there
        writer.set(cv2.VIDEOWRITER_PROP_PTS, moment)
        writer.write(packet)
    writer.release()
    return out


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mp4v"), ("a.mov", "mp4v"), ("a.mkv", "mp4v"), ("a.avi", "MJPG"), ("a.avi", "XVID")]
)
@pytest.mark.parametrize("fps", [0.4, 1.0, 2.0, 3.0, 10.0])
def test_sampling(tmp_path: Path, name: str, codec: str, fps: float) -> None:
    video = write_video(tmp_path / name, frames=25, fps=10, codec=codec)
    source = listed(video)
    frames, error = read(source, fps)
    assert error is None
    # The last frame with k / 10 <= t, for t = 0, 1/fps, … below 2.5 s.
    wanted = [int(t / fps * 10 + 1e-6) for t in range(100) if t / fps < 2.5 - 1e-9]
    assert [frame.index for frame in frames] == wanted
    everything = decoded(video)
    for frame in frames:
        assert frame.image is not None and frame.image.dtype == np.uint8
        assert np.array_equal(frame.image, everything[frame.index])
        assert frame.timestamp == source.captured + timedelta(seconds=frame.index / 10)
        assert frame.timestamp_source is source.captured_from


def test_more_samples_than_frames_give_each_frame_once(tmp_path: Path) -> None:
    frames, _ = read(listed(write_video(tmp_path / "a.mp4", frames=5, fps=10)), fps=100)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]


def test_variable_frame_rate(tmp_path: Path) -> None:
    base = write_video(tmp_path / "base.mp4", frames=10)
    times = [0, 40, 80, 1000, 1040, 3000, 3040, 3080, 5000, 5500]
    video = vary_frame_rate(base, tmp_path / "varied.mkv", times)
    frames, error = read(listed(video))
    assert error is None
    # t = 0.5 shows frame 2 (0.08 s); 1.5 to 2.5 all show 4 (1.04 s); 3.5 to 4.5 all show 7.
    assert [frame.index for frame in frames] == [0, 2, 3, 4, 5, 7, 8, 9]
    everything = decoded(base)
    for frame in frames:
        assert frame.image is not None and np.array_equal(frame.image, everything[frame.index])
        assert frame.timestamp == listed(video).captured + timedelta(milliseconds=times[frame.index])


def test_real_clips(shared_data: Path) -> None:
    clips = list_sources(str(shared_data / "dashcam")).sources
    counts = {}
    for clip in clips:
        frames, error = read(clip)
        assert error is None and all(frame.image is not None for frame in frames)
        counts[clip.uri.rsplit("/", 1)[-1]] = [frame.index for frame in frames]
        assert all(frame.timestamp_source is TimestampSource.CONTAINER for frame in frames)
    assert counts == {
        # 25 frames a second: t = 0.5 shows frame 12 (0.48 s).
        "solidWhiteRight.mp4": [int(t * 12.5) for t in range(18)],
        "test_video.mp4": [0, 12, 25, 37],
    }


def test_real_photos(shared_data: Path) -> None:
    frames, error = read(listed(shared_data / "roadanomaly-open" / "frames"))
    assert error is None and len(frames) == 36
    assert all(frame.image is not None and frame.image.shape == (720, 1280, 3) for frame in frames)


def test_real_clip_cut_off(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "dashcam" / "solidWhiteRight.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    frames, error = read(listed(tmp_path / "cut.mp4"))
    assert error is None and len(frames) == 18
    good = [frame.image is not None for frame in frames]
    assert good == sorted(good, reverse=True) and 5 <= sum(good) <= 12
    assert [frame.index for frame in frames] == [int(t * 12.5) for t in range(18)]


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "mp4v"), ("a.avi", "MJPG")])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_video_cut_off(tmp_path: Path, name: str, codec: str, part: float, capfd: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / name, frames=100, fps=10, codec=codec)
    everything, whole = decoded(video), video.read_bytes()
    video.write_bytes(whole[: int(len(whole) * part)])
    source = listed(video)
    capfd.readouterr()
    frames, error = read(source)
    assert error is None
    assert [frame.index for frame in frames] == list(range(0, 100, 5))
    good = [frame for frame in frames if frame.image is not None]
    assert abs(len(good) / 20 - part) < 0.2
    for frame in good[:-1]:
        assert frame.image is not None and np.array_equal(frame.image, everything[frame.index])
    for frame in frames[len(good) :]:
        assert frame.error and frame.timestamp == source.captured + timedelta(seconds=frame.index / 10)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "folder", ["rain", pytest.param("night", marks=pytest.mark.slow), pytest.param("city", marks=pytest.mark.slow)]
)
def test_clips_with_an_edit_list(shared_data: Path, folder: str) -> None:
    """Clips cut out of longer ones hold frames before their beginning, which no player shows."""
    for clip in list_sources(str(shared_data / "dashcam-varied" / folder)).sources:
        everything = decoded(Path(clip.uri.removeprefix("file://")))
        assert abs(clip.footage_seconds - len(everything) * 1001 / 30000) < 0.04
        frames, error = read(clip, 1.0)
        assert error is None
        assert [frame.index for frame in frames] == [
            min(int(t * 30000 / 1001), len(everything) - 1) for t in range(int(clip.footage_seconds) + 1)
        ]
        for frame in frames:
            assert frame.image is not None and np.array_equal(frame.image, everything[frame.index])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_damage_in_the_middle(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / name, frames=60, fps=10)
    everything, data = decoded(video), bytearray(video.read_bytes())
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"\0\0\1\xb6"]
    assert len(starts) == 60
    for number in range(18, 33):  # 1.8 to 3.2 s
        data[starts[number] : starts[number] + 20] = bytes(20)
    video.write_bytes(data)
    source = listed(video)
    capfd.readouterr()
    frames, error = read(source)
    assert error is None
    assert [frame.index for frame in frames] == list(range(0, 60, 5))
    assert [frame.index for frame in frames if frame.image is None] == [20, 25, 30]
    for frame in frames:
        assert frame.timestamp == source.captured + timedelta(seconds=frame.index / 10)
        if frame.image is None:
            assert frame.error == "cannot be decoded"
        else:
            assert np.array_equal(read_frame(source.uri, frame.index), frame.image)
            # Pictures behind the damage lack what they build on until the next whole one.
            assert frame.index > 33 or np.array_equal(frame.image, everything[frame.index])
    assert capfd.readouterr() == ("", "")


def test_real_clip_with_a_hole(shared_data: Path, tmp_path: Path) -> None:
    data = bytearray((shared_data / "dashcam" / "solidWhiteRight.mp4").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200_000] = bytes(200_000)
    (tmp_path / "hole.mp4").write_bytes(data)
    frames, error = read(listed(tmp_path / "hole.mp4"))
    assert error is None
    assert [frame.index for frame in frames] == [int(t * 12.5) for t in range(18)]
    good = [frame.image is not None for frame in frames]
    assert all(good[:9]) and not all(good[9:12]) and all(good[12:])


def test_rotation_is_honoured(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    upright = decoded(video)[0]
    data = bytearray(video.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)  # 90° clockwise
    data[matrix : matrix + 36] = turned
    video.write_bytes(data)
    frames, _ = read(listed(video))
    assert frames[0].image is not None
    assert np.array_equal(frames[0].image, np.rot90(upright, k=-1))


@pytest.mark.parametrize(("name", "keyframes"), [("a.mp4", False), ("a.mp4", True), ("a.avi", False), ("a.m4v", False)])
def test_nothing_of_a_decoder_waits_for_the_garbage_collector(name: str, keyframes: bool, tmp_path: Path) -> None:
    """It would be megabytes for each clip."""
    source = listed(write_video(tmp_path / name))
    gc.freeze()  # what was there before
    gc.disable()
    try:
        assert len(list(read_frames(source, 100, keyframes))) > 1
        read_frame(source.uri, 1)
        kinds = (VideoFrame, CodecContext, InputContainer)
        assert [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)] == []
    finally:
        gc.enable()
        gc.unfreeze()


def test_video_that_cannot_be_decoded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "a.mp4")
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + size] = bytes(size)
    video.write_bytes(data)
    source = listed(video)
    assert source.error is None  # the header is whole
    frames, error = read(source)
    assert error == "no frame of the video can be decoded"
    assert frames and all(frame.image is None for frame in frames)
    # Not even opened: the listing was sure of it, but what is read is no video.
    video.write_bytes(b"text" * 1000)
    frames, error = read(replace(listed(video), error=None))
    assert not frames and error is not None and "cannot be opened as a video" in error
    assert capfd.readouterr() == ("", "")


def test_sources_that_are_not_what_was_listed(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4")
    source = listed(video)
    write_video(video, frames=30)
    assert read(source) == ([], "changed after it was listed; the next scan takes it as it is now")
    video.unlink()
    assert read(source) == ([], "gone since it was listed")
    assert read(replace(source, error="the file is empty")) == ([], "the file is empty")
    photos = write_images(tmp_path / "photos")
    folder = listed(photos)
    (photos / "001.jpg").unlink()
    assert read(folder)[1] == "changed after it was listed; the next scan takes it as it is now"


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".bmp"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_image_cut_off(tmp_path: Path, suffix: str, kept: float, capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "photos", 3, suffix)
    data = (folder / f"001{suffix}").read_bytes()
    cut = data[: int(len(data) * kept)]
    (folder / f"001{suffix}").write_bytes(cut)
    tar = write_tar(tmp_path / "a.tar", {f"{n}{suffix}": image_bytes(n, suffix) if n != 1 else cut for n in range(3)})
    for path in (folder, tar):
        frames, error = read(listed(path))
        assert error is None
        assert [frame.image is not None for frame in frames] == [True, False, True]
        assert frames[1].error and f"1{suffix}: " in frames[1].error
    assert capfd.readouterr() == ("", "")


def test_images_of_other_kinds(tmp_path: Path) -> None:
    grey = draw(1)[:, :, 0]
    for name, image in (("0.png", grey), ("1.png", np.dstack([draw(1), grey])), ("2.png", draw(1)[:, :, ::-1])):
        assert cv2.imwrite(str(tmp_path / name), image)
    (tmp_path / "3.jpg").write_text("text")
    # An EXIF orientation: the picture comes upright.
    turned = cv2.imencode(".jpg", np.ascontiguousarray(draw(1)))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (tmp_path / "4.jpg").write_bytes(turned[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + turned[2:])
    frames, _ = read(listed(tmp_path))
    shapes = [None if frame.image is None else frame.image.shape for frame in frames]
    assert shapes == [(48, 64, 3), (48, 64, 3), (48, 64, 3), None, (64, 48, 3)]
    assert frames[2].image is not None and np.array_equal(frames[2].image, draw(1))
    assert frames[3].error == "3.jpg: not an image of a known format"


def test_times_of_images(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos", 1)
    os.utime(folder / "000.jpg", (1.7e9, 1.7e9))
    (folder / "20261122_031500.jpg").write_bytes(image_bytes(1))
    frames, _ = read(listed(folder))
    named = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
    assert [(frame.timestamp, frame.timestamp_source) for frame in frames] == [
        (datetime.fromtimestamp(1.7e9, UTC), TimestampSource.MTIME),
        (named, TimestampSource.FILENAME),
    ]
    (tmp_path / "photos.json").write_text('{"captured": "2020-02-02T02:02:02Z"}')
    frames, _ = read(listed(tmp_path))
    told = datetime(2020, 2, 2, 2, 2, 2, tzinfo=UTC)
    assert [(frame.timestamp, frame.timestamp_source) for frame in frames] == [
        (told, TimestampSource.SIDECAR),
        (named, TimestampSource.FILENAME),
    ]


def test_tar(tmp_path: Path) -> None:
    members = {
        "b/2.png": image_bytes(2, ".png"),
        "a/0.png": image_bytes(0, ".png"),
        "a/0.json": b"{}",
        "a/._1.png": b"resource fork",
        "2026-11-23T09-00-05.png": image_bytes(1, ".png"),
    }
    source = listed(write_tar(tmp_path / "2026-11-23T09-00-00.tar", members))
    assert source.footage_seconds == 3
    frames, error = read(source)
    assert error is None
    for frame, number in zip(frames, (2, 0, 1), strict=True):  # as in the tar, not by name
        assert frame.image is not None and np.array_equal(frame.image, draw(number, (96, 64)))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.timestamp.second for frame in frames] == [0, 0, 5]


@pytest.mark.parametrize("cut", [100, 512, 700, 1300, 2000, 3000, 3500, 4095])
def test_tar_cut_off(tmp_path: Path, cut: int) -> None:
    """Members of 700 bytes take 512 + 1024 bytes: wherever it is cut, what is whole is kept and the loss told."""
    picture = image_bytes(0, ".jpg")
    tar = write_tar(tmp_path / "a.tar", {f"{n}.jpg": picture for n in range(5)})
    step = 512 + (len(picture) + 511) // 512 * 512
    tar.write_bytes(tar.read_bytes()[: step + cut])
    frames, error = read(listed(tar))
    good = sum(frame.image is not None for frame in frames)
    assert 1 <= good == sum(512 + len(picture) + n * step <= step + cut for n in range(5))
    assert error == f"the tar is cut off or damaged after {len(frames)} images"


def test_tar_with_a_damaged_header(tmp_path: Path) -> None:
    picture = image_bytes(0, ".jpg")
    tar = write_tar(tmp_path / "a.tar", {f"{n}.jpg": picture for n in range(4)})
    data = bytearray(tar.read_bytes())
    step = 512 + (len(picture) + 511) // 512 * 512
    data[2 * step : 2 * step + 300] = b"\xaa" * 300
    tar.write_bytes(data)
    frames, error = read(listed(tar))
    assert [frame.image is not None for frame in frames] == [True, True]
    assert error == "the tar is cut off or damaged after 2 images"


def test_same_frames_from_s3_and_nothing_left_behind(
    archive: Path, s3: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    local = list_sources(str(archive)).sources
    remote = list_sources(upload(archive, f"{s3}/archive")).sources
    for here, there in zip(local, remote, strict=True):
        ours, theirs = read(here), read(there)
        assert [f.index for f in ours[0]] == [f.index for f in theirs[0]] and ours[1] == theirs[1]
        for a, b in zip(ours[0], theirs[0], strict=True):
            assert a.image is not None and b.image is not None and np.array_equal(a.image, b.image)
            assert np.array_equal(read_frame(there.uri, b.index), b.image)
    assert list(temporary.iterdir()) == []


def test_read_frame(archive: Path) -> None:
    for source in list_sources(str(archive)).sources:
        for frame in read_frames(source, 2.0):
            assert frame.image is not None
            assert np.array_equal(read_frame(source.uri, frame.index), frame.image)
        with pytest.raises(UserError, match="Frame 999"):
            read_frame(source.uri, 999)
    with pytest.raises(UserError, match="cannot be read any more"):
        read_frame(f"file://{archive}/nowhere.mp4", 0)


def test_read_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes(3, ".png"))
    (tmp_path / "b.png").write_bytes(image_bytes(3, ".png")[:-100])
    assert np.array_equal(read_image(str(tmp_path / "a.png")), draw(3, (96, 64)))
    with pytest.raises(UserError, match="no whole image"):
        read_image(str(tmp_path / "b.png"))
    with pytest.raises(UserError, match="Cannot read"):
        read_image(str(tmp_path / "c.png"))
