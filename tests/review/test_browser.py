"""The page in a real Chromium: keyboard only, two reviewers, undo, a lease that runs out, a lost connection."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from review import Queue
from review.reviewers import add_reviewer
from schemas.review import ReviewItem, State, TrackFrame, Verdict
from tests.review.browser import (
    READABLE,
    Archive,
    Server,
    decisions,
    every_look,
    needs_chromium,
    playwright,
    served,
    shown,
    toast,
    wait_for,
)
from tests.review.new_queue import new_queue
from tests.review.samples import make_item, make_items

pytestmark = needs_chromium


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue.open(new_queue(tmp_path / "queue.db"), patience=2) as queue:
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


def has_decided(queue: Queue, reviewer: str | None, count: int) -> bool:
    """Whether a reviewer, or all of them together, decided so many items."""
    return sum(reviewer in (None, one.reviewer) for one in queue.decisions()) == count


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
        playwright.expect(page.locator("#namer-problem")).to_contain_text("“wild” is a new name")
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


def test_the_first_key_after_a_name_is_not_lost(queue: Queue, visit: Callable) -> None:
    """The field of the closed dialog must not hold the focus until the next frame is drawn."""
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("/")
        page.keyboard.type("wild")
        playwright.expect(page.locator("#namer-list li")).to_have_text(["wild boar", "New name: wild"])
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.querySelector('#namer form').requestSubmit(), document.activeElement.id") == ""
        shown(page, "mattress")


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
        playwright.expect(page.locator("#namer-list li")).to_have_text(["wild boar", "New name: wild"])
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
        playwright.expect(page.locator("#stage-state")).to_have_text("Decided · accept: mattress")
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
        playwright.expect(page.locator("#namer-problem")).to_contain_text("is a new name")
        page.keyboard.press("Enter")
        wait_for(lambda: decisions(queue) == [("item000000", "relabel", evil)])
        shown(page, "mattress")  # the page learns of the decision after the queue has it
        page.keyboard.press("ArrowLeft")
        playwright.expect(page.locator("#stage-state")).to_contain_text(evil)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("/")
        page.keyboard.type("img")
        playwright.expect(page.locator("#namer-list li")).to_have_text([evil, "New name: img"])
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
                wait_for(partial(has_decided, queue, name, turn + 1))
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
        page.get_by_role("link", name="mattress").click()  # all of one name: all are chosen
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
            wait_for(partial(has_decided, queue, None, number + 1))
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


@every_look
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
