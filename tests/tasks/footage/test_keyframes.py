"""Key frames, codecs and clocks of videos, with real footage encoded anew."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from schemas.records import ScanRecord
from tasks.errors import SourceError
from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, Rgb, read_frame, read_frames
from tasks.footage.source_video import sample_video
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.footage.test_frames import decoded, listed
from tests.tasks.samples import BlobFinder, description, write_images, write_tar, write_video
from tests.tasks.scanning.test_scan import rows, whole


def encode(
    path: Path, images: Sequence[Rgb], codec: str, times: Sequence[int], group: int = 12, rotate: int = 0
) -> Path:
    """A video of these images at these milliseconds, a key frame every ``group`` frames, two B-frames between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        quiet = {"x265-params": f"log-level=none:keyint={group}:min-keyint={group}:scenecut=0:open-gop=0:bframes=2"}
        h264 = {"g": str(group), "bf": "2", "sc_threshold": "0", "preset": "ultrafast", "x264-params": "bframes=2"}
        stream.options = {**(h264 if codec == "libx264" else quiet | {"preset": "ultrafast"})}
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if rotate:
        turn(path, rotate)
    return path


def turn(path: Path, degrees: int) -> None:
    """Write a rotation flag into the track header of an MP4, as phones and cameras mounted upside down do."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    matrix = header + (52 if data[header] else 40)
    cosine, sine = round(np.cos(np.radians(degrees))), round(np.sin(np.radians(degrees)))
    values = np.array([cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30], ">i4")
    data[matrix : matrix + 36] = values.tobytes()
    path.write_bytes(data)


@pytest.fixture(scope="module")
def road(shared_data: Path) -> list[Rgb]:
    """Frames of a real drive, small."""
    frames = decoded(shared_data / "dashcam" / "test_video.mp4")
    return [cv2.resize(frame, (320, 180), interpolation=cv2.INTER_AREA) for frame in frames]  # type: ignore[misc]


STEADY = [40 * number for number in range(38)]
VARYING = [round(900 * (1.1**number - 1)) for number in range(38)]  # 90 ms to 3 s from frame to frame


def check(source_path: Path, frames: Sequence[Frame], times: Sequence[int]) -> None:
    """Index and time of each frame lead back to that very frame."""
    source = listed(source_path)
    everything = decoded(source_path)
    assert len(everything) == len(times)
    for frame in frames:
        assert frame.image is not None
        assert np.array_equal(frame.image, everything[frame.index])
        assert np.array_equal(frame.image, read_frame(source.uri, frame.index))
        moment = source.captured + timedelta(milliseconds=times[frame.index] - times[0])
        assert abs(frame.timestamp - moment) < timedelta(milliseconds=1)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("times", [STEADY, VARYING], ids=["steady", "varying"])
def test_codecs_and_rates(tmp_path: Path, road: list[Rgb], codec: str, name: str, times: list[int]) -> None:
    video = encode(tmp_path / name, road, codec, times)
    source = listed(video)
    duration = times[-1] / 1000 + 1e-3  # the header of an MP4 tells less where frames are reordered
    moments = [t / 5 for t in range(round(duration * 5 + 5)) if t / 5 < duration - 1e-6]

    def shown(candidates: Sequence[int]) -> list[int]:
        picked = (max((n for n in candidates if times[n] <= 1000 * t + 0.01), default=candidates[0]) for t in moments)
        return sorted(set(picked))

    frames = list(read_frames(source, 5.0))
    assert [frame.index for frame in frames] == shown(range(38))
    check(video, frames, times)
    keys = list(read_frames(source, 5.0, keyframes=True))
    assert [frame.index for frame in keys] == shown(range(0, 38, 12))
    assert len(keys) >= 3
    check(video, keys, times)


def test_key_frames_of_real_clips(shared_data: Path) -> None:
    clips = [*list_sources(str(shared_data / "dashcam")).sources]
    clips += list_sources(str(shared_data / "dashcam-varied" / "rain")).sources  # with an edit list
    for clip in clips:
        with av.open(clip.uri.removeprefix("file://")) as container:
            stream = container.streams.video[0]
            shown = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        shown.sort(key=lambda packet: packet.pts or 0)
        expected = [number for number, packet in enumerate(shown) if packet.is_keyframe]
        everything = decoded(Path(clip.uri.removeprefix("file://")))
        frames = list(read_frames(clip, 30.0, keyframes=True))
        assert [frame.index for frame in frames] == expected and len(frames) >= 2
        for frame in frames:
            assert frame.image is not None and np.array_equal(frame.image, everything[frame.index])
            packet = shown[frame.index]
            assert packet.pts is not None and shown[0].pts is not None and packet.time_base is not None
            seconds = float((packet.pts - shown[0].pts) * packet.time_base)
            assert abs((frame.timestamp - clip.captured).total_seconds() - seconds) < 1e-5


def test_fewer_than_all_key_frames(tmp_path: Path, road: list[Rgb]) -> None:
    video = encode(tmp_path / "clip.mp4", road, "libx264", STEADY, group=2)
    frames = list(read_frames(listed(video), 2.0, keyframes=True))
    assert [frame.index for frame in frames] == [0, 12, 24, 36]  # 0.5 s: the key frame at 0.48 s


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation(tmp_path: Path, road: list[Rgb], degrees: int) -> None:
    flat = encode(tmp_path / "flat.mp4", road, "libx264", STEADY)
    turned = encode(tmp_path / "turned.mp4", road, "libx264", STEADY, rotate=degrees)
    upright = np.rot90(decoded(flat)[12], k=-degrees // 90)  # the flag turns clockwise
    for keyframes in (False, True):
        frames = {frame.index: frame for frame in read_frames(listed(turned), 25.0, keyframes)}
        assert np.array_equal(frames[12].image, upright)  # type: ignore[arg-type]


def test_a_codec_that_nothing_decodes_is_one_line(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 24, "libx264", range(0, 960, 40))
    data = clip.read_bytes()
    assert b"avc1" in data
    clip.write_bytes(data.replace(b"avc1", b"none"))
    with pytest.raises(SourceError, match="cannot be decoded"):
        next(sample_video(str(clip), 1.0))


def test_key_frames_of_a_cut_video(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "dashcam" / "solidWhiteRight.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    frames = list(read_frames(listed(tmp_path / "cut.mp4"), 2.0, keyframes=True))
    good = [frame for frame in frames if frame.image is not None]
    assert [frame.index for frame in good] == [30 * number for number in range(len(good))] and len(good) >= 3
    lost = frames[len(good) :]
    assert len(lost) >= 6 and all(frame.error == "missing: the video ends before it" for frame in lost)
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.avi", "XVID"), ("a.mp4", "mp4v")])
def test_key_frames_of_old_codecs(tmp_path: Path, name: str, codec: str) -> None:
    video = write_video(tmp_path / name, frames=30, codec=codec)
    everything = decoded(video)
    frames = list(read_frames(listed(video), 1.0, keyframes=True))
    assert frames[0].index == 0
    for frame in frames:
        assert frame.image is not None
        assert np.abs(frame.image.astype(int) - everything[frame.index]).mean() < 2
    if codec == "MJPG":  # every frame is a key frame
        assert [frame.index for frame in frames] == [0, 10, 20]


def test_scans_of_key_frames_are_a_generation_of_their_own(tmp_path: Path, record: ScanRecord) -> None:
    video = write_video(tmp_path / "a" / "20261122_031500.mp4", frames=40)
    write_images(tmp_path / "a" / "photos")
    only = make_scan_record(description(), fps=2.0, keyframes=True)
    assert only.scan_id != record.scan_id and make_scan_record(description(), fps=2.0).scan_id == record.scan_id
    result = scan_shard(whole(tmp_path / "a"), only, Tables.at(tmp_path / "T"), BlobFinder())
    frames = [row for row in rows(tmp_path / "T", "frames", only) if str(row["source_uri"]).endswith(".mp4")]
    expected = [frame.index for frame in read_frames(listed(video), 2.0, keyframes=True)]
    assert sorted(int(str(row["frame_index"])) for row in frames) == expected
    assert result.frames == len(frames) + 3 < 11


def test_tar_of_jpegs_by_index(shared_data: Path, tmp_path: Path) -> None:
    photos = sorted((shared_data / "roadanomaly-open" / "frames").glob("*.jpg"))[:5]
    tar = write_tar(tmp_path / "20261122_031500.tar", {photo.name: photo.read_bytes() for photo in photos})
    source = listed(tar)
    frames = list(read_frames(source, 1.0))
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    for frame, photo in zip(frames, photos, strict=True):
        image = np.asarray(Image.open(photo))
        assert frame.image is not None and np.abs(frame.image.astype(int) - image).mean() < 1
        assert np.array_equal(frame.image, read_frame(source.uri, frame.index))
