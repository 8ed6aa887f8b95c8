"""Files that make readers of video open other files and addresses, under the names of videos."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tasks.footage.archive import list_sources
from tests.tasks.footage.numbered import write_numbered

FORMS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6.0,\n{}/segment.ts\n#EXT-X-ENDLIST\n",
    "hls with a mark": "\ufeff#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6.0,\n{}/segment.ts\n#EXT-X-ENDLIST\n",
    "dash": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}/a.mp4</BaseURL>'
        "<SegmentBase/></Representation></AdaptationSet></Period></MPD>"
    ),
    "concat": "ffconcat version 1.0\nfile real.mp4\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


@pytest.mark.parametrize("behind", ["", "video"])
@pytest.mark.parametrize("form", FORMS)
def test_playlists_are_no_video(tmp_path: Path, server: tuple[str, list[str]], form: str, behind: str) -> None:
    address, asked = server
    write_numbered(tmp_path / "real.mp4")
    stream = write_numbered(tmp_path / "real.ts").read_bytes() if behind else b""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "real.mp4").symlink_to(tmp_path / "real.mp4")
    for name in ("clip.mp4", "clip.ts"):
        (tmp_path / "in" / name).write_bytes(FORMS[form].format(address).encode() + stream)
    sources = {source.uri.rsplit("/", 1)[1]: source for source in list_sources(str(tmp_path / "in")).sources}
    assert asked == []
    assert sources["real.mp4"].error is None
    if not behind:
        assert all("cannot be opened as a video" in str(sources[name].error) for name in ("clip.mp4", "clip.ts"))
