"""What judges of rare objects do beside a verdict: look closer, see it move, mend masks, disagree, take back."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from review import Queue
from review.reviewers import add_reviewer
from schemas.masks import decode_mask
from schemas.review import MaskState, Second, State, Verdict
from tests.review.browser import (
    PHONE,
    READABLE,
    Archive,
    decisions,
    every_look,
    needs_chromium,
    playwright,
    serious_problems,
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
        queue.set_vocabulary(["car", "truck"], ["tent", "jerry can", "tire"])
        queue.enqueue(make_items(12))
        yield queue


def transform(page) -> str:
    return page.locator("#picture").evaluate("picture => picture.style.transform")


@pytest.mark.usefixtures("screen")
def test_the_picture_is_enlarged_by_keys_wheel_and_double_click(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("+")
        wait_for(lambda: "scale(1.5)" in transform(page))
        page.keyboard.press("Shift+ArrowRight")
        wait_for(lambda: "translate(-60px" in transform(page))
        shown(page, "traffic cone")  # the arrow moved the picture and not the list
        page.keyboard.press("0")
        wait_for(lambda: transform(page) == "")
        box = page.locator("#picture").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -300)
        wait_for(lambda: "scale(2.7" in transform(page))
        page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        wait_for(lambda: transform(page) == "")
        page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        wait_for(lambda: "scale(3)" in transform(page))
        page.keyboard.press("a")
        shown(page, "mattress")
        assert transform(page) == ""


@pytest.mark.usefixtures("screen")
def test_frames_around_the_object_are_played(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("n")
        shown(page, "mattress")
        page.keyboard.press("p")
        playwright.expect(page.locator("#motion")).to_be_visible()
        playwright.expect(page.locator("#motion-told")).not_to_contain_text("frames are here")
        asked = page.locator("#motion-range")
        before = asked.input_value()
        wait_for(lambda: asked.input_value() != before)  # it plays by itself
        page.keyboard.press("[")
        playwright.expect(page.locator("#motion-play")).to_have_text("Play")
        still = int(asked.input_value())
        page.keyboard.press("]")
        wait_for(lambda: int(asked.input_value()) == still + 1)
        source = re.compile(rf"/items/item000001/motion/{still + 1}\.jpg$")
        playwright.expect(page.locator("#motion-frame")).to_have_attribute("src", source)
        page.keyboard.press("p")
        playwright.expect(page.locator("#motion")).to_be_hidden()


@pytest.mark.usefixtures("screen")
def test_a_frame_of_the_strip_is_shown_large(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("n")
        shown(page, "mattress")
        page.locator("#strip button:not(.here):visible").first.click()
        other = re.compile(r"^/items/item000001/track/\d\.jpg$")
        playwright.expect(page.locator("#crop")).to_have_attribute("src", other)
        playwright.expect(page.locator("#mask")).to_be_hidden()
        page.locator("#strip button.here").click()
        playwright.expect(page.locator("#crop")).to_have_attribute("src", "/items/item000001/crop.jpg")


@pytest.mark.usefixtures("screen")
def test_a_mask_is_repaired_with_the_mouse(queue: Queue, visit: Callable) -> None:
    item = make_item(0)
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("w")
        wait_for(lambda: queue.item("item000000").mask_state is MaskState.WRONG)
        page.keyboard.press("e")
        page.get_by_role("button", name="Add area").click()
        box = page.locator("#picture").bounding_box()
        corners = [(0.05, 0.1), (0.3, 0.1), (0.3, 0.35), (0.05, 0.35)]
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=4)
        page.mouse.up()
        playwright.expect(page.locator("#mask-said")).to_have_text("1 step, not saved yet")
        page.get_by_role("button", name="Grow").click()
        playwright.expect(page.locator("#mask-said")).to_have_text("2 steps, not saved yet")
        page.get_by_role("button", name="Back a step").click()
        playwright.expect(page.locator("#mask-said")).to_have_text("1 step, not saved yet")
        page.get_by_role("button", name="Save the mask").click()
        wait_for(lambda: queue.item("item000000").mask_state is MaskState.REPAIRED)
        queued = queue.item("item000000")
        before, after = (
            decode_mask(rle, item.frame_height, item.frame_width) for rle in (item.mask_rle, queued.mask_rle)
        )
        view = item.crop_box
        added = after & ~before
        assert 0.5 < added.sum() / (0.25 * 0.25 * view.width * view.height) < 1.5
        assert (after & before).sum() == before.sum() and queued.item.mask_rle == item.mask_rle
        assert queued.repaired
        playwright.expect(page.locator("#mask")).to_have_attribute(
            "src", f"/items/item000000/mask.png?{queued.repaired.repaired_at.timestamp():.0f}"
        )
        page.keyboard.press("a")
        wait_for(lambda: len(decisions(queue)) == 1)


@pytest.mark.usefixtures("screen")
def test_a_mask_is_repaired_by_keyboard_alone(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("e")
        page.keyboard.press("Enter")  # keep the part in the middle
        playwright.expect(page.locator("#mask-said")).to_have_text("1 step, not saved yet")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.step") == "snap":
                break
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#mask-said")).to_have_text("2 steps, not saved yet")
        for _ in range(4):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "mask-save":
                break
        page.keyboard.press("Enter")
        wait_for(lambda: queue.item("item000000").mask_state is MaskState.REPAIRED)
        repaired = queue.item("item000000").repaired
        assert repaired and repaired.edits == ("keep 0.5000,0.5000", "snap")


@pytest.mark.usefixtures("screen")
def test_a_comment_is_in_the_history_without_lease_noise(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        page.keyboard.press("c")
        page.keyboard.type("seen in Leipzig")
        page.get_by_role("button", name="Save", exact=True).click()
        toast(page, "The comment is kept")
        page.goto(f"{server.url}/items/item000000")
        history = page.locator(".history")
        playwright.expect(history).to_contain_text("seen in Leipzig")
        assert "leased" not in history.inner_text()
        page.get_by_role("link", name="events of who held it").click()
        playwright.expect(page.locator(".history")).to_contain_text("leased")


@pytest.mark.usefixtures("screen")
def test_several_decisions_are_taken_back_at_once(queue: Queue, visit: Callable) -> None:
    queue.decide("lead", "item000009", Verdict.UNSURE)
    with served(queue, Archive()) as server:
        page = visit(server.url)
        shown(page, "traffic cone")
        for key, name in (("n", "mattress"), ("u", "tire"), ("n", "cardboard box")):
            page.keyboard.press(key)
            shown(page, name)
        wait_for(lambda: len(decisions(queue)) == 4)
        page.goto(f"{server.url}/mine")
        boxes = page.get_by_role("checkbox")
        playwright.expect(boxes).to_have_count(3)
        boxes.nth(0).check()
        boxes.nth(2).check()
        page.get_by_role("button", name="Take back the chosen").click()
        wait_for(lambda: [one[0] for one in decisions(queue)] == ["item000001", "item000009"])


@pytest.mark.usefixtures("screen")
def test_a_second_opinion_is_given_blind_and_settled(queue: Queue, visit: Callable) -> None:
    queue.decide("zoe", ["item000000", "item000001"], Verdict.ACCEPT)
    queue.ask_second("lead", ["item000000", "item000001"])
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/second")
        playwright.expect(page.locator("#second-verdicts")).to_be_visible()
        assert "zoe" not in page.locator("#second").inner_text()
        page.keyboard.press("n")
        page.keyboard.press("1")  # at once: it is meant for the next item
        wait_for(lambda: queue.item("item000000").second is Second.DISAGREED)
        wait_for(lambda: queue.item("item000001").second is Second.AGREED)
        playwright.expect(page.locator("#second-empty")).to_contain_text("Nothing waits for your opinion")
        page.goto(f"{server.url}/second")
        page.get_by_role("link", name="Settle").click()
        page.get_by_label("Comment, or reason").fill("look at the whole frame")
        page.get_by_role("button", name="Open again").click()
        wait_for(lambda: queue.item("item000000").status.state is State.PENDING)


def test_on_a_phone_the_frame_shown_and_the_refusal_are_above_the_fold(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(server.url, "light", PHONE)
        shown(page, "traffic cone")
        page.get_by_role("button", name="Unsure").click()
        shown(page, "mattress")
        playwright.expect(page.locator("#strip .here")).to_be_visible()
        box = page.get_by_role("button", name="Not an object").bounding_box()
        assert box["y"] + box["height"] <= PHONE[1]


def test_keys_are_not_told_where_there_are_none(queue: Queue, chromium) -> None:
    with served(queue, Archive()) as server:
        context = chromium.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True, is_mobile=True)
        page = context.new_page()
        page.goto(server.url)
        shown(page, "traffic cone")
        assert page.locator("kbd:visible").count() == 0
        context.close()


@pytest.mark.slow
@every_look
def test_every_page_is_accessible(
    queue: Queue, visit: Callable, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    """Nothing that axe-core calls serious or critical; nothing cut off sideways. The pictures stay in the folder."""
    queue.decide("zoe", ["item000010", "item000011"], Verdict.ACCEPT)
    queue.ask_second("lead", ["item000010", "item000011"])
    queue.give_opinion("bob", "item000011", Verdict.UNSURE)
    token = add_reviewer(queue, "ann")
    with served(queue, Archive()) as server:
        page = visit(server.url, scheme, size)
        for name in (
            "sign-in",
            "review",
            "repair",
            "motion",
            "name",
            "groups",
            "grid",
            "second",
            "mine",
            "progress",
            "item",
        ):
            match name:
                case "review":
                    page.get_by_label("Name").fill("ann")
                    page.get_by_label("Token").fill(token)
                    page.keyboard.press("Enter")
                    shown(page, "traffic cone")
                    page.keyboard.press("u")
                    shown(page, "mattress")
                case "repair":
                    page.keyboard.press("e")
                    playwright.expect(page.locator("#maskbar")).to_be_visible()
                case "motion":
                    page.keyboard.press("Escape")
                    page.keyboard.press("p")
                    playwright.expect(page.locator("#motion")).to_be_visible()
                case "name":
                    page.keyboard.press("p")
                    page.keyboard.press("/")
                    playwright.expect(page.locator("#namer-list li").first).to_be_visible()
                case "groups":
                    page.goto(f"{server.url}/grid")
                case "grid":
                    page.goto(f"{server.url}/grid?cluster=cluster-tire")
                    playwright.expect(page.locator(".tile").first).to_be_visible()
                case "item":
                    page.goto(f"{server.url}/items/item000011")
                case "second" | "mine" | "progress":
                    page.goto(f"{server.url}/{name}")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=tmp_path / f"{name}-{scheme}-{size[0]}.png")
            assert serious_problems(page) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
            assert page.evaluate(READABLE) == [], name
