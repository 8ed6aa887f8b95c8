"""README and documentation: their SQL and Python run on the tables of a real scan, their commands are commands."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import httpx
import numpy as np
import pytest
import typer
from typer.core import TyperGroup

from clipomaly.cli.main import app
from tests.clipomaly.documents import ROOT, Block, blocks

# Its blocks use each other; tests/tasks/tables/test_engines.py runs them, on tables of every schema version.
ENGINES = ROOT / "docs" / "howto" / "engines.md"
SHELL = ("", "sh", "bash", "console", "shell")
_ENDS = {"|", "&&", "||", ">", ">>", "&", ";"}


@pytest.fixture
def beside_tables(scanned, drawn_archive, tmp_path, monkeypatch):
    """A folder that holds ``dashcam`` and ``tables``, as the examples expect."""
    (tmp_path / "tables").symlink_to(scanned)
    (tmp_path / "dashcam").symlink_to(drawn_archive)
    monkeypatch.chdir(tmp_path)


def runnable(*languages):
    return [pytest.param(block, id=str(block)) for block in blocks(*languages) if block.page != ENGINES]


def skip_unless_run(block: Block):
    if block.not_run:
        pytest.skip(block.not_run)


@pytest.mark.parametrize("block", runnable("sql"))
def test_sql_examples(beside_tables, block):
    skip_unless_run(block)
    assert len(duckdb.execute(block.text).fetchall()) > 0


@pytest.mark.parametrize("block", runnable("python"))
def test_python_examples(beside_tables, block, capsys):
    skip_unless_run(block)
    frame = np.full((360, 640, 3), 90, np.uint8)
    exec(compile(block.text, str(block), "exec"), {"frame": frame})


def test_the_readme_from_top_to_bottom(clipomaly, scanned, drawn_archive, tmp_path, monkeypatch, record_property):
    """Its shell blocks one after the other, as a newcomer types them; the log tells how long the first judged find
    takes: ``scan``, ``mine`` and ``review serve``."""
    shutil.copytree(scanned, tmp_path / "tables")  # a scan adds to them
    (tmp_path / "dashcam").symlink_to(drawn_archive)
    monkeypatch.chdir(tmp_path)
    typed = [arguments for block in blocks("sh", pages=[ROOT / "README.md"]) for arguments in commands(block)]
    assert {"scan", "status", "report", "query"} <= {arguments[0] for arguments in typed}
    seconds = {}
    for arguments in typed:
        if arguments[:2] == ["dataset", "build"]:
            seconds["review serve"] = judge_first_find(Path("queue.db"))
            judge_more(Path("queue.db"))
        started = time.perf_counter()
        ran = clipomaly(*arguments)
        assert ran.code == 0, f"{arguments}: {ran.err}"
        seconds.setdefault(arguments[0], time.perf_counter() - started)
    told = [f"{command} {seconds[command]:.1f} s" for command in ("scan", "mine", "review serve")]
    record_property("told", f"first judged find of the README: {', '.join(told)}")


def judge_first_find(queue: Path) -> float:
    """Seconds from ``review serve`` to the first verdict on its page."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "clipomaly", "review", "serve", "--queue", str(queue), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            address = first_match(r"(http://127\.0\.0\.1:\d+)", process.stdout.readline() if process.stdout else "")
            with httpx.Client(base_url=address, timeout=60, follow_redirects=True) as page:
                shown = page.get("/", headers={"Accept": "text/html"}).text
                page.headers["X-CSRF-Token"] = first_match(r'name="csrf" content="([^"]+)"', shown)
                [item] = page.post("/api/lease", json={}).json()["items"]
                verdict = {"items": [item["item_id"]], "verdict": "not an object"}
                assert page.post("/api/decide", json=verdict).status_code == 200
        finally:
            process.kill()
    return time.perf_counter() - started


def first_match(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, f"no {pattern} in {text[:200]}"
    return match[1]


def judge_more(queue: Path):
    """What people do between mining and building a dataset."""
    from review import Queue
    from schemas.review import Verdict

    with Queue.open(str(queue), create=False) as opened:
        for number, queued in enumerate(opened.lease("ada", count=6)):
            verdict = (Verdict.ACCEPT, Verdict.NOT_AN_OBJECT)[number % 2]
            opened.decide("ada", queued.item.item_id, verdict)


def commands(block: Block) -> list[list[str]]:
    """The arguments of each ``clipomaly`` line of a block."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if "clipomaly" not in line:
            continue
        words = shlex.split(line.strip().removeprefix("$ "), comments=True)
        while words and "=" in words[0] and not words[0].startswith("-"):
            words = words[1:]  # variables of the environment
        if not words or words[0].rsplit("/", 1)[-1] != "clipomaly":
            continue
        end = next((place for place, word in enumerate(words) if word in _ENDS), len(words))
        found.append(words[1:end])
    return found


@pytest.mark.parametrize("block", [p for p in runnable(*SHELL) if commands(p.values[0])])
def test_every_command_that_is_written_down_exists(block):
    for arguments in commands(block):
        command = typer.main.get_command(app)
        context = command.make_context("clipomaly", [], resilient_parsing=True)
        words = list(arguments)
        while isinstance(command, TyperGroup):
            assert words, f"{block}: clipomaly {arguments} names no command"
            if words[0].startswith("-"):
                break
            found = command.get_command(context, words[0])
            assert found is not None, f"{block}: there is no command {words[0]!r}"
            command, words = found, words[1:]
        try:
            command.make_context(arguments[0], words)
        except typer.Exit:
            continue  # --help and the like
        except Exception as error:
            pytest.fail(f"{block}: clipomaly {shlex.join(arguments)}: {getattr(error, 'message', error)}")
