"""What drawing the map of finds costs in a browser.

    python benchmarks/review_load.py --items 100000 --seconds 1 --queue queue.db
    python benchmarks/map_page.py queue.db

Opens the map of a queue in Chromium at three sizes, drags and enlarges it, and draws a lasso around everything. Prints,
as JSON, milliseconds: until the map was there, of drawing (median, 95 of 100), and from the end of the lasso until its
finds were counted. Chromium draws without a graphics card.
"""

import json
import os
import secrets
import sys
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from review import Queue
from review.reviewers import add_reviewer
from tests.chromium import CHROMIUM
from tests.review.browser import LAPTOP, PHONE, TABLET, served

_DRAWN = "performance.getEntriesByName('map drawn').at(-1)?.duration ?? 0"
_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def milliseconds(page: Page, address: str, reviewer: str, token: str) -> dict[str, float]:
    """The figures of one size of screen."""
    page.goto(address)
    page.get_by_label("Name").fill(reviewer)
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    page.locator("#judging").wait_for()
    start = time.perf_counter()
    page.goto(f"{address}/map")
    page.locator("#legend button").first.wait_for(timeout=120_000)
    there = time.perf_counter() - start
    box = page.locator("#map-points").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drawn = []
    for step in range(60):
        if step % 2:
            page.mouse.move(x, y)
            page.mouse.wheel(0, -40 if step < 30 else 40)
        else:
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x + 30 * (-1) ** (step // 2), y + 9)
            page.mouse.up()
        page.evaluate(_FRAME)
        drawn.append(float(page.evaluate(_DRAWN)))
    page.get_by_role("button", name="Fit").click()
    page.get_by_role("button", name="Lasso").click()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)]
    places = [(box["x"] + across * box["width"], box["y"] + down * box["height"]) for across, down in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=10)
    start = time.perf_counter()
    page.mouse.up()
    page.locator("#dock").wait_for()
    return {
        "there": round(1000 * there),
        "drawn": round(float(np.median(drawn)), 1),
        "drawn_95": round(float(np.quantile(drawn, 0.95)), 1),
        "lasso": round(1000 * (time.perf_counter() - start)),
    }


def main() -> None:
    """Run from the command line."""
    told: dict[str, object] = {}
    reviewer = f"reviewer-{secrets.token_hex(3)}"
    with Queue.open(sys.argv[1], create=False) as queue:
        token = add_reviewer(queue, reviewer)  # before the server starts: it would sign nobody in otherwise
    with Queue.open(sys.argv[1]) as queue, served(queue) as server, sync_playwright() as play:
        told["points"] = len(queue.finds_map().points)
        # The sandbox needs privileges that the root of a container does not have.
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        for width, height in (LAPTOP, TABLET, PHONE):
            page = browser.new_page(viewport={"width": width, "height": height})
            told[f"{width} x {height}"] = milliseconds(page, server.url, reviewer, token)
            page.close()
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
