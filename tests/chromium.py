"""One Chromium for the browser tests of a module."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

try:
    import playwright.sync_api as playwright
except ImportError:  # an extra of development
    playwright = None  # type: ignore[assignment]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(not (playwright and CHROMIUM), reason="playwright or Chromium is not installed")


# Not for the session: Playwright's event loop counts as running until it is closed, and tests that follow in the
# same process could then start none of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox needs privileges that a container's root does not have.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture(autouse=True, scope="module")
def no_event_loop_is_left() -> Iterator[None]:
    """A loop that a module leaves running fails there, not in whatever module comes next."""
    yield
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
