"""Videos in a store: the parts that are needed are fetched, and the frames are those of the whole file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import fsspec
import numpy as np
import pytest

from schemas.records import ScanRecord, Shard, Source
from tasks.errors import SourceError
from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, open_source, read_frame, read_frames
from tasks.footage.stored_file import count_fetched
from tasks.footage.video_file import RemoteVideo, stored_video
from tasks.footage.video_index import read_index
from tasks.scanning.shard import scan_shard
from tasks.scanning.status import read_status
from tasks.storage import locate
from tasks.tables import Tables
from tests.tasks.footage.numbered import write_numbered
from tests.tasks.footage.test_reader import CLOSED, HEVC_OPEN, PYRAMID, REFRESHED
from tests.tasks.samples import BlobFinder

PIECE = 33  # frames of a group of pictures, 30 a second: out of step with what is taken
EVERY_MINUTE = 1 / 60


def long_video(path: Path, pieces: int, piece: bytes, **options: str) -> Path:
    """A video that repeats the packets of a short one so often."""
    short = path.with_name("short.mp4")
    short.write_bytes(piece)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(short)) as old, av.open(str(path), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        time_base = packets[0].time_base
        length = round(PIECE / 30 / time_base)
        times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        for number in range(pieces):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.pts, packet.dts, packet.stream = pts + number * length, dts + number * length, stream
                packet.time_base = time_base
                new.mux(packet)
    short.unlink()
    return path


@pytest.fixture(scope="module")
def piece(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One group of pictures with much grain: about 150 kB."""
    path = tmp_path_factory.mktemp("piece") / "a.mp4"
    chance = np.random.default_rng(0)
    with av.open(str(path), "w") as file:
        options = {"g": str(PIECE), "bf": "2", "sc_threshold": "0", "crf": "27", "preset": "ultrafast"}
        stream = file.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 192, 96, "yuv420p"
        for _ in range(PIECE):
            picture = chance.integers(0, 256, (96, 192, 3), np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path.read_bytes()


def listed(url: str) -> Source:
    [source] = list_sources(url).sources
    assert source.error is None
    return source


def same(ours: list[Frame], others: list[Frame]) -> bool:
    return len(ours) == len(others) and all(
        one.index == other.index and np.array_equal(one.image, other.image)  # type: ignore[arg-type]
        for one, other in zip(ours, others, strict=True)
    )


@pytest.mark.parametrize(
    ("options", "keyframes"),
    [
        pytest.param({}, False, id="index-last"),
        pytest.param({"movflags": "faststart"}, True, id="index-first-keyframes"),
        pytest.param({}, True, id="index-last-keyframes", marks=pytest.mark.slow),
        pytest.param({"movflags": "faststart"}, False, id="index-first", marks=pytest.mark.slow),
    ],
)
def test_only_what_is_needed_is_fetched(
    tmp_path: Path, s3: str, piece: bytes, options: dict[str, str], keyframes: bool
) -> None:
    video = long_video(tmp_path / "a.mp4", 118, piece, **options)
    fsspec.filesystem("s3").put_file(str(video), f"{s3}/a.mp4")
    source = listed(f"{s3}/a.mp4")
    with count_fetched() as fetched:
        frames = list(read_frames(source, EVERY_MINUTE, keyframes))
    assert len(frames) == 3
    assert same(frames, list(read_frames(listed(str(video)), EVERY_MINUTE, keyframes)))
    assert fetched.bytes < video.stat().st_size / 8
    with count_fetched() as fetched:
        assert np.array_equal(read_frame(source.uri, 1000), read_frame(str(video), 1000))
    assert 0 < fetched.bytes < video.stat().st_size / 8


def test_all_is_copied_where_most_is_needed(tmp_path: Path, s3: str, piece: bytes) -> None:
    video = long_video(tmp_path / "a.mp4", 24, piece)
    fsspec.filesystem("s3").put_file(str(video), f"{s3}/a.mp4")
    with count_fetched() as fetched:
        frames = list(read_frames(listed(f"{s3}/a.mp4"), 1.0))
    assert same(frames, list(read_frames(listed(str(video)), 1.0)))
    assert video.stat().st_size <= fetched.bytes < 1.3 * video.stat().st_size


def test_the_commit_says_how_much_was_fetched(tmp_path: Path, s3: str, piece: bytes, record: ScanRecord) -> None:
    video = long_video(tmp_path / "a.mp4", 24, piece)
    fsspec.filesystem("s3").put_file(str(video), f"{s3}/a.mp4")
    tables = Tables.at(tmp_path / "T")
    tables.begin(record)
    scan_shard(Shard("here", (listed(str(video)),)), record, tables, BlobFinder())
    there = scan_shard(Shard("there", (listed(f"{s3}/a.mp4"),)), record, tables, BlobFinder())
    [of_disk] = tables.commit(record.scan_id, "here").sources
    [of_store] = tables.commit(record.scan_id, "there").sources
    assert of_disk.fetched_bytes is None and of_disk.frames == of_store.frames == there.frames
    assert of_store.fetched_bytes and of_store.fetched_bytes >= video.stat().st_size
    assert read_status(tables)[0].fetched_bytes == of_store.fetched_bytes


def test_a_video_that_changes_while_it_is_read(tmp_path: Path, s3: str, piece: bytes) -> None:
    video = long_video(tmp_path / "a.mp4", 130, piece)
    store = fsspec.filesystem("s3")
    store.put_file(str(video), f"{s3}/a.mp4")
    frames = read_frames(listed(f"{s3}/a.mp4"), EVERY_MINUTE)
    next(frames)
    store.put_file(str(long_video(tmp_path / "b.mp4", 131, piece)), f"{s3}/a.mp4")
    with pytest.raises(SourceError, match="changed after it was listed"):
        list(frames)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", CLOSED),
        ("libx264", PYRAMID),
        ("libx264", REFRESHED),
        ("libx265", HEVC_OPEN),
        ("libsvtav1", {"crf": "40", "g": "20"}),
        ("mpeg4", {"g": "12", "bf": "2"}),
    ],
)
def test_the_index_is_that_of_the_whole_file(tmp_path: Path, s3: str, codec: str, options: dict[str, str]) -> None:
    """Also where nothing but headers is fetched. The box at the end makes the file long enough for ranges."""
    video = write_numbered(tmp_path / "a.mp4", codec, options)
    space = 6_000_000
    with video.open("ab") as file:
        file.write(space.to_bytes(4, "big") + b"free")
        file.truncate(file.tell() + space - 8)
    fsspec.filesystem("s3").put_file(str(video), f"{s3}/a.mp4")
    with stored_video(locate(f"{s3}/a.mp4")) as remote:
        assert isinstance(remote, RemoteVideo)
        [there], [here] = read_index(remote), read_index(str(video))
        assert remote.copied == (codec == "mpeg4")
    for one, other in zip(astuple(there.packets), astuple(here.packets), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(there.order, here.order) and there.length == here.length


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder, in ranges where the server does that, with the bytes that are sent counted."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        asked = self.headers.get("Range") if self.server.ranges else None  # type: ignore[attr-defined]
        size = path.stat().st_size
        first, last = 0, size - 1
        if asked:
            first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
            last = min(last, size - 1)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            try:
                while first <= last:
                    written = self.wfile.write(file.read(min(1 << 16, last + 1 - first)))
                    first += written
                    self.server.sent += written  # type: ignore[attr-defined]
            except ConnectionError:
                self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path, ranges: bool) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        server.ranges, server.sent = ranges, 0  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def test_a_server_that_sends_no_ranges(tmp_path: Path, piece: bytes) -> None:
    video = long_video(tmp_path / "a.mp4", 24, piece)
    expected = read_frame(str(video), 100)
    with served(tmp_path, ranges=False) as server, count_fetched() as fetched:
        url = f"http://127.0.0.1:{server.server_port}/a.mp4"
        assert np.array_equal(read_frame(url, 100), expected)
    assert fetched.bytes >= video.stat().st_size


@pytest.mark.slow
def test_a_hundredth_of_a_gigabyte(tmp_path: Path, piece: bytes) -> None:
    """One frame a minute of about an hour, at no distance from the key frames that stays the same."""
    video = long_video(tmp_path / "a.mp4", 1_000_000_000 // len(piece), piece)
    size = video.stat().st_size
    with served(tmp_path, ranges=True) as server:
        source = listed(f"http://127.0.0.1:{server.server_port}/a.mp4")
        server.sent = 0
        with count_fetched() as fetched:
            opened = open_source(source)
            header = server.sent
            frames = list(read_frames(opened, EVERY_MINUTE))
        assert fetched.bytes == pytest.approx(server.sent, rel=0.05)
    assert len(frames) > 60 and all(frame.image is not None for frame in frames)
    print(f"{len(frames)} frames of {size / 1e6:.1f} MB: {header / 1e6:.1f} and {server.sent / 1e6:.1f} MB sent")
    assert server.sent - header < 0.0125 * size and server.sent < 0.016 * size
