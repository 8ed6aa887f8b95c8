"""The command as a person calls it, and one archive of drawn clips scanned with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo_fleet import write_archive


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def run_main(capfd: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Call the command in this process."""
    from unittest.mock import patch

    from flows.cli import main

    capfd.readouterr()
    code = 0
    with patch("sys.argv", ["clipomaly", *map(str, arguments)]):
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    captured = capfd.readouterr()
    return Ran(code, captured.out, captured.err)


@pytest.fixture
def clipomaly(capfd: pytest.CaptureFixture[str]) -> Run:
    """``clipomaly("scan", archive, "--out", tables)`` → exit status, stdout, stderr."""
    return lambda *arguments: run_main(capfd, *arguments)


@pytest.fixture(scope="session")
def drawn_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives of two short drawn clips each, with planted objects."""
    root = tmp_path_factory.mktemp("fleet") / "archive"
    write_archive(root, drives=2, clips=2, seconds=2.0, objects=8, nights=0)
    return root


@pytest.fixture(scope="session")
def scanned(drawn_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the drawn archive, scanned inline with the built-in model."""
    from flows.nightly_scan import run_scan
    from flows.parameters import ScanParameters

    tables = tmp_path_factory.mktemp("scan") / "tables"
    # Shards of one clip each, so that there is something to hand out and something to kill.
    summary = run_scan(ScanParameters(archive=str(drawn_archive), tables=str(tables), fps=2, shard_minutes=0.04))
    assert summary.succeeded
    assert summary.instances > 0
    return tables


@pytest.fixture
def prefect_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Prefect database of its own, as on a fresh machine."""
    from prefect.settings import PREFECT_HOME, temporary_settings

    home = tmp_path_factory.mktemp("prefect")
    monkeypatch.setenv("PREFECT_HOME", str(home))
    with temporary_settings({PREFECT_HOME: home}):
        yield home
