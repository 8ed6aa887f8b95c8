"""An HTTP proxy that fails now and then, as storage over a network does."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from urllib.parse import urlsplit

FAULTS = ("500", "503", "drop", "cut", "lost answer", "hang")
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultyProxy(ThreadingHTTPServer):
    """Hands requests on to ``upstream``; a ``share`` of them goes wrong, drawn at random; ``FAULTS`` take turns.

    ``500`` and ``503`` answer so, ``drop`` closes the connection before an answer, ``cut`` closes it in the middle
    of one, ``lost answer`` after the request was carried out, ``hang`` keeps silent for ``silence`` seconds.
    ``deny`` answers 403 to every request whose path holds it.
    """

    daemon_threads = True

    def __init__(self, upstream: str, share: float, seed: int, silence: float = 1.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream)
        self.share, self.silence = share, silence
        self.deny: str | None = None
        self.met: Counter[str] = Counter()
        self.requests = 0
        self._random = random.Random(seed)
        self._faults = cycle(FAULTS)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self, path: str) -> str | None:
        with self._lock:
            self.requests += 1
            if self.deny and self.deny in path:
                return "403"
            if self._random.random() >= self.share:
                return None
            fault = next(self._faults)
            self.met[fault] += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _serve(self) -> None:
        body = self._body()
        fault = self.server.fault(self.path)
        if fault in ("403", "500", "503"):
            self.send_response(int(fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if fault == "hang":
            time.sleep(self.server.silence)
        if fault in ("hang", "drop"):
            return self._hang_up()
        upstream = http.client.HTTPConnection(self.server.upstream.netloc, timeout=60)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            data = answer.read()
        finally:
            upstream.close()
        if fault == "lost answer":
            return self._hang_up()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault == "cut":
            self.wfile.write(data[: len(data) // 2])
            return self._hang_up()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        del self.headers["Transfer-Encoding"]
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test counts."""


@contextmanager
def faulty_proxy(upstream: str, share: float, seed: int = 0, silence: float = 1.0) -> Iterator[FaultyProxy]:
    with FaultyProxy(upstream, share, seed, silence) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
