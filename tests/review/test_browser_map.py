"""The map of finds in a real Chromium: by mouse, by touch and by keys alone; at every size, light and dark."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from review import Queue
from review.queue import JUDGED
from schemas.review import State, Verdict
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
    wait_for,
)
from tests.review.new_queue import new_queue
from tests.review.samples import make_item, make_items

pytestmark = needs_chromium

SPOTS = {"traffic cone": (0.0, 0.0), "mattress": (10.0, 0.0), "tire": (0.0, 8.0), "cardboard box": (10.0, 8.0)}


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    """Ten finds of each of four kinds, in the corners of the map; one more find has no place."""
    with Queue.open(new_queue(tmp_path / "queue.db"), patience=2) as queue:
        found = make_items(40)
        queue.enqueue([*found, make_item(40)])
        queue.set_places(
            "w" * 64,
            {
                item.item_id: (SPOTS[item.name][0] + place % 3 / 2, SPOTS[item.name][1] + place // 3 / 8)
                for place, item in enumerate(found)
            },
        )
        yield queue


def spot(page: Any, across: float, down: float) -> tuple[float, float]:
    """Where a share of the map's picture is on the screen."""
    box = page.locator("#map-points").bounding_box()
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def ready(page: Any) -> None:
    playwright.expect(page.locator("#legend button").first).to_be_visible()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def cones(page: Any) -> tuple[float, float]:
    """The middle of the traffic cones on the map, which shows 11 across and 9.625 down, 20 pixels from its edge."""
    box = page.locator("#map-points").bounding_box()
    scale = min((box["width"] - 40) / 11, (box["height"] - 40) / 9.625)
    return box["width"] / 2 - 5 * scale, box["height"] / 2 - 4 * scale


def ring_around_cones(page: Any) -> None:
    """By keys alone: the ring begins in the middle and goes in steps of 40 pixels, its radius."""
    x, y = cones(page)
    box = page.locator("#map-points").bounding_box()
    left, up = round((box["width"] / 2 - x) / 40), round((box["height"] / 2 - y) / 40)
    for key in ["ArrowLeft"] * left + ["ArrowUp"] * up + ["]"] * 3:
        page.keyboard.press(key)


def colours(page: Any, across: float, down: float) -> set[str]:
    """The colours of the points in the quarter of the map around a place."""
    return set(
        page.evaluate(
            """([across, down]) => {
              const canvas = document.getElementById("map-points"), wide = canvas.width / 2, high = canvas.height / 2;
              const { data } = canvas.getContext("2d").getImageData(across * wide, down * high, wide, high);
              const many = new Map();
              for (let place = 0; place < data.length; place += 4) {
                if (data[place + 3] < 255) continue;
                const colour = data.slice(place, place + 3).join();
                many.set(colour, (many.get(colour) ?? 0) + 1);
              }
              return [...many].filter(([, pixels]) => pixels > 200).map(([colour]) => colour);
            }""",
            [across, down],
        )
    )


CORNERS = ((0, 0), (1, 0), (0, 1), (1, 1))


@pytest.mark.usefixtures("screen")
def test_a_group_is_chosen_and_judged_by_keys_alone(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/map")
        ready(page)
        playwright.expect(page.locator("#map-count")).to_contain_text("40 finds")
        playwright.expect(page.locator("#map-count")).to_contain_text("1 more has no place yet")
        ring_around_cones(page)
        playwright.expect(page.locator("#map-name")).to_have_text("traffic cone")
        playwright.expect(page.locator("#map-told")).to_have_text("In the ring: 10; 10 traffic cone")
        page.keyboard.press(" ")
        playwright.expect(page.locator("#chosen")).to_have_text("10 chosen")
        page.keyboard.press("g")
        playwright.expect(page.locator(".tile")).to_have_count(10)
        playwright.expect(page.locator("#grid-title")).to_have_text("traffic cone")
        page.keyboard.press("a")
        wait_for(lambda: len(decisions(queue)) == 10)
        assert {name for _, _, name in decisions(queue)} == {"traffic cone"}
        playwright.expect(page.get_by_role("link", name="Map of finds").first).to_be_visible()


@pytest.mark.slow
@pytest.mark.usefixtures("screen")
def test_a_lasso_of_the_mouse_makes_a_group_of_what_waits(queue: Queue, visit: Callable) -> None:
    queue.decide("ann", "item000001", Verdict.ACCEPT)
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/map")
        ready(page)
        page.keyboard.press("l")
        playwright.expect(page.locator("#map-lasso")).to_have_attribute("aria-pressed", "true")
        page.mouse.move(*spot(page, 0.5, 0.01))
        page.mouse.down()
        for across, down in ((0.99, 0.01), (0.99, 0.5), (0.5, 0.5)):  # the right upper corner
            page.mouse.move(*spot(page, across, down), steps=5)
        page.mouse.up()
        playwright.expect(page.locator("#chosen")).to_have_text("10 chosen, 1 judged already")
        playwright.expect(page.locator("#map-lasso")).to_have_attribute("aria-pressed", "false")
        page.get_by_role("button", name="Judge 9 as a group").click()
        playwright.expect(page.locator(".tile")).to_have_count(9)
        playwright.expect(page.locator("#grid-title")).to_have_text("mattress")
        page.reload()
        playwright.expect(page.locator(".tile")).to_have_count(9)
        page.keyboard.press("a")
        wait_for(lambda: queue.count(states=JUDGED) == 10)
        playwright.expect(page.locator("#empty")).to_contain_text("This group is done")
        page.goto(f"{server.url}/map")
        ready(page)
        page.keyboard.down("Shift")  # draws a lasso without asking for one first
        page.mouse.move(*spot(page, 0.01, 0.5))
        page.mouse.down()
        page.mouse.move(*spot(page, 0.5, 0.02), steps=3)
        page.mouse.move(*spot(page, 0.01, 0.01), steps=3)
        page.mouse.up()
        page.keyboard.up("Shift")
        playwright.expect(page.locator("#chosen")).to_contain_text("chosen")
        page.keyboard.press("x")
        playwright.expect(page.locator("#dock")).to_be_hidden()


@pytest.mark.slow
@pytest.mark.usefixtures("screen")
def test_pointing_at_a_find_shows_its_picture_and_name(queue: Queue, visit: Callable) -> None:
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/map")
        ready(page)
        ring_around_cones(page)
        playwright.expect(page.locator("#map-card")).to_be_visible()
        page.keyboard.press("Escape")
        playwright.expect(page.locator("#map-card")).to_be_hidden()
        box = page.locator("#map-points").bounding_box()
        x, y = cones(page)
        for step in range(100):  # downwards through the middle of them
            page.mouse.move(box["x"] + x, box["y"] + max(0, y - 100 + 2 * step))
            if page.locator("#map-card").is_visible():
                break
        playwright.expect(page.locator("#map-name")).to_have_text("traffic cone")
        playwright.expect(page.locator("#map-verdict")).to_have_text("not judged yet")
        playwright.expect(page.locator("#map-crop")).to_have_attribute(
            "src", re.compile(r"^/items/item0000\d\d/crop.jpg$")
        )
        wait_for(lambda: page.evaluate("document.getElementById('map-crop').naturalWidth") > 0)
        page.mouse.down()
        page.mouse.up()
        page.get_by_role("button", name="Choose", exact=True).click()
        playwright.expect(page.locator("#chosen")).to_have_text("1 chosen")
        page.get_by_role("link", name="Open", exact=True).click()
        playwright.expect(page).to_have_url(re.compile(r"/items/item0000\d\d$"))


@pytest.mark.slow
def test_a_finger_moves_the_map_two_enlarge_it_and_a_lasso_chooses(queue: Queue, chromium: Any) -> None:
    with served(queue, Archive()) as server:
        context = chromium.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True, is_mobile=True)
        page = context.new_page()
        page.goto(f"{server.url}/map")
        ready(page)
        touch = context.new_cdp_session(page)

        def fingers(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        page.get_by_role("button", name="Lasso").tap()
        # Without scrolling: the upper left quarter.
        fingers("touchStart", spot(page, 0.01, 0.5))
        for place in ((0.5, 0.5), (0.5, 0.25), (0.5, 0.02), (0.25, 0.01), (0.01, 0.01)):
            fingers("touchMove", spot(page, *place))
        fingers("touchEnd")
        playwright.expect(page.locator("#chosen")).to_have_text("10 chosen")
        before = colours(page, 1, 1)
        assert before
        fingers("touchStart", spot(page, 0.4, 0.4), spot(page, 0.6, 0.6))
        for apart in (0.15, 0.25, 0.35):
            fingers("touchMove", spot(page, 0.5 - apart, 0.5 - apart), spot(page, 0.5 + apart, 0.5 + apart))
        fingers("touchEnd")
        wait_for(lambda: colours(page, 1, 1) != before)  # its finds went out of the picture
        page.get_by_role("button", name="Fit").tap()
        wait_for(lambda: colours(page, 1, 1) == before)
        page.get_by_role("button", name="Judge 10 as a group").tap()
        playwright.expect(page.locator(".tile")).to_have_count(10)
        assert len({one.item.name for one in queue.list_items(states=[State.LEASED])}) == 1
        context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_names_or_verdicts_and_the_legend_shows_one_alone(
    queue: Queue, visit: Callable, scheme: str
) -> None:
    queue.decide("ann", [f"item{number:06d}" for number in range(0, 40, 4)], Verdict.NOT_AN_OBJECT)  # all cones
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/map", scheme)
        ready(page)
        by_name = [colours(page, *corner) for corner in CORNERS]
        assert all(len(corner) == 1 for corner in by_name) and len(set.union(*by_name)) == 4
        page.get_by_role("button", name=re.compile("^mattress")).first.click()
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        alone = [colours(page, *corner) for corner in CORNERS]
        assert alone[1] == by_name[1] and alone[0] == alone[2] == alone[3] and alone[0] != by_name[0]
        page.keyboard.press("v")
        playwright.expect(page.locator("#legend button")).to_have_text(
            [re.compile("^not judged yet *30"), re.compile("^not an object *10")]
        )
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        by_verdict = [colours(page, *corner) for corner in CORNERS]
        assert by_verdict[1] == by_verdict[2] == by_verdict[3] != by_verdict[0]
        page.get_by_text("The map as a table").click()
        row = page.locator("#map-rows tr", has_text="traffic cone")
        playwright.expect(row.locator("td")).to_have_text(["traffic cone", "10", "10", "0"])
        page.get_by_role("button", name="Switch between light and dark").click()
        wait_for(lambda: [colours(page, *corner) for corner in CORNERS] != by_verdict)


@pytest.mark.slow
def test_only_what_waits_is_judged_and_no_more_than_a_group_holds(tmp_path: Path, visit: Callable) -> None:
    with Queue.open(str(tmp_path / "many.db")) as queue:
        found = make_items(520)
        queue.enqueue(found)
        queue.set_places("w" * 64, {item.item_id: (place % 26, place // 26) for place, item in enumerate(found)})
        with served(queue, Archive()) as server:
            page = visit(f"{server.url}/map")
            ready(page)
            page.keyboard.press("l")
            corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]
            page.mouse.move(*spot(page, *corners[0]))
            page.mouse.down()
            for corner in corners[1:]:
                page.mouse.move(*spot(page, *corner), steps=4)
            page.mouse.up()
            playwright.expect(page.locator("#chosen")).to_have_text("520 chosen; at most 500 open together")
            page.get_by_role("button", name="Judge 500 as a group").click()
            playwright.expect(page.locator(".tile")).to_have_count(60)


def test_without_a_map_the_page_says_how_to_get_one(tmp_path: Path, visit: Callable) -> None:
    with Queue.open(str(tmp_path / "new.db")) as queue:
        queue.enqueue(make_items(2))
        with served(queue, Archive()) as server:
            page = visit(f"{server.url}/map")
            playwright.expect(page.locator("#map-empty")).to_contain_text("pip install 'clipomaly[map]'")
            playwright.expect(page.locator("#map-count")).to_have_text("2 finds in the queue.")
            page.goto(f"{server.url}/grid?chosen=true")
            playwright.expect(page.locator("#empty")).to_contain_text("Nothing is chosen")


@pytest.mark.slow
@every_look
def test_the_map_is_accessible_and_fits(
    queue: Queue, visit: Callable, tmp_path: Path, scheme: str, size: tuple[int, int]
) -> None:
    """Nothing that axe-core calls serious or critical; nothing cut off sideways. The pictures stay in the folder."""
    with served(queue, Archive()) as server:
        page = visit(f"{server.url}/map", scheme, size)
        ready(page)
        for name in ("map", "chosen", "table"):
            match name:
                case "chosen":
                    page.keyboard.press("ArrowUp")
                    for _ in range(12):
                        page.keyboard.press("]")
                    page.keyboard.press(" ")
                    playwright.expect(page.locator("#chosen")).to_contain_text("chosen")
                case "table":
                    page.keyboard.press("Escape")
                    page.get_by_text("The map as a table").click()
                    playwright.expect(page.locator("#map-rows tr")).to_have_count(4)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=tmp_path / f"{name}-{scheme}-{size[0]}.png")
            assert serious_problems(page) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
            assert page.evaluate(READABLE) == [], name
