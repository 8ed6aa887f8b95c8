"""Archives on web servers that list folders: a real server, pages as servers write them, and links that lead away."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from clipomaly_core.errors import UserError
from schemas.records import TimestampSource
from tasks.addresses import file_name
from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import current_etag, read_frame, read_frames
from tests.tasks.footage.numbered import add_numbered, number_of, numbered, write_numbered
from tests.tasks.samples import image_bytes, write_images, write_tar, write_video

pytestmark = pytest.mark.whole

asked: Counter[str] = Counter()
"""What the server that runs was asked for, by method and path."""


class Handler(SimpleHTTPRequestHandler):
    """Python's own, which sends no ranges; folders that hold ``page.html`` are shown by it."""

    def send_head(self):
        folder = Path(self.translate_path(self.path))
        if (folder / "page.html").is_file():
            self.path = f"{self.path.rstrip('/')}/page.html"
        if (folder / "broken").exists():
            self.send_error(int((folder / "broken").read_text()))
            return None
        return super().send_head()

    def log_message(self, *_: object) -> None:
        asked[f"{self.command} {self.path}"] += 1


@contextmanager
def served(root: Path) -> Iterator[str]:
    asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_archive_of_a_web_server_is_scanned_as_a_folder_is(tmp_path: Path) -> None:
    night = tmp_path / "night"
    clip = write_numbered(night / "car 1#" / "2026-11-22 03.15.00 é&a?%20.mp4")
    clip.with_suffix(".json").write_text('{"latitude": 48.0, "longitude": 11.0}')
    write_images(night / "car2" / "photos%", 3)
    write_tar(night / "car2" / "a+b.tar", {"1.jpg": image_bytes(1)})
    (night / "notes.txt").touch()
    with served(tmp_path) as url:
        listing, folder = list_sources(f"{url}/night"), list_sources(str(night))
        assert [file_name(source.uri) for source in listing.sources] == [
            file_name(source.uri) for source in folder.sources
        ]
        for there, here in zip(listing.sources, folder.sources, strict=True):
            for field in ("size", "drive", "captured_from", "footage_seconds", "latitude", "note", "error"):
                assert getattr(there, field) == getattr(here, field)
            assert there.etag == current_etag(there)
        assert listing.ignored == (f"{url}/night/notes.txt",)
        video, tar, photos = listing.sources
        assert video.captured_from is TimestampSource.FILENAME
        assert [number_of(frame.image) for frame in read_frames(video, 1.0)] == [0, 10, 20, 30, 40, 50]
        assert number_of(read_frame(video.uri, 13)) == 13
        for images, count in ((tar, 1), (photos, 3)):
            assert [frame.error for frame in read_frames(images, 1.0)] == [None] * count
        [alone] = find_sources(video.uri).sources
        assert alone.uri == video.uri and alone.sidecar == video.sidecar


def test_a_server_without_ranges_is_copied_from(tmp_path: Path) -> None:
    import av

    noise = np.random.default_rng(0).integers(0, 60, (192, 320, 3), np.uint8)

    def noisy(number: int) -> np.ndarray:
        return np.asarray(numbered(number, (320, 192)) // 2 + np.roll(noise, 7 * number, 1) + 20, np.uint8)

    with av.open(str(tmp_path / "big.mp4"), "w") as file:
        add_numbered(file, "libx264", {"qp": "2", "g": "10"}, range(0, 3000, 100), picture=noisy)
    assert (tmp_path / "big.mp4").stat().st_size > 400_000  # more than what is read of a header at once
    with served(tmp_path) as url:
        [source] = list_sources(url).sources
        assert source.error is None and source.footage_seconds == 3.0
        assert len([frame for frame in read_frames(source, 1.0) if frame.image is not None]) == 3


APACHE = """<!DOCTYPE HTML><html><head><title>Index of /night</title></head><body>
<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/">Parent Directory</a></td></tr><tr><td><a href="a%20b.mp4">a b.mp4</a></td></tr>
<tr><td><A HREF='one&amp;two.mp4'>one&amp;two.mp4</A></td></tr><tr><td><a href="car1/">car1/</a></td></tr></table>"""
NGINX = """<html><body><h1>Index of /night/car1/</h1><hr><pre><a href="../">../</a>
<a href="1.mp4">1.mp4</a>    22-Nov-2026 03:15   3770
<a href="./2.mp4">2.mp4</a> <a href="@/night/car1/3.mp4">3.mp4</a> <a href="/night/car1/1.mp4">again</a>
<a href="/secret.mp4">x</a> <a href="../../secret.mp4">x</a> <a href="%2e%2e/%2e%2e/secret.mp4">x</a>
<a href="..%2f..%2fsecret.mp4">x</a> <a href="@/secret.mp4">x</a> <a href="http://elsewhere.example/4.mp4">x</a>
<a href="file:///etc/5.mp4">x</a> <a href="//elsewhere.example/night/car1/6.mp4">x</a> <a href="javascript:7.mp4">x</a>
<a href="deeper/8.mp4">x</a> <a href="9.mp4?download=1">x</a> <a href="http://[/10.mp4">x</a> <a href="gone.mp4">x</a>
<a>none</a></pre>"""


def test_only_links_into_a_folder_count(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "secret.mp4", frames=2)
    (tmp_path / "night" / "car1" / "deeper").mkdir(parents=True)
    for name in ("a b", "one&two", *(f"car1/{number}" for number in range(1, 10)), "car1/deeper/8"):
        (tmp_path / "night" / f"{name}.mp4").write_bytes(clip.read_bytes())
    with served(tmp_path) as url:
        (tmp_path / "night" / "page.html").write_text(APACHE)
        (tmp_path / "night" / "car1" / "page.html").write_text(NGINX.replace("@", url))
        listing = list_sources(f"{url}/night/")
        assert {source.uri.removeprefix(f"{url}/night/"): source.error for source in listing.sources} == {
            "a%20b.mp4": None,
            "car1/1.mp4": None,
            "car1/2.mp4": None,
            "car1/3.mp4": None,
            "car1/gone.mp4": "gone since it was listed",
            "one&two.mp4": None,
        }
        assert listing.ignored == ()


def test_each_image_of_a_folder_is_asked_for_once(tmp_path: Path) -> None:
    write_images(tmp_path / "night" / "photos", 5)
    with served(tmp_path) as url:
        [source] = list_sources(f"{url}/night").sources
        assert len(list(read_frames(source, 1.0))) == 5
        assert np.array_equal(read_frame(source.uri, 2), read_frame(source.uri, 2))
        heads = {path: count for path, count in asked.items() if path.startswith("HEAD ") and path.endswith(".jpg")}
        assert len(heads) == 5 and set(heads.values()) == {1}
        # Another scan sees what is there then.
        write_images(tmp_path / "night" / "photos", 6)
        assert len(list(read_frames(find_sources(f"{url}/night").sources[0], 1.0))) == 6


def test_servers_that_refuse(tmp_path: Path) -> None:
    write_video(tmp_path / "night" / "1.mp4", frames=2)
    (tmp_path / "night" / "closed").mkdir()
    (tmp_path / "empty").mkdir()
    with served(tmp_path) as url:
        for path, told in (("nothing", "There is no archive"), ("empty", "holds nothing to scan")):
            with pytest.raises(UserError, match=told):
                find_sources(f"{url}/{path}")
        (tmp_path / "night" / "closed" / "broken").write_text("403")
        # A closed folder costs nothing of its neighbours.
        assert [source.uri for source in find_sources(f"{url}/night").sources] == [
            f"{url}/night/1.mp4", f"{url}/night/closed/"
        ]  # fmt: skip
        (tmp_path / "night" / "broken").write_text("503")
        with pytest.raises(UserError, match=r"Cannot read .*503") as error:
            find_sources(f"{url}/night")
        assert "\n" not in str(error.value)
        os.remove(tmp_path / "night" / "broken")
    with pytest.raises(UserError, match=r"Cannot read .*Connect call failed"):
        find_sources(f"{url}/night")
