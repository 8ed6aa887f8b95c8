"""Finding more over really scanned tables, in the page and as what it stands on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.finds import TableFinds
from flows.mine import run_mine
from flows.review import ArchiveFrames
from review import Queue
from review.finds import FindsGoneError
from review.pictures import FrameGoneError
from review.web.app import create_app
from schemas.review import State
from tasks.mining.mine import MiningOptions
from tasks.tables import open_table
from tests.review.browser import needs_chromium, playwright, serious_problems, serve_app, wait_for
from tests.review.samples import make_item


@pytest.fixture
def queue(scanned: Path, tmp_path: Path) -> Iterator[Queue]:
    """A queue that holds one of the finds."""
    run_mine(str(scanned), str(tmp_path / "queue.db"), MiningOptions(count=1, random_share=0))
    with Queue.open(str(tmp_path / "queue.db")) as queue:
        yield queue


@pytest.fixture
def finds(scanned: Path) -> TableFinds:
    return TableFinds(str(scanned), ArchiveFrames())


def only_item(queue: Queue):
    return next(queued.item for queued in queue.walk([State.PENDING]))


def test_what_looks_most_alike_comes_first(queue: Queue, finds: TableFinds, scanned: Path) -> None:
    item = only_item(queue)
    found = finds.like(item, 10)
    assert found and item.item_id not in {find.item_id for find in found}
    rows = open_table(str(scanned), "embeddings").to_table().to_pandas().set_index("instance_id")["embedding"]
    own = np.frombuffer(item.embedding, "<f2").astype(float)
    other = np.asarray(rows[found[0].instance_id]).astype(float)
    assert found[0].cosine == pytest.approx(own @ other / np.linalg.norm(own) / np.linalg.norm(other), abs=1e-3)
    assert [find.cosine for find in found] == sorted((find.cosine for find in found), reverse=True)
    assert finds.picture(found[0].instance_id)[:2] == b"\xff\xd8"
    with pytest.raises(FrameGoneError, match="Search again"):
        finds.picture("nothing")


def test_words_find_what_the_command_finds(finds: TableFinds, scanned: Path, clipomaly: Callable) -> None:
    import json

    ran = clipomaly("search", scanned, "a traffic cone", "--json", "--count", 3)
    wanted = [json.loads(line)["instance_id"] for line in ran.out.splitlines()]
    assert [find.instance_id for find in finds.search("a traffic cone", 3)] == wanted


def test_finds_become_items_with_their_tracks(queue: Queue, finds: TableFinds) -> None:
    found = finds.like(only_item(queue), 2)
    made = finds.items(found, "alike-1")
    assert {item.item_id for item in made} == {find.item_id for find in found}
    assert all(item.cluster == "alike-1" and item.track and item.mask_rle for item in made)
    assert queue.enqueue(made).added == len(made)


def test_what_cannot_be_compared_is_said_in_one_line(finds: TableFinds) -> None:
    with pytest.raises(FindsGoneError, match="no embedding"):
        finds.like(make_item(0, embedding=None), 3)
    with pytest.raises(FindsGoneError, match="has 64 numbers"):
        finds.like(make_item(0), 3)


@needs_chromium
@pytest.mark.usefixtures("screen")
def test_more_like_an_item_is_judged_as_a_group(queue: Queue, finds: TableFinds, visit: Callable) -> None:
    item = only_item(queue)
    with serve_app(create_app(queue, ArchiveFrames(), finds=finds)) as server:
        page = visit(server.url)
        playwright.expect(page.locator("#more")).to_be_visible()
        page.keyboard.press("l")
        playwright.expect(page).to_have_url(f"{server.url}/finds?like={item.item_id}")
        playwright.expect(page.locator(".found li").first).to_be_visible()
        assert page.locator(".found img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert serious_problems(page) == []
        page.get_by_role("button", name="Choose all or none").click()
        page.get_by_role("button", name="Judge as a group").click()
        playwright.expect(page.locator(".tile").first).to_be_visible()
        group = {queued.item.cluster for queued in queue.walk(tuple(State)) if queued.item.item_id != item.item_id}
        assert len(group) == 1 and str(next(iter(group))).startswith("alike-")


@needs_chromium
@pytest.mark.usefixtures("screen")
def test_finds_by_words_are_added_to_the_queue(queue: Queue, finds: TableFinds, visit: Callable) -> None:
    before = queue.count(states=tuple(State))
    with serve_app(create_app(queue, ArchiveFrames(), finds=finds)) as server:
        page = visit(f"{server.url}/finds")
        page.get_by_label("What to look for, in all tables").fill("a traffic cone")
        page.keyboard.press("Enter")
        playwright.expect(page.locator(".found li").first).to_be_visible()
        page.locator(".found input:not(:disabled)").first.check()
        page.get_by_role("button", name="Add to the queue").click()
        wait_for(lambda: queue.count(states=tuple(State)) == before + 1)


def tab_to(page: Any, text: str) -> None:
    """Press Tab until the element with this text, or label, has the focus."""
    focused = "(document.activeElement.labels?.[0] ?? document.activeElement).innerText.trim()"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(focused) == text:
            return
    raise AssertionError(f"Tab does not lead to {text!r}")


@needs_chromium
@pytest.mark.usefixtures("screen")
def test_finds_are_asked_for_chosen_and_added_by_keys_alone(queue: Queue, finds: TableFinds, visit: Callable) -> None:
    before = queue.count(states=tuple(State))
    with serve_app(create_app(queue, ArchiveFrames(), finds=finds)) as server:
        page = visit(f"{server.url}/finds")
        tab_to(page, "What to look for, in all tables")
        page.keyboard.type("a traffic cone")
        page.keyboard.press("Enter")
        playwright.expect(page.locator(".found li").first).to_be_visible()
        new = page.locator(".found input:not(:disabled)").count()
        tab_to(page, "Choose all or none")
        page.keyboard.press("Enter")
        assert page.locator(".found input:checked").count() == new > 0
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        wait_for(lambda: queue.count(states=tuple(State)) == before + new)


@needs_chromium
def test_a_page_without_tables_offers_no_search(queue: Queue, visit: Callable) -> None:
    with serve_app(create_app(queue, ArchiveFrames())) as server:
        page = visit(server.url)
        playwright.expect(page.locator("#judging")).to_be_visible()
        assert page.get_by_role("link", name="Find", exact=True).count() == 0 and page.locator("#more").count() == 0
        page.goto(f"{server.url}/finds?text=cone")
        playwright.expect(page.get_by_role("alert")).to_contain_text("Start it with --tables")
