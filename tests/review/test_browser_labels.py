"""What the page records is what it says: names, groups, slips of the finger, times and scores."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from review import Queue
from schemas.review import UNKNOWN_NAME, NameScore, ReviewItem, Unclear
from tests.review.browser import Archive, decisions, needs_chromium, playwright, served, shown, toast, wait_for
from tests.review.new_queue import new_queue
from tests.review.samples import make_item

pytestmark = [needs_chromium, pytest.mark.usefixtures("screen")]

TENT = (NameScore("tent", 0.98), NameScore("shark", 0.004))


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue.open(new_queue(tmp_path / "queue.db"), patience=2) as queue:
        queue.set_vocabulary(["car", "truck"], ["tent", "jerry can", "tire"])
        yield queue


def unclear(number: int, **changes: object) -> ReviewItem:
    return make_item(number, **({"name": UNKNOWN_NAME, "names": TENT, "unclear": Unclear.DISTANCE} | changes))


def test_the_button_says_what_it_records_where_no_name_is_clear(queue: Queue, visit: Callable) -> None:
    queue.enqueue([unclear(0), unclear(1, names=()), make_item(2)])
    with served(queue, Archive()) as server:
        page = visit(server.url)
        playwright.expect(page.locator("#accept")).to_contain_text("Accept as “tent”")
        playwright.expect(page.locator("#reason")).to_contain_text("does not look like any name")
        page.keyboard.press("a")
        wait_for(lambda: decisions(queue) == [("item000000", "accept", "tent")])
        playwright.expect(page.locator("#accept")).to_be_disabled()
        page.keyboard.press("a")
        toast(page, "There is no suggestion to accept")
        assert len(decisions(queue)) == 1
        page.keyboard.press("u")
        shown(page, "tire")
        playwright.expect(page.locator("#accept")).to_contain_text("Accept as “tire”")
        page.keyboard.press("1")
        wait_for(lambda: decisions(queue)[2:] == [("item000002", "accept", "tire")])
        assert UNKNOWN_NAME not in {name for *_, name in decisions(queue)}


def test_a_score_is_not_taken_for_a_confidence(queue: Queue, visit: Callable) -> None:
    names = (NameScore("fox", 0.53), NameScore("dog", 0.3), NameScore("cat", 0.004))
    queue.enqueue([make_item(0, name="fox", names=names, score=0.99, anomaly_percentile=0.42, anomaly_of=1200)])
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "fox")
        playwright.expect(page.locator("#names .score")).to_have_text(["53 %", "30 %", "under 1 %"])
        playwright.expect(page.locator("#score")).to_have_text("at least as unusual as 42 % of 1,200 finds")
        assert "0.99" not in page.locator("#judging").inner_text()


@pytest.mark.parametrize(("source", "doubted"), [("mtime", True), ("container", False), (None, False)])
def test_a_copied_files_time_is_doubted(queue: Queue, visit: Callable, source: str | None, doubted: bool) -> None:
    queue.enqueue([make_item(0, timestamp_source=source)])
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        playwright.expect(page.locator("#when .doubt")).to_have_count(int(doubted))


def test_a_slip_of_the_finger_is_asked_about_once(queue: Queue, visit: Callable) -> None:
    queue.enqueue([make_item(0), make_item(1)])
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("/")
        page.keyboard.type("jery can")
        playwright.expect(page.locator("#namer-list li")).to_have_text(["jerry can", "New name: jery can"])
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#namer-problem")).to_contain_text("Did you mean “jerry can”?")
        assert decisions(queue) == []
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        wait_for(lambda: decisions(queue) == [("item000000", "relabel", "jerry can")])
        # Asked once: the second Enter takes it, and from then on it is a name like others.
        shown(page, "mattress")
        page.keyboard.press("/")
        page.keyboard.type("yurt")
        playwright.expect(page.locator("#namer-list li")).to_have_text(["New name: yurt"])
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#namer-problem")).to_contain_text("“yurt” is a new name")
        page.keyboard.press("Enter")
        wait_for(lambda: decisions(queue)[1:] == [("item000001", "relabel", "yurt")])


def test_a_mixed_group_starts_with_none_chosen(queue: Queue, visit: Callable) -> None:
    names = {name: (NameScore(name, 0.6),) for name in ("jerrycan", "traffic cone")}
    queue.enqueue(make_item(number, cluster="x", name=name, names=names[name]) for number, name in enumerate(names))
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/grid")
        page.get_by_role("link", name="1 jerrycan, 1 traffic cone").click()
        playwright.expect(page.locator("#grid-title")).to_have_text("2 different suggestions")
        playwright.expect(page.locator("#chosen")).to_have_text("0 of 2 chosen")
        playwright.expect(page.locator("#grid-mixed")).to_be_visible()
        page.keyboard.press("a")
        toast(page, "Choose at least one")
        page.keyboard.press("x")
        playwright.expect(page.locator("#accept")).to_contain_text("Accept each as its own name")
        page.keyboard.press("a")
        wait_for(lambda: [name for *_, name in decisions(queue)] == ["jerrycan", "traffic cone"])


def test_a_group_without_clear_names_starts_with_none_chosen(queue: Queue, visit: Callable) -> None:
    queue.enqueue(unclear(number, cluster="x") for number in range(2))
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/grid?cluster=x")
        playwright.expect(page.locator("#chosen")).to_have_text("0 of 2 chosen")
        playwright.expect(page.locator(".tile span").first).to_contain_text("tent?")
