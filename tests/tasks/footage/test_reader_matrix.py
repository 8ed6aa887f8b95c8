"""Whatever was scanned is what is read back: containers, codecs, groups of pictures, damage.

The whole matrix is slow; the short form takes one codec a container and one container a codec.
"""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from schemas.records import Source
from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, read_frame, read_frames
from tasks.footage.source_video import video_frames
from tasks.footage.video_index import read_index
from tests.tasks.footage.numbered import number_of, write_numbered
from tests.tasks.footage.test_reader import CLOSED, HEVC_CLOSED, HEVC_OPEN, ONE_GROUP, PYRAMID, REFRESHED

pytestmark = pytest.mark.whole

HEVC_LAYERS = {"x265-params": "keyint=20:min-keyint=20:temporal-layers=2:bframes=4:scenecut=0:log-level=none"}
CODECS = {
    "h264": ("libx264", CLOSED),
    "h264 without B-frames": ("libx264", {"g": "10", "bf": "0"}),
    "h264 open": ("libx264", PYRAMID),
    "h264 one group": ("libx264", ONE_GROUP),
    "h264 refreshed": ("libx264", REFRESHED),
    "hevc": ("libx265", HEVC_CLOSED),
    "hevc open": ("libx265", HEVC_OPEN),
    "hevc layers": ("libx265", HEVC_LAYERS),
    "av1": ("libsvtav1", {"crf": "40", "g": "20"}),
    "vp8": ("libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "vp9": ("libvpx-vp9", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "mpeg4": ("mpeg4", {"g": "12", "bf": "2"}),
    "mpeg2": ("mpeg2video", {"g": "12", "bf": "2"}),
    "mjpeg": ("mjpeg", {}),
}
CONTAINERS: dict[str, tuple[str, ...]] = {
    "a.mp4": ("h264", "hevc", "av1", "vp9", "mpeg4"),
    "a.mov": ("h264", "hevc", "mpeg4", "mjpeg"),
    "a.mkv": ("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2", "mjpeg"),
    "a.webm": ("av1", "vp8", "vp9"),
    "a.ts": ("h264", "hevc", "mpeg2"),
    "a.avi": ("h264", "mpeg4", "mjpeg"),
    "a.h264": ("h264",),
    "a.hevc": ("hevc",),
}
WITH_INDEX = ("a.mp4", "a.mov")
ALL = [(name, codec) for name, fitting in CONTAINERS.items() for codec in CODECS if codec.split()[0] in fitting]
FEW = {
    ("a.mp4", "h264 without B-frames"), ("a.mov", "mjpeg"), ("a.mkv", "hevc layers"), ("a.webm", "vp9"),
    ("a.ts", "h264"), ("a.avi", "h264 open"), ("a.h264", "h264"), ("a.hevc", "hevc"),
}  # fmt: skip


def flipped(data: bytes, first: int, behind: int) -> bytes:
    broken = bytearray(data)
    for place in range(first, behind, 97):
        broken[place] ^= 0x55
    return bytes(broken)


def blanked(data: bytes, first: int, behind: int) -> bytes:
    return data[:first] + bytes(behind - first) + data[behind:]


def lost(data: bytes, first: int, behind: int) -> bytes:
    return data[:first] + data[behind:]


def cut_off(data: bytes, first: int, behind: int) -> bytes:
    return data[: (first + behind) // 2]


DAMAGE: dict[str, Callable[[bytes, int, int], bytes]] = {
    one.__name__: one for one in (flipped, blanked, lost, cut_off)
}  # fmt: skip


def plain(video: Path) -> list[npt.NDArray[np.uint8]]:
    """What FFmpeg gives from the beginning to the end."""
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
        if all(frame.pts is not None for frame in frames) and container.format.name not in ("avi", "h264", "hevc"):
            frames.sort(key=lambda frame: frame.pts or 0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def listed(path: Path) -> Source:
    [source] = list_sources(str(path)).sources
    return source


def scanned(source: Source) -> list[Frame]:
    return [*read_frames(source, 2.0), *read_frames(source, 2.0, keyframes=True)]


@pytest.mark.parametrize(
    ("name", "codec"), [pytest.param(*one, marks=() if one in FEW else pytest.mark.slow) for one in ALL]
)
def test_scanned_is_read_back(tmp_path: Path, name: str, codec: str) -> None:
    encoder, options = CODECS[codec]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    video = write_numbered(tmp_path / name, encoder, options, pixels=pixels)
    everything = plain(video)
    assert len(everything) == 60
    # What refreshes bit by bit is right, but not to the last bit, where decoding begins in the middle.
    exact = codec != "h264 refreshed"
    for step in (1, 4, 13):
        some = list(range(step - 1, 60, step))
        for number, picture in zip(some, video_frames(str(video), some), strict=True):
            assert number_of(picture) == number  # type: ignore[arg-type]
            assert isinstance(picture, np.ndarray)
            assert np.array_equal(picture, everything[number]) or not exact
    source = listed(video)
    for frame in scanned(source):
        assert np.array_equal(frame.image, read_frame(source.uri, frame.index))  # type: ignore[arg-type]
        assert number_of(frame.image) == frame.index


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        pytest.param(*one, kind, marks=() if place == n % 4 and one in FEW else pytest.mark.slow)
        for n, one in enumerate(ALL)
        for place, kind in enumerate(DAMAGE)
        if kind != "lost" or one[0] not in WITH_INDEX  # where packets have moved, an index leads nowhere
    ],
)
def test_damage_moves_nothing(tmp_path: Path, name: str, codec: str, kind: str) -> None:
    """The middle third of a file is damaged: what is before it stays, and nothing comes back as another picture."""
    encoder, options = CODECS[codec]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    index_first = {"movflags": "faststart"} if name in WITH_INDEX else {}
    video = write_numbered(tmp_path / name, encoder, options, pixels=pixels, container=index_first)
    everything, [track] = plain(video), read_index(str(video))
    size = video.stat().st_size
    first, behind = (size // 3, size // 2) if (track.packets.place < 0).any() else (
        int(track.packets.place[20]) + 40, int(track.packets.place[35])
    )  # fmt: skip
    video.write_bytes(DAMAGE[kind](video.read_bytes(), first, behind))
    source = listed(video)
    before = {number for number in range(60) if track.counted or track.packets.place[track.order[number]] < first - 40}
    for frame in scanned(source):
        if frame.image is None:
            assert frame.error
            continue
        again = read_frame(source.uri, frame.index)
        whole = np.array_equal(frame.image, everything[min(frame.index, 59)])
        assert not whole or np.array_equal(again, frame.image)
        if frame.index < 15 and frame.index in before:
            assert whole and number_of(frame.image) == frame.index
