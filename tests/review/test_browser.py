"""The page in a real Chromium: keyboard only, two reviewers, undo, a lease that runs out, a lost connection."""

import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn

from review import Queue
from review.pictures import FrameGoneError, FrameSource, Rgb
from review.reviewers import add_reviewer
from review.web.app import create_app
from schemas.review import ReviewItem, State, TrackFrame, Verdict
from tests.review.samples import KINDS, make_item, make_items, scene

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright.expect.set_options(timeout=20_000)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

READABLE = (Path(__file__).parent / "readable.js").read_text("utf-8")
LAPTOP, TABLET = (1366, 768), (820, 1180)


class Archive:
    """Every frame, until ``gone``."""

    gone = False

    def read(self, source_uri: str, frame_index: int) -> Rgb:
        if self.gone:
            raise FrameGoneError("The archive s3://fleet cannot be reached.")
        number = round(frame_index / 30)
        return scene(list(KINDS)[number % len(KINDS)], number % 12).frame


class Server:
    """The page on a port of loopback, in a thread."""

    def __init__(self, queue: Queue, frames: FrameSource | None, port: int = 0, secret: str | None = None) -> None:
        config = uvicorn.Config(create_app(queue, frames, secret=secret), port=port, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(20)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue.open(str(tmp_path / "queue.db"), patience=2) as queue:
        queue.set_vocabulary(
            ["road", "building", "person", "car", "truck", "bicycle"], ["pallet", "boulder", "wild boar"]
        )
        queue.enqueue(_spread(number) for number in range(40))
        yield queue


def _spread(number: int) -> ReviewItem:
    item = make_item(number)
    track = [
        TrackFrame(item.frame_index + step, item.timestamp + timedelta(seconds=step / 30), item.box)
        for step in ((0, 3, 6, 9, 12) if number == 0 else (-6, -3, 0, 3, 6))
    ]
    return make_item(number, track=tuple(track))


@contextmanager
def served(queue: Queue, frames: FrameSource | None = None) -> Iterator[Server]:
    server = Server(queue, frames)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox needs privileges that a container's root does not have.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium) -> Iterator[Callable]:
    """Opens a page as a person of their own would; any error of a script fails the test."""
    with ExitStack() as open_contexts:
        errors: list[str] = []

        def visit(url: str, scheme: str = "light", size: tuple[int, int] = LAPTOP):
            context = chromium.new_context(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
            open_contexts.callback(context.close)
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
            page.goto(url)
            return page

        yield visit
        assert not errors


def shown(page, name: str) -> None:
    playwright.expect(page.locator("#name")).to_have_text(name)


def toast(page, words: str) -> None:
    playwright.expect(page.locator(".toast", has_text=words).last).to_be_visible()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def decisions(queue: Queue) -> list[tuple[str, str, str | None]]:
    return [(one.item_id, one.verdict.value, one.name) for one in queue.decisions()]


def test_late_names_do_not_fill_the_next_list(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        late, held = re.compile("/api/names.typed=wild&"), []
        page.route(late, lambda route: held.append(route))  # not the method itself, which takes no attribute
        page.keyboard.press("/")
        page.keyboard.type("wild")
        wait_for(lambda: page.evaluate("true") and held)
        page.keyboard.press("Enter")
        shown(page, "mattress")
        page.keyboard.press("k")
        playwright.expect(page.locator("#namer-list li").first).to_have_text("bicycle")
        with page.expect_response(late):
            held[0].continue_()
        page.evaluate("new Promise((done) => setTimeout(done, 100))")
        playwright.expect(page.locator("#namer-list li").first).to_have_text("bicycle", timeout=1000)


def test_whoever_went_back_stays_there_when_more_items_come(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        held: list = []
        page.route("**/api/lease", lambda route: held.append(route))
        page.keyboard.press("a")
        shown(page, "mattress")
        page.keyboard.press("ArrowLeft")
        playwright.expect(page.locator("#stage-state")).to_contain_text("Decided")
        wait_for(lambda: page.evaluate("true") and held)
        with page.expect_response("**/api/lease"):
            held[0].continue_()
        page.evaluate("new Promise((done) => setTimeout(done, 100))")
        playwright.expect(page.locator("#stage-state")).to_contain_text("Decided", timeout=1000)


def test_a_night_by_keyboard_alone(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("a")
        shown(page, "mattress")
        page.keyboard.press("2")
        shown(page, "tire")
        page.keyboard.press("/")
        page.keyboard.type("wild")
        playwright.expect(page.locator("#namer-list li")).to_have_text(["wild boar"])
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        shown(page, "cardboard box")
        page.keyboard.press("k")
        playwright.expect(page.locator("#namer-list li").first).to_have_text("bicycle")
        page.keyboard.type("tru")
        playwright.expect(page.locator("#namer-list li")).to_have_text(["truck"])
        page.keyboard.press("Enter")
        shown(page, "traffic cone")
        page.keyboard.press("n")
        shown(page, "mattress")
        page.keyboard.press("u")
        shown(page, "tire")
        page.keyboard.press("s")
        second = queue.item("item000001").item.names[1].name
        wait_for(lambda: len(decisions(queue)) == 6 and queue.item("item000006").status.state is State.SNOOZED)
        assert decisions(queue) == [
            ("item000000", "accept", "traffic cone"),
            ("item000001", "relabel", second),
            ("item000002", "relabel", "wild boar"),
            ("item000003", "known", "truck"),
            ("item000004", "not an object", None),
            ("item000005", "unsure", None),
        ]
        # Undo the snooze, then a decision, and decide it otherwise.
        page.keyboard.press("z")
        toast(page, "Taken back: tire")
        page.keyboard.press("z")
        toast(page, "Taken back: mattress")
        page.keyboard.press("a")
        wait_for(lambda: ("item000005", "accept", "mattress") in decisions(queue))
        # Arrows look back at what was decided, and forward without deciding.
        shown(page, "tire")
        page.keyboard.press("ArrowLeft")
        playwright.expect(page.locator("#stage-state")).to_have_text("Decided · accept")
        page.keyboard.press("a")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        shown(page, "cardboard box")
        page.keyboard.press("ArrowLeft")
        shown(page, "tire")
        assert queue.item("item000006").status.state is State.LEASED
        # Mask and frame.
        page.keyboard.press("m")
        playwright.expect(page.locator("#mask")).to_be_hidden()
        page.keyboard.press("f")
        playwright.expect(page.locator("#crop")).to_have_attribute("src", "/items/item000006/frame.jpg")
        page.keyboard.press("m")
        playwright.expect(page.locator("#mask")).to_be_visible()
        playwright.expect(page.locator("#mask")).to_have_attribute("src", "/items/item000006/outline.png")
        # Asked from outside: the page's own policy forbids a predicate that is handed in as text.
        wait_for(lambda: page.evaluate("document.getElementById('mask').naturalWidth") > 0)
        # Tab reaches every button, and one can be pressed.
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.key") == "n":
                break
        page.keyboard.press("Enter")
        wait_for(lambda: ("item000006", "not an object", None) in decisions(queue))


def test_typed_names_are_refused_in_words_and_never_run(queue: Queue, visit: Callable) -> None:
    with served(queue) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("/")
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#namer-problem")).to_contain_text("Type a name")
        page.locator("#namer-input").fill("x" * 10_000)
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#namer-problem")).to_contain_text("10,000 characters")
        evil = "<img src=x onerror=\"document.title='owned'\">"
        page.locator("#namer-input").fill(evil)
        page.keyboard.press("Enter")
        wait_for(lambda: decisions(queue) == [("item000000", "relabel", evil)])
        shown(page, "mattress")  # the page learns of the decision after the queue has it
        page.keyboard.press("ArrowLeft")
        playwright.expect(page.locator("#stage-state")).to_contain_text(evil)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("/")
        page.keyboard.type("img")
        playwright.expect(page.locator("#namer-list li")).to_have_text([evil])
        # The numbers are a few seconds old.
        wait_for(lambda: page.goto(f"{server.url}/progress") and page.get_by_text(evil).is_visible())
        assert "owned" not in page.title()


def test_two_reviewers_at_once_see_different_items(queue: Queue, visit: Callable) -> None:
    tokens = {name: add_reviewer(queue, name) for name in ("ann", "bob")}
    with served(queue, Archive()) as server:
        pages = {}
        for name, token in tokens.items():
            page = visit(server.url)
            page.get_by_label("Name").fill(name)
            page.get_by_label("Token").fill("not the token")
            page.keyboard.press("Enter")
            playwright.expect(page.get_by_role("alert")).to_contain_text("do not belong together")
            page.get_by_label("Name").fill(name)
            page.get_by_label("Token").fill(token)
            page.keyboard.press("Enter")
            playwright.expect(page.locator("#judging")).to_be_visible()
            pages[name] = page
        for turn in range(5):
            for name, page in pages.items():
                page.keyboard.press("n" if name == "ann" else "u")
                wait_for(lambda turn=turn, name=name: sum(d.reviewer == name for d in queue.decisions()) == turn + 1)
    assert all((one.verdict is Verdict.NOT_AN_OBJECT) == (one.reviewer == "ann") for one in queue.decisions())


def test_a_lease_that_ran_out(queue: Queue, visit: Callable) -> None:
    queue.lease_time = timedelta(seconds=2)
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        # The tab is away, so nothing is renewed, and somebody else takes what it held.
        page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
        page.wait_for_timeout(1000)  # a renewal that was on its way
        queue.lease_time = timedelta(minutes=5)
        wait_for(lambda: "item000000" in [one.item.item_id for one in queue.lease("bob", count=40)])
        queue.release("bob", [f"item{number:06d}" for number in range(1, 40)])
        page.keyboard.press("a")
        toast(page, "bob holds item item000000 until")
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange', {bubbles: true}))")
        toast(page, "Your hold on")
        playwright.expect(page.locator("#judging")).to_be_visible()
        page.keyboard.press("a")
        wait_for(lambda: len(decisions(queue)) == 1)
        assert queue.item("item000000").status.holder == "bob"


def test_a_lost_connection_loses_nothing(queue: Queue, visit: Callable) -> None:
    server = Server(queue, Archive(), secret="s" * 32)
    page = visit(server.url)
    shown(page, "traffic cone")
    playwright.expect(page.locator("#strip img")).to_have_count(5)
    port = server.port
    server.stop()
    page.keyboard.press("a")
    playwright.expect(page.locator("#banner")).to_contain_text("cannot be reached")
    playwright.expect(page.locator("#banner")).to_contain_text("kept in this browser")
    page.keyboard.press("n")
    page.keyboard.press("u")
    page.keyboard.press("z")  # not sent yet: simply withdrawn
    assert decisions(queue) == []
    server = Server(queue, Archive(), port=port, secret="s" * 32)
    try:
        wait_for(lambda: len(decisions(queue)) == 2, 30)
        playwright.expect(page.locator("#banner")).to_be_hidden()
        assert decisions(queue) == [("item000000", "accept", "traffic cone"), ("item000001", "not an object", None)]
        shown(page, "tire")
    finally:
        server.stop()


def test_look_alikes_are_judged_together(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/grid")
        page.get_by_role("link", name="mattress").click()
        playwright.expect(page.locator(".tile")).to_have_count(10)
        page.keyboard.press("ArrowRight")
        page.keyboard.press(" ")
        page.keyboard.press("ArrowRight")
        page.keyboard.press(" ")
        playwright.expect(page.locator("#chosen")).to_have_text("8 of 10 chosen")
        page.keyboard.press("a")
        wait_for(lambda: len(decisions(queue)) == 8)
        playwright.expect(page.locator(".tile")).to_have_count(2)
        page.keyboard.press("z")
        wait_for(lambda: decisions(queue) == [])
        playwright.expect(page.locator("#chosen")).to_have_text("8 of 10 chosen")
        page.keyboard.press("x")
        page.keyboard.press("n")
        wait_for(lambda: len(decisions(queue)) == 10)
        playwright.expect(page.locator("#empty")).to_contain_text("This group is done")


def test_filters_and_the_end_of_the_queue(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.locator("summary").click()
        page.get_by_label("Suggested name").select_option("tire")
        page.get_by_role("button", name="Apply").click()
        for number in range(10):
            shown(page, "tire")
            page.keyboard.press("n")
            wait_for(lambda number=number: len(decisions(queue)) == number + 1)
        playwright.expect(page.locator("#empty")).to_contain_text("Nothing waits under these filters")
        page.keyboard.press("a")  # nothing to judge, nothing happens
        page.get_by_role("link", name="Clear the filters").click()
        shown(page, "traffic cone")


def test_an_archive_that_is_gone(queue: Queue, visit: Callable) -> None:
    archive = Archive()
    archive.gone = True
    with served(queue, archive) as server:
        page = visit(server.url)
        playwright.expect(page.locator("#frames-notice")).to_contain_text("s3://fleet cannot be reached")
        playwright.expect(page.locator("#frames-notice")).to_contain_text("stored with the item")
        assert page.locator("#crop").evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
        playwright.expect(page.locator("#toggle-frame")).to_be_disabled()


@pytest.mark.parametrize(("scheme", "size"), [("light", LAPTOP), ("dark", LAPTOP), ("light", TABLET), ("dark", TABLET)])
def test_every_page_fits_and_is_readable(
    queue: Queue, visit: Callable, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    """Nothing is cut off sideways; texts contrast with what is behind them; controls have names and are large
    enough for a finger. The pictures of the pages are kept in the test's folder."""
    queue.decide("ann", [item.item_id for item in make_items(12)[6:]], Verdict.ACCEPT)
    add_reviewer(queue, "ann-kathrin")
    token = add_reviewer(queue, "ann")
    with served(queue, Archive()) as server:
        page = visit(server.url, scheme, size)
        for name in ("sign-in", "review", "name", "frame", "groups", "grid", "progress", "item"):
            match name:
                case "review":
                    page.get_by_label("Name").fill("ann")
                    page.get_by_label("Token").fill(token)
                    page.keyboard.press("Enter")
                    playwright.expect(page.locator("#strip img")).to_have_count(5)
                case "name":
                    page.keyboard.press("/")
                    playwright.expect(page.locator("#namer-list li").first).to_be_visible()
                case "frame":
                    page.keyboard.press("Escape")
                    page.keyboard.press("f")
                case "groups":
                    page.goto(f"{server.url}/grid")
                case "grid":
                    page.goto(f"{server.url}/grid?cluster=cluster-tire")
                    playwright.expect(page.locator(".tile").first).to_be_visible()
                case "progress":
                    page.goto(f"{server.url}/progress")
                case "item":
                    page.goto(f"{server.url}/items/item000007")
            page.wait_for_load_state("networkidle")
            page.evaluate(
                """Promise.all([...document.images].filter((image) => image.src && image.loading !== "lazy")
                   .map((image) => image.decode().catch(() => null)))"""
            )
            page.screenshot(path=tmp_path / f"{name}-{scheme}-{size[0]}.png")
            problems = page.evaluate(READABLE)
            assert problems == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
