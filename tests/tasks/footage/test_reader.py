"""The one reader of video: whatever was scanned is what is read back, in every container and codec."""

import io
import struct
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from schemas.records import Source
from tasks.errors import SourceError
from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, read_frame, read_frames
from tasks.footage.video_index import read_index
from tests.tasks.footage.numbered import add_numbered, number_of, numbered, repack, write_numbered

pytestmark = pytest.mark.whole

CLOSED = {"g": "20", "bf": "2", "sc_threshold": "0"}
PYRAMID = {"g": "30", "bf": "3", "x264-params": "b-pyramid=normal:open-gop=1:scenecut=0:keyint=15:min-keyint=15"}
ONE_GROUP = {"g": "1000", "bf": "2"}
REFRESHED = {"x264-params": "intra-refresh=1:keyint=12:bframes=0:scenecut=0"}
HEVC_CLOSED = {"x265-params": "keyint=20:min-keyint=20:open-gop=0:bframes=3:scenecut=0:log-level=none"}
HEVC_OPEN = {"x265-params": "keyint=20:min-keyint=20:open-gop=1:bframes=3:scenecut=0:log-level=none"}
VARYING = [round(400 * (1.05**number - 1)) for number in range(60)]


def listed(path: Path) -> Source:
    [source] = list_sources(str(path)).sources
    assert source.error is None
    return source


def held(source: Source, fps: float, keyframes: bool = False) -> list[Frame]:
    """The frames of a source, each of which leads back to the same pixels."""
    frames = list(read_frames(source, fps, keyframes))
    for frame in frames:
        assert frame.image is not None, frame.error
        assert np.array_equal(frame.image, read_frame(source.uri, frame.index))
    return frames


@pytest.mark.parametrize("times", [range(0, 6000, 100), VARYING], ids=["steady", "varying"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize(
    ("codec", "options", "pixels"),
    [
        ("libx264", CLOSED, "yuv420p"),
        ("libx264", PYRAMID, "yuv420p"),
        ("libx264", ONE_GROUP, "yuv420p"),
        ("libx265", HEVC_CLOSED, "yuv420p"),
        ("libx265", HEVC_OPEN, "yuv420p10le"),
    ],
    ids=["closed", "open-pyramid", "one-group", "hevc", "hevc-open-10-bit"],
)
def test_number_and_time_are_those_of_presentation(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], pixels: str, times: Sequence[int]
) -> None:
    source = listed(write_numbered(tmp_path / name, codec, options, times, pixels=pixels))
    for keyframes in (False, True):
        frames = held(source, 2.0, keyframes)
        assert frames[0].index == 0
        for frame in frames:
            assert number_of(frame.image) == frame.index
            assert abs(frame.timestamp - source.captured - timedelta(milliseconds=times[frame.index])) < timedelta(
                milliseconds=1
            )
    moments = [t / 2 for t in range(200) if t / 2 < times[-1] / 1000]
    shown = sorted({max(n for n, time in enumerate(times) if time <= 1000 * t + 0.001) for t in moments})
    assert [frame.index for frame in read_frames(source, 2.0)][: len(shown)] == shown


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.avi", "libx264", CLOSED),  # no presentation times, frames reordered
        ("a.avi", "mpeg4", {"g": "12", "bf": "2"}),
        ("a.avi", "mjpeg", {}),
        ("a.mp4", "mpeg4", {"g": "12", "bf": "2"}),
        ("a.mp4", "libsvtav1", {"crf": "40", "g": "20"}),
        ("a.mkv", "libsvtav1", {"crf": "40", "g": "20"}),
        ("a.mkv", "libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}),  # with hidden frames
        ("a.mkv", "libvpx-vp9", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}),
        ("a.mkv", "mjpeg", {}),
        ("a.mkv", "mpeg2video", {"g": "12", "bf": "2"}),
        ("a.mp4", "libx264", REFRESHED),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_every_container_and_codec(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    source = listed(write_numbered(tmp_path / name, codec, options, pixels=pixels))
    frames = held(source, 2.0)
    assert [frame.index for frame in frames] == list(range(0, 60, 5))
    for frame in (*frames, *held(source, 2.0, keyframes=True)):
        assert number_of(frame.image) == frame.index
        assert frame.timestamp == source.captured + timedelta(seconds=frame.index / 10)


def test_each_picture_in_any_order(tmp_path: Path) -> None:
    """Read back from anywhere, also pictures that a key frame follows in coding and precedes on screen."""
    source = listed(write_numbered(tmp_path / "a.mkv", "libx265", HEVC_OPEN))
    for number in (59, 19, 20, 21, 0, 41, 18, 38):
        assert number_of(read_frame(source.uri, number)) == number


@pytest.mark.parametrize("form", ["matroska", "mpegts"])
def test_what_no_decoder_can_show_is_not_counted(tmp_path: Path, form: str) -> None:
    """Cut in the middle of a group of pictures, and before a key frame whose first pictures build on what is gone."""
    closed = write_numbered(tmp_path / "closed.mp4", "libx264", CLOSED)
    opened = write_numbered(tmp_path / "open.mkv", "libx265", HEVC_OPEN)
    (tmp_path / "in").mkdir()
    keys = [packet.is_keyframe for packet in av.open(str(opened)).demux(video=0) if packet.size]
    second_key = [place for place, key in enumerate(keys) if key][1]
    name = "a.mkv" if form == "matroska" else "a.mp4"
    for cut, first in ((repack(closed, tmp_path / "in" / name, form, lambda place, _: place >= 7), 20),):
        source = listed(cut)
        for keyframes in (False, True):
            for frame in held(source, 2.0, keyframes):
                assert number_of(frame.image) == frame.index + first
                assert frame.timestamp == source.captured + timedelta(seconds=frame.index / 10)
    cut = repack(opened, tmp_path / "in" / name, form, lambda place, _: place >= second_key)
    source = listed(cut)
    assert number_of(read_frame(source.uri, 0)) == 20
    assert [number_of(frame.image) - frame.index for frame in held(source, 2.0, keyframes=True)] == [20, 20]
    assert {number_of(frame.image) - frame.index for frame in held(source, 2.0)} == {20}


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx265")])
def test_damage_moves_no_number(tmp_path: Path, name: str, codec: str) -> None:
    """The second of three groups of pictures is damaged all over: the others stay what they are, at their numbers."""
    video = write_numbered(tmp_path / name, codec, CLOSED if codec == "libx264" else HEVC_CLOSED)
    [track] = read_index(str(video))
    first, behind = (int(track.packets.place[place]) for place in track.keys[1:3])
    data = bytearray(video.read_bytes())
    for place in range(first + 300, behind - 40, 97):
        data[place] ^= 0x55
    video.write_bytes(data)
    [source] = list_sources(str(video)).sources
    for fps, keyframes in ((2.0, False), (10.0, False), (2.0, True)):
        frames = list(read_frames(source, fps, keyframes))
        assert {frame.index for frame in frames} >= {0, 20, 40}
        for frame in frames:
            assert frame.timestamp == source.captured + timedelta(seconds=frame.index / 10)
            if not 20 <= frame.index < 40:
                assert frame.image is not None and number_of(frame.image) == frame.index
                assert np.array_equal(frame.image, read_frame(source.uri, frame.index))


def test_length_where_the_header_tells_none(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        """A file that cannot be wound back: headers stay as they were at the beginning."""

        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            part = bytes(data)  # type: ignore[call-overload]
            self.written += part
            return len(part)

    pipe = Pipe()
    with av.open(pipe, "w", format="matroska") as file:
        add_numbered(file, "libx264", CLOSED)
    (tmp_path / "pipe.mkv").write_bytes(pipe.written)
    source = listed(tmp_path / "pipe.mkv")
    assert source.footage_seconds == pytest.approx(6.0, abs=0.11)
    assert [number_of(frame.image) for frame in held(source, 1.0)] == [0, 10, 20, 30, 40, 50]


def test_sound_that_is_longer_than_the_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        sound = file.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        add_numbered(file, "libx264", CLOSED)
        for second in range(9):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts = 8000, 8000 * second
            file.mux(sound.encode(samples))
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data.replace(b"DURATION", b"DURATIOX"))  # the track's own is not always there
    assert [frame.index for frame in held(listed(tmp_path / "a.mkv"), 1.0)] == [0, 10, 20, 30, 40, 50]


def test_a_transport_stream_is_read_to_its_end(tmp_path: Path) -> None:
    source = listed(write_numbered(tmp_path / "a.mp4", "libx264", CLOSED, form="mpegts"))
    assert source.footage_seconds == pytest.approx(6.0, abs=0.11)
    assert [number_of(frame.image) for frame in held(source, 1.0)] == [0, 10, 20, 30, 40, 50]


def test_every_track_is_a_camera(tmp_path: Path) -> None:
    two = tmp_path / "two.mkv"
    front = write_numbered(tmp_path / "a.mkv", "libx264", CLOSED)
    rear = write_numbered(tmp_path / "b.mkv", "libx264", CLOSED, range(0, 3000, 100))
    with av.open(str(two), "w") as file, av.open(str(front)) as a, av.open(str(rear)) as b:
        streams = []
        for old, title in ((a, "front"), (b, "rear")):
            stream = file.add_stream_from_template(old.streams.video[0])
            stream.metadata["title"] = title
            streams.append((old, stream))
        for old, stream in streams:
            for packet in old.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    file.mux(packet)
    source = listed(two)
    frames = held(source, 1.0)
    assert [(frame.camera, number_of(frame.image)) for frame in frames] == [
        *(("front", number) for number in range(0, 60, 10)),
        *(("rear", number) for number in range(0, 30, 10)),
    ]
    assert len({frame.index for frame in frames}) == len(frames)
    assert [frame.index for frame in frames[6:]] == [60, 70, 80]


def test_cover_art_is_no_camera(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "a.mp4", "libx264", CLOSED)
    with av.open(str(video)) as old, av.open(str(tmp_path / "with.mp4"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 160, 96, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        new.mux(cover.encode(av.VideoFrame.from_ndarray(numbered(7), format="rgb24")))
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    assert {frame.camera for frame in held(listed(tmp_path / "with.mp4"), 1.0)} == {None}


MATRICES = {
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "top to bottom": ((1, 0, 0, -1), lambda picture: picture[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1]),
    "quarter": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    "quarter back": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.transpose(1, 0, 2)),
    "transposed and turned": ((0, -1, -1, 0), lambda picture: picture[::-1, ::-1].transpose(1, 0, 2)),
}


def turn(video: Path, kind: str) -> None:
    """Write a display matrix into an MP4."""
    a, b, c, d = MATRICES[kind][0]
    data = bytearray(video.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    data[matrix : matrix + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    video.write_bytes(data)


@pytest.mark.parametrize("kind", MATRICES)
def test_display_matrices(tmp_path: Path, kind: str) -> None:
    video = write_numbered(tmp_path / "a.mp4", "libx264", CLOSED)
    flat = read_frame(str(video), 13)
    turn(video, kind)
    assert np.array_equal(read_frame(str(video), 13), MATRICES[kind][1](flat))
    assert held(listed(video), 1.0, keyframes=True)


def test_one_track_that_cannot_be_decoded(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "a.mp4", "libx264", CLOSED)
    video.write_bytes(video.read_bytes().replace(b"avc1", b"none"))
    with pytest.raises(SourceError, match="unknown codec"):
        list(read_frames(list_sources(str(video)).sources[0], 1.0))


def test_the_index_says_what_is_missing(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "a.mkv", "libx264", CLOSED)
    data = video.read_bytes()
    video.write_bytes(data[: 2 * len(data) // 3])
    [track] = read_index(str(video))
    assert not track.whole and track.length == pytest.approx(6.0, abs=0.11)
    shown, missing = track.shown_at(1.0), track.missing_at(1.0)
    assert [*shown, *(number for number, _ in missing)] == [0, 10, 20, 30, 40, 50]
    assert missing and [seconds for _, seconds in missing] == [float(number // 10) for number, _ in missing]


def test_a_video_that_begins_late_is_as_long_as_its_pictures(tmp_path: Path) -> None:
    """FFmpeg counts the length of Matroska from zero; a capture time by the file's own date depends on it."""
    source = listed(write_numbered(tmp_path / "a.mkv", times=range(100_000, 106_000, 100)))
    assert source.footage_seconds == pytest.approx(6.0)
    assert [number_of(frame.image) for frame in read_frames(source, 1.0)] == [0, 10, 20, 30, 40, 50]
