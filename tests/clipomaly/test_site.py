"""The documentation: it builds without a broken link, loads nothing from elsewhere, and misses nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import clipomaly
from schemas.tables import DESCRIPTIONS, FRAMES, INSTANCES, Table, embeddings_schema
from tests.chromium import needs_chromium

pytest.importorskip("mkdocs", reason="mkdocs is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    return out


def test_every_page_is_in_the_navigation(site):
    home = (site / "index.html").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        assert f'href="{page.relative_to(ROOT / "docs").with_suffix(".html")}"' in home, page


def test_nothing_is_loaded_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*src="?(https?:[^" >]+)', text)
        loaded += re.findall(r'<link[^>]*rel="?(?:stylesheet|preconnect)"?[^>]*href="?(https?:[^" >]+)', text)
        assert loaded == [], page


def test_the_references_hold_every_column_and_command(site):
    tables = (site / "reference" / "tables.html").read_text("utf-8")
    for column in (*INSTANCES.names, *FRAMES.names):
        assert f"<code>{column}</code>" in tables
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    for command in ("scan", "report", "config show", "review serve"):
        assert f"clipomaly {command}" in commands


def test_the_api_page_has_every_public_name(site):
    api = (site / "reference" / "api.html").read_text("utf-8")
    for name in set(clipomaly.__all__) - {"__version__", "HiddenPackageError"}:
        assert name in api


@needs_chromium
def test_the_search_works_in_a_site_of_files(site, chromium):
    with chromium.new_page() as page:
        page.set_default_timeout(120_000)
        page.goto((site / "reference" / "api.html").as_uri())
        page.get_by_placeholder("Search").click()
        page.locator("iframe").wait_for(state="attached")  # what reads the index
        page.get_by_placeholder("Search").press_sequentially("compaction")
        page.locator(".md-search-result__item").first.wait_for()
        assert page.locator(".md-search-result__item").count() > 0


def test_every_column_is_described():
    schemas = {Table.INSTANCES: INSTANCES, Table.FRAMES: FRAMES, Table.EMBEDDINGS: embeddings_schema(4)}
    for table, schema in schemas.items():
        assert set(DESCRIPTIONS[table]) == set(schema.names)
