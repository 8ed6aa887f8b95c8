"""The page's server: sign-in, forgery, traversal, injection, limits, and what it says when something is wrong."""

import html
import io
import re
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from review import BadInputError, ConflictError, Queue
from review.pictures import FrameGoneError, Rgb
from review.reviewers import add_reviewer, check_token, list_reviewers, remove_reviewer
from review.tables import reviewers
from review.web.app import create_app
from review.web.limits import SignInLimit
from review.web.server import check_address, is_loopback, listen
from review.web.sessions import COOKIE
from schemas.review import Verdict
from tests.review.new_queue import new_queue
from tests.review.postgres import Cluster
from tests.review.samples import KINDS, make_item, make_items, scene

PAGE = {"Accept": "text/html"}
EVIL = "<img src=x onerror=alert(1)>\"'&lt;"


class Archive:
    """Every frame, until ``gone``."""

    def __init__(self) -> None:
        self.gone = False
        self.reads = 0

    def read(self, source_uri: str, frame_index: int) -> Rgb:
        self.reads += 1
        if self.gone:
            raise FrameGoneError("The archive s3://fleet cannot be reached.")
        number = round(frame_index / 30)
        return scene(list(KINDS)[number % len(KINDS)], number % 12).frame


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue.open(new_queue(tmp_path / "queue.db"), patience=0.3) as queue:
        queue.set_vocabulary(["car", "carriage", "person"], ["sports car", "oscar", "pallet"])
        queue.enqueue(make_items(8))
        yield queue


class Browser:
    """A client that keeps cookies and sends what our own pages send."""

    def __init__(self, queue: Queue, frames: Archive | None = None) -> None:
        self.client = TestClient(
            create_app(queue, frames),
            base_url="http://localhost",
            raise_server_exceptions=False,
            follow_redirects=False,
        )
        self.csrf = ""

    def open(self, path: str) -> str:
        answer = self.client.get(path, headers=PAGE, follow_redirects=True)
        found = re.search(r'name="csrf" (?:content|value)="([^"]+)"', answer.text)
        self.csrf = html.unescape(found[1]) if found else ""
        return answer.text

    def sign_in(self, name: str, token: str, **changes: str):
        self.open("/sign-in")
        form = {"name": name, "token": token, "csrf": self.csrf, "next": "/"} | changes
        return self.client.post("/sign-in", data=form)

    def post(self, path: str, body: object, **headers: str):
        return self.client.post(path, json=body, headers={"X-CSRF-Token": self.csrf} | headers)


@pytest.fixture
def browser(queue: Queue) -> Browser:
    """Somebody at a loopback page of a queue without reviewers."""
    browser = Browser(queue, Archive())
    browser.open("/")
    return browser


@pytest.fixture
def signed(queue: Queue) -> Browser:
    browser = Browser(queue, Archive())
    token = add_reviewer(queue, "ann")
    browser = Browser(queue, Archive())
    assert browser.sign_in("ann", token).status_code == 303
    browser.open("/")
    return browser


def test_lease_decide_undo_snooze(browser: Browser, queue: Queue) -> None:
    leased = browser.post("/api/lease", {"count": 3}).json()
    assert [item["item_id"] for item in leased["items"]] == ["item000000", "item000001", "item000002"]
    assert leased["seconds"] == 300
    assert "drawn_at_random" not in leased["items"][0]
    decided = browser.post(
        "/api/decide", {"items": ["item000000"], "verdict": "relabel", "name": "Pallet", "action_id": "a" * 32}
    )
    assert decided.json()["decisions"][0]["name"] == "pallet"
    assert browser.post("/api/snooze", {"items": ["item000001"], "hours": 2}).status_code == 200
    assert [item["item_id"] for item in browser.post("/api/undo", {}).json()["items"]] == ["item000001"]
    assert [item["item_id"] for item in browser.post("/api/undo", {}).json()["items"]] == ["item000000"]
    assert browser.post("/api/undo", {}).status_code == 409
    assert browser.post("/api/renew", {"items": ["item000000", "item000007"]}).json()["items"] == ["item000000"]
    assert browser.post("/api/release", {"items": ["item000000"]}).json() == {"released": 1}
    history = browser.client.get("/api/items/item000000/events").json()["events"]
    assert [event["kind"] for event in history] == ["enqueued", "leased", "decided", "undone", "released"]
    assert browser.client.get("/api/progress").json()["night_items"] == 8


def test_pages(browser: Browser, queue: Queue) -> None:
    queue.decide("bob", "item000000", Verdict.ACCEPT)
    assert "item000000" in browser.open("/items/item000000") and "decided" in browser.open("/items/item000000")
    assert "Nights" in browser.open("/progress")
    assert "cluster=cluster-mattress" in browser.open("/grid")
    assert "tiles" in browser.open("/grid?cluster=cluster-mattress")
    assert "selected>mattress" in browser.open("/?name=mattress&min_score=0.2&first_day=&drive=")


def test_names_complete_prefix_first(browser: Browser) -> None:
    names = browser.client.get("/api/names", params={"typed": "CAR"}).json()["names"]
    assert [one["name"] for one in names] == ["car", "carriage", "sports car", "oscar"]
    known = browser.client.get("/api/names", params={"known": True}).json()["names"]
    assert [one["name"] for one in known] == ["car", "carriage", "person"]


def test_pictures(browser: Browser) -> None:
    sizes = {}
    for name in ("crop.jpg", "mask.png", "frame.jpg", "outline.png", "track/0.jpg"):
        answer = browser.client.get(f"/items/item000001/{name}")
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
        with Image.open(io.BytesIO(answer.content)) as picture:
            sizes[name] = picture.size
            assert answer.headers["content-type"] == Image.MIME[picture.format or ""]
            if name.endswith(".png"):
                opaque = sum(1 for alpha in picture.getchannel("A").get_flattened_data() if alpha)
                assert 0 < opaque < picture.width * picture.height / 2
    assert sizes["crop.jpg"] == sizes["mask.png"]
    assert sizes["frame.jpg"] == sizes["outline.png"] == (960, 540)
    assert browser.client.get("/items/item000001/track/99.jpg").status_code == 404


def test_without_an_archive_the_stored_crop_is_there_and_the_page_says_so(queue: Queue) -> None:
    browser = Browser(queue)
    browser.open("/")
    assert browser.post("/api/lease", {}).json()["items"][0]["has_frames"] is False
    assert browser.client.get("/items/item000000/crop.jpg").status_code == 200
    answer = browser.client.get("/items/item000000/frame.jpg")
    assert answer.status_code == 404 and "No archive is connected" in answer.json()["message"]


def test_an_archive_that_is_gone_is_told_and_not_asked_again_at_once(queue: Queue) -> None:
    archive = Archive()
    archive.gone = True
    browser = Browser(queue, archive)
    browser.open("/")
    for _ in range(3):
        answer = browser.client.get("/items/item000000/frame.jpg")
        assert (answer.status_code, answer.json()) == (404, {"message": "The archive s3://fleet cannot be reached."})
    assert archive.reads == 1


# Signing in


def test_nobody_gets_in_without_signing_in(queue: Queue) -> None:
    add_reviewer(queue, "ann")
    browser = Browser(queue)
    for path in ("/", "/grid", "/progress", "/items/item000000"):
        answer = browser.client.get(path, headers=PAGE)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")
    for path in ("/api/progress", "/api/items/item000000", "/items/item000000/crop.jpg", "/items/item000000/mask.png"):
        assert browser.client.get(path).status_code == 401
    for path in ("lease", "renew", "release", "decide", "snooze", "undo"):
        answer = browser.client.post(f"/api/{path}", json={"items": ["item000000"], "verdict": "accept"})
        assert answer.status_code in (401, 422), path
    assert queue.count() == 8


def test_signing_in_and_out(signed: Browser, queue: Queue) -> None:
    assert signed.post("/api/lease", {}).json()["items"][0]["status"]["holder"] == "ann"
    cookie = signed.client.get("/sign-in").headers
    assert cookie["location"] == "/"
    assert signed.client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
    assert signed.client.post("/sign-out", data={"csrf": signed.csrf}).status_code == 303
    assert signed.client.get("/api/progress").status_code == 401


def test_the_cookie_is_out_of_reach(queue: Queue) -> None:
    token = add_reviewer(queue, "ann")
    for https in (False, True):
        client = TestClient(create_app(queue, https=https), base_url="https://localhost", follow_redirects=False)
        csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        assert csrf is not None
        answer = client.post("/sign-in", data={"name": "ann", "token": token, "csrf": csrf[1]})
        flags = answer.headers["set-cookie"].lower()
        assert "httponly" in flags and "samesite=lax" in flags and ("secure" in flags) == https
        assert token not in answer.headers["set-cookie"]


def test_tokens_are_hashed_and_only_theirs(queue: Queue) -> None:
    token = add_reviewer(queue, "ann")
    other = add_reviewer(queue, "bob")
    stored = queue.database.read(lambda connection: connection.execute(reviewers.select()).mappings().all())
    assert all(token not in str(row) and row["token_hash"].startswith("scrypt-") for row in stored)
    assert check_token(queue, "ann", token) is not None
    for name, wrong in (("ann", other), ("ann", ""), ("ann", token + "x"), ("cid", token), ("", "")):
        assert check_token(queue, name, wrong) is None
    with pytest.raises(ConflictError, match="already"):
        add_reviewer(queue, "Ann")


def test_somebody_removed_is_out(signed: Browser, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    signed.post("/api/lease", {})
    remove_reviewer(queue, "ann")
    assert queue.count() == 8
    later = time.monotonic() + 6
    monkeypatch.setattr("review.web.sessions.time.monotonic", lambda: later)
    assert signed.client.get("/api/progress").status_code == 401
    assert not list_reviewers(queue)
    with pytest.raises(BadInputError, match="no reviewer"):
        remove_reviewer(queue, "ann")


@pytest.mark.parametrize("cookie", ["", "x", "W10.aaaa.bbbb", "eyJhIjoxfQ.Z.Z", "\u00e9"])
def test_forged_cookies(queue: Queue, cookie: str) -> None:
    add_reviewer(queue, "ann")
    browser = Browser(queue)
    answer = browser.client.get("/api/progress", headers={b"Cookie": f"{COOKIE}={cookie}".encode("latin-1")})
    assert answer.status_code == 401


def test_a_cookie_of_another_server_is_worth_nothing(signed: Browser, queue: Queue) -> None:
    stolen = signed.client.cookies[COOKIE]
    elsewhere = Browser(queue)
    elsewhere.client.cookies.set(COOKIE, stolen)
    assert elsewhere.client.get("/api/progress").status_code == 401


def test_signing_in_is_limited(queue: Queue) -> None:
    token = add_reviewer(queue, "ann")
    browser = Browser(queue)
    for _ in range(5):
        answer = browser.sign_in("ann", "guess")
        assert answer.status_code == 401 and "do not belong together" in answer.text
    answer = browser.sign_in("ann", token)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 50
    assert "Too many tries" in answer.text


def test_the_limit_forgets_after_a_minute_and_with_success() -> None:
    now = [0.0]
    limit = SignInLimit(tries=2, seconds=60, clock=lambda: now[0])
    assert [limit.take("ann"), limit.take("ann"), limit.take("bob")] == [0, 0, 0]
    now[0] = 20
    assert limit.take("ann") == 40
    now[0] = 61
    assert [limit.take("ann"), limit.take("ann"), limit.take("ann")] == [0, 0, 60]
    limit.forget("ann")
    assert limit.take("ann") == 0


def test_colleagues_behind_one_address_do_not_lock_each_other_out(queue: Queue) -> None:
    tokens = {f"r{number}": add_reviewer(queue, f"r{number}") for number in range(8)}
    app = create_app(queue)
    for name, token in tokens.items():
        browser = Browser(queue)
        browser.client = TestClient(app, base_url="http://localhost", follow_redirects=False)
        assert browser.sign_in(name, token).status_code == 303


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(queue: Queue, target: str) -> None:
    browser = Browser(queue)
    token = add_reviewer(queue, "ann")
    browser = Browser(queue)
    assert browser.sign_in("ann", token, next=target).headers["location"] == "/"


# Forgery


def test_changes_need_the_token_of_our_pages(browser: Browser, queue: Queue) -> None:
    body = {"items": ["item000000"], "verdict": "accept"}
    assert browser.client.post("/api/decide", json=body).status_code == 422
    for token in ("", "wrong", browser.csrf[:-1], "\u00e9"):
        answer = browser.client.post("/api/decide", json=body, headers={b"X-CSRF-Token": token.encode("latin-1")})
        assert answer.status_code == 403 and "Reload the page" in answer.json()["message"]
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        content = '{"items": ["item000000"], "verdict": "accept"}'
        answer = browser.client.post(
            "/api/decide", content=content, headers={"X-CSRF-Token": browser.csrf, "Content-Type": kind}
        )
        assert answer.status_code in (400, 422), kind
    for path in ("decide", "lease", "undo", "snooze", "renew", "release"):
        assert browser.client.get(f"/api/{path}").status_code == 405
    assert not list(queue.decisions())


def test_signing_in_needs_the_token_of_our_form(queue: Queue) -> None:
    token = add_reviewer(queue, "ann")
    browser = Browser(queue)
    assert browser.client.post("/sign-in", data={"name": "ann", "token": token}).status_code == 403
    assert browser.sign_in("ann", token, csrf="x").status_code == 403


def test_an_open_page_answers_to_loopback_names_only(queue: Queue) -> None:
    client = TestClient(create_app(queue), base_url="http://evil.example", follow_redirects=False)
    answer = client.get("/", headers=PAGE)
    assert answer.status_code == 421 and "set-cookie" not in answer.headers
    for host in ("localhost:8400", "127.0.0.1", "[::1]:8400", "LOCALHOST"):
        assert client.get("/", headers=PAGE | {"Host": host}).status_code in (200, 303)
    for host in ("", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:80:80.evil"):
        assert client.get("/", headers=PAGE | {"Host": host}).status_code == 421


def test_answers_do_not_wait_for_each_other() -> None:
    """asyncio switches off Nagle's delay only where the socket says that it is TCP."""
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_other_addresses_need_reviewers(queue: Queue) -> None:
    check_address(queue, "127.0.0.1")
    for host in ("0.0.0.0", "192.168.1.4", "::", "review.example"):
        with pytest.raises(BadInputError, match="add-reviewer"):
            check_address(queue, host)
    add_reviewer(queue, "ann")
    check_address(queue, "0.0.0.0")
    assert is_loopback("::1") and is_loopback("127.8.8.8") and not is_loopback("localhost.example")


# Traversal and injection


@pytest.mark.parametrize(
    "path",
    [
        "/items/..%2F..%2Fetc%2Fpasswd/crop.jpg",
        "/items/%2e%2e/crop.jpg",
        "/items/item000000%00/crop.jpg",
        "/items/item000000/../../etc/passwd",
        "/items/item000000/track/..%2f..%2f0.jpg",
        "/items/item000000/track/-1.jpg",
        "/items/file:%2F%2F%2Fetc%2Fpasswd/frame.jpg",
        "/items/" + "a" * 5000 + "/crop.jpg",
        "/items/'%20OR%201=1--/crop.jpg",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
    ],
)
def test_no_path_leads_out(browser: Browser, path: str) -> None:
    answer = browser.client.get(path)
    assert answer.status_code == 404
    assert b"root:" not in answer.content and b"import" not in answer.content


def test_what_people_type_is_only_ever_text(browser: Browser, queue: Queue) -> None:
    body = {"items": ["item000000"], "verdict": "relabel", "name": EVIL}
    assert browser.post("/api/decide", body).status_code == 200
    browser = Browser(queue)
    queue.enqueue([make_item(30, name=EVIL, drive=EVIL, cluster=EVIL, source_uri=f"s3://x/{EVIL}", rank=1e9)])
    for path in (
        "/",
        "/grid",
        "/progress",
        "/items/item000000",
        "/items/item000030",
        "/?name=" + EVIL,
        "/grid?cluster=" + EVIL,
    ):
        text = browser.open(path)
        assert EVIL not in text and "<img src=x" not in text, path
    assert "&lt;img src=x" in browser.open("/progress")
    assert browser.post("/api/lease", {}).headers["content-type"] == "application/json"
    text = browser.open("/sign-in?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in text


def test_headers_on_every_answer(browser: Browser) -> None:
    for path in (
        "/",
        "/api/progress",
        "/items/item000000/crop.jpg",
        "/static/review.css",
        "/nowhere",
        "/items/nothing",
    ):
        answer = browser.client.get(path, headers=PAGE)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    page = browser.client.get("/", headers=PAGE)
    assert page.headers["cache-control"] == "no-store"
    # Nothing the policy would have to make an exception for.
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|javascript:", page.text)


# Size and form


def test_requests_that_are_too_large(browser: Browser) -> None:
    assert browser.post("/api/lease", {"filters": {"name": "x" * 70_000}}).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 4096

    answer = browser.client.post("/api/lease", content=endless(), headers={"X-CSRF-Token": browser.csrf})
    assert answer.status_code == 413 and "64 KiB" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("decide", {"items": ["item000000"], "verdict": "relabel", "name": ""}, 400, "name is empty"),
        ("decide", {"items": ["item000000"], "verdict": "relabel", "name": "x" * 10_000}, 400, "10,000 characters"),
        ("decide", {"items": ["item000000"], "verdict": "relabel"}, 400, "needs a name"),
        ("decide", {"items": ["nothing"], "verdict": "accept"}, 404, "has no item"),
        ("decide", {"items": ["item000000"], "verdict": "maybe"}, 422, "verdict"),
        ("decide", {"items": [], "verdict": "accept"}, 422, "items"),
        ("decide", {"items": ["../x"], "verdict": "accept"}, 422, "items"),
        ("decide", {"items": ["item000007"], "verdict": "accept"}, 409, "zoe holds item item000007 until"),
        ("snooze", {"items": ["item000007"], "hours": 1}, 409, "zoe holds"),
        ("snooze", {"items": ["item000000"], "hours": 1e9}, 422, "hours"),
        ("lease", {"count": 0}, 422, "count"),
        ("lease", {"filters": {"name": "a\0b"}}, 422, "zero byte"),
        ("lease", {"filters": {"first_day": "yesterday"}}, 422, "first_day"),
        ("lease", [], 422, "not as described"),
        ("undo", {"item": "item000000"}, 409, "nothing of yours"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(
    browser: Browser, queue: Queue, path: str, body: object, status: int, words: str
) -> None:
    queue.lease("zoe", count=8)
    queue.release("zoe", [f"item{number:06d}" for number in range(7)])
    answer = browser.post(f"/api/{path}", body)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert not list(queue.decisions())


def test_broken_json(browser: Browser) -> None:
    for content in (b"{", b"\xff\xfe", b"", b"[" * 60_000):
        headers = {"X-CSRF-Token": browser.csrf, "Content-Type": "application/json"}
        answer = browser.client.post("/api/lease", content=content, headers=headers)
        assert answer.status_code in (400, 422) and answer.json()["message"]


def test_links_that_lead_nowhere_say_so(browser: Browser) -> None:
    for path, words in (("/nowhere", "This page does not exist"), ("/items/nothing", "The queue has no item")):
        answer = browser.client.get(path, headers=PAGE)
        assert answer.status_code == 404 and words in answer.text and "<h1>" in answer.text
    answer = browser.client.get("/?min_score=lots", headers=PAGE)
    assert answer.status_code == 400 and "The filter cannot be used (min score)" in answer.text


def test_a_database_that_went_away(cluster: Cluster) -> None:
    """The page keeps answering in words, and what was decided meanwhile is taken once it is back."""
    queue = Queue.open(cluster.new_database(), patience=0.2, lease=timedelta(minutes=5))
    queue.enqueue(make_items(2))
    browser = Browser(queue)
    browser.open("/")
    browser.post("/api/lease", {"count": 2})
    body = {"items": ["item000000"], "verdict": "accept", "action_id": "c" * 32}
    cluster.stop()
    try:
        answer = browser.post("/api/decide", body)
        assert answer.status_code == 503 and "does not answer" in answer.json()["message"]
        page = browser.client.get("/items/item000000", headers=PAGE)
        assert page.status_code == 503 and "does not answer" in page.text
    finally:
        cluster.start()
    assert browser.post("/api/decide", body).status_code == 200
    assert browser.post("/api/decide", body).status_code == 200
    assert [decision.item_id for decision in queue.decisions()] == ["item000000"]
    queue.close()
