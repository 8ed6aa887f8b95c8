"""A page in a real Chromium: the server, the archive behind it, and how tests wait."""

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from review import Queue
from review.pictures import FrameGoneError, FrameSource, Rgb
from review.web.app import create_app
from tests.chromium import needs_chromium
from tests.review.samples import KINDS, scene

try:
    import playwright.sync_api as playwright
except ImportError:  # an extra of development
    playwright = None  # type: ignore[assignment]

if playwright:
    playwright.expect.set_options(timeout=20_000)

__all__ = ["needs_chromium", "playwright"]  # beside what is defined here

# Only what is asked for leaves the page: axe-core's whole report takes the browser's driver long to pass on.
SERIOUS = """async () => {
  const found = await axe.run({ resultTypes: ["violations"] });
  return found.violations
    .filter((one) => one.impact === "serious" || one.impact === "critical")
    .map((one) => [one.id, one.nodes.map((node) => node.html.slice(0, 200))]);
}"""
READABLE = (Path(__file__).parent / "readable.js").read_text("utf-8")
LAPTOP, TABLET, PHONE = (1366, 768), (820, 1180), (390, 844)

SCREENS = [(scheme, size) for size in (LAPTOP, TABLET, PHONE) for scheme in ("light", "dark")]

every_look = pytest.mark.parametrize(
    ("scheme", "size"),
    [
        ("light", PHONE),
        *(pytest.param(*screen, marks=pytest.mark.slow) for screen in SCREENS if screen != ("light", PHONE)),
    ],
)
"""All sizes of screens, light and dark; without `slow`, the one with the least room."""


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
        self._run(create_app(queue, frames, secret=secret), port)

    @classmethod
    def of_app(cls, app: Any) -> "Server":
        """Any application."""
        server = cls.__new__(cls)
        server._run(app, 0)
        return server

    def _run(self, app: Any, port: int) -> None:
        config = uvicorn.Config(app, port=port, log_level="error")
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


@contextmanager
def serve_app(app: Any) -> Iterator[Server]:
    server = Server.of_app(app)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def served(queue: Queue, frames: FrameSource | None = None) -> Iterator[Server]:
    server = Server(queue, frames)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(
    params=[SCREENS[0], *(pytest.param(screen, marks=pytest.mark.slow) for screen in SCREENS[1:])],
    ids=lambda screen: f"{screen[0]}-{screen[1][0]}",
)
def screen(request: pytest.FixtureRequest) -> tuple[str, tuple[int, int]]:
    """Light or dark, and a size. A test that uses it runs once, and with `slow` on every screen."""
    chosen: tuple[str, tuple[int, int]] = request.param
    return chosen


@pytest.fixture
def visit(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Opens a page as a person of their own would, on the test's ``screen`` if it uses that; any error of a script
    fails the test."""
    usual = request.getfixturevalue("screen") if "screen" in request.fixturenames else SCREENS[0]
    with ExitStack() as open_contexts:
        errors: list[str] = []

        def visit(url: str, scheme: str = usual[0], size: tuple[int, int] = usual[1]):
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


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def decisions(queue: Queue) -> list[tuple[str, str, str | None]]:
    return [(one.item_id, one.verdict.value, one.name) for one in queue.decisions()]


@functools.cache
def axe_core() -> str:
    """The script of the accessibility checker."""
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def serious_problems(page: Any) -> list[tuple[str, list[str]]]:
    """What axe-core calls serious or critical on a page: the rule, and where."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(f"{axe_core()}; null")
    return [(rule, nodes) for rule, nodes in page.evaluate(SERIOUS)]
