"""What people or programs may do to the queue and its page that must not stop the others."""

import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest
import uvicorn

from review import BadInputError, Queue, UnavailableError
from review.backup import back_up
from review.exchange.coco import import_coco
from review.reviewers import add_reviewer, check_token
from review.web.app import create_app
from review.web.protocol import limited_protocol
from schemas.review import Verdict
from tests.review.postgres import Cluster
from tests.review.samples import make_items

pytestmark = pytest.mark.whole

PAGE = {"Accept": "text/html"}


# The file that writers queue at


def test_a_writer_that_never_ends_costs_the_others_their_patience_and_no_more(tmp_path: Path) -> None:
    with Queue.open(str(tmp_path / "queue.db"), patience=0.5) as queue:
        queue.enqueue(make_items(2))
        held = os.open(tmp_path / "queue.db-writer", os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="busy"):
            queue.decide("ann", "item000000", Verdict.ACCEPT)
        assert time.monotonic() - start < 12
        assert list(queue.decisions()) == []
        os.close(held)
        queue.decide("ann", "item000000", Verdict.ACCEPT)
        assert len(list(queue.decisions())) == 1


def test_only_the_owner_can_hold_the_writers_file(tmp_path: Path) -> None:
    turnstile = tmp_path / "queue.db-writer"
    turnstile.touch(0o644)
    with Queue.open(str(tmp_path / "queue.db")) as queue:
        queue.enqueue(make_items(1))
    assert stat.S_IMODE(turnstile.stat().st_mode) == 0o600


# Clocks of the clients

_EARLY = """
import datetime
class Early(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(minutes=10)
datetime.datetime = Early
from review import Queue
with Queue.open({url!r}) as queue:
    print(len(queue.lease("bob", count=10)))
"""


def test_a_client_whose_clock_is_ahead_takes_nothing_that_others_hold(cluster: Cluster) -> None:
    url = cluster.new_database()
    with Queue.open(url) as queue:
        queue.enqueue(make_items(3))
        queue.lease("ann", count=3)
        ran = subprocess.run([sys.executable, "-c", _EARLY.format(url=url)], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "0\n", ran.stderr


# Connections


class Served:
    """The page with few and short connections."""

    def __init__(self, queue: Queue, **limits: float) -> None:
        protocol = limited_protocol(**limits)  # type: ignore[arg-type]
        self._server = uvicorn.Server(uvicorn.Config(create_app(queue), port=0, log_level="error", http=protocol))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.02)
        self.address = self._server.servers[0].sockets[0].getsockname()[:2]
        self.url = f"http://127.0.0.1:{self.address[1]}"

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(20)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Queue.open(str(tmp_path / "queue.db")) as queue:
        queue.enqueue(make_items(1))
        server = Served(queue, header_seconds=0.7, most=20)
        yield server
        server.stop()


def test_silent_connections_do_not_block_the_page(served: Served) -> None:
    with ExitStack() as open_now:
        silent = [open_now.enter_context(socket.create_connection(served.address)) for _ in range(60)]
        for one in silent:
            one.settimeout(20)
        assert _is_closed(silent[-1])  # beyond the limit of an address: at once
        assert _is_closed(silent[0])  # within it: when the time for a head is over
        assert httpx.get(f"{served.url}/healthz", timeout=20).status_code == 200


def test_a_head_that_trickles_in_is_cut_off(served: Served) -> None:
    with socket.create_connection(served.address) as slow:
        slow.settimeout(20)
        start = time.monotonic()
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        try:
            while time.monotonic() - start < 15:
                slow.sendall(b"X: y\r\n")
                time.sleep(0.1)
        except OSError:
            return
    pytest.fail("it was never closed")


def test_a_connection_that_asks_again_is_kept(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=20) as client:
        for _ in range(3):
            assert client.get("/healthz").status_code == 200
            time.sleep(0.4)
        assert client.get("/", headers=PAGE, follow_redirects=True).status_code == 200


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


# Signing in and out


def test_a_session_ends_on_the_server(queue: Queue) -> None:
    from starlette.testclient import TestClient

    token = add_reviewer(queue, "ann")
    client = TestClient(create_app(queue, secret="s" * 32), base_url="http://localhost", follow_redirects=False)
    csrf = client.get("/sign-in", headers=PAGE).text.split('name="csrf" value="')[1].split('"')[0]
    client.post("/sign-in", data={"name": "ann", "token": token, "csrf": csrf})
    copied = dict(client.cookies)
    assert client.get("/api/progress").status_code == 200
    csrf = client.get("/", headers=PAGE).text.split('name="csrf" content="')[1].split('"')[0]
    assert client.post("/sign-out", data={"csrf": csrf}).status_code == 303
    # The cookie that somebody copied is worth nothing now, nor on another server of the same queue.
    for app in (client.app, create_app(queue, secret="s" * 32)):
        thief = TestClient(app, base_url="http://localhost", cookies=copied)
        assert thief.get("/api/progress").status_code == 401


def test_a_token_costs_one_hash_whether_or_not_there_is_such_a_name(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    add_reviewer(queue, "ann")
    counted = Mock(side_effect=hashlib.scrypt)
    monkeypatch.setattr(hashlib, "scrypt", counted)
    for name in ("ann", "nobody"):
        assert check_token(queue, name, "wrong") is None
    ann, nobody = counted.call_args_list
    assert ann.kwargs["n"] == nobody.kwargs["n"]


# Files of others


@pytest.mark.parametrize("wrong", [1.0, True, "1", None])
@pytest.mark.parametrize("place", ["images", "categories", "image_id", "category_id"])
def test_ids_of_coco_are_integers(queue: Queue, tmp_path: Path, wrong: object, place: str) -> None:
    queue.enqueue(make_items(1))
    document: dict[str, list[dict[str, object]]] = {
        "images": [{"id": 1, "file_name": "item000000.jpg"}],
        "categories": [{"id": 1, "name": "tent"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
    }
    part = document[place][0] if place in document else document["annotations"][0]
    part["id" if place in document else place] = wrong
    (tmp_path / "coco.json").write_text(json.dumps(document))
    with pytest.raises(BadInputError, match="not an integer"):
        import_coco(queue, tmp_path / "coco.json", "cvat")
    assert list(queue.decisions()) == []


def test_a_backup_of_postgresql_names_its_tool_and_no_password(cluster: Cluster, tmp_path: Path) -> None:
    with Queue.open(cluster.new_database()) as queue, pytest.raises(BadInputError, match="pg_dump") as told:
        back_up(queue, tmp_path / "copy")
    assert "secret" not in str(told.value)
