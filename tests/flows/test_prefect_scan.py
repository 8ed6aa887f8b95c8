"""A night through Prefect: its rows, its artifacts and its report, of one scan beside a real server."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.conftest import prefect_at_home

from .files import part_files


@dataclass(frozen=True)
class Night:
    """Where the archive, its tables and its report are, how the command ended, and Prefect's artifacts by key."""

    archive: Path
    tables: Path
    report: Path
    code: object
    artifacts: dict[str, str]


@pytest.fixture(scope="module")
def night(drawn_archive, tmp_path_factory):
    """Two clips, and one that is broken, scanned by threads."""
    from prefect.client.orchestration import get_client

    from flows.parameters import ScanParameters
    from flows.server import prefect_server

    root = tmp_path_factory.mktemp("prefect-night")
    archive, tables, report = root / "archive", root / "tables", root / "report"
    (archive / "drive").mkdir(parents=True)
    for clip in sorted(drawn_archive.rglob("*.mp4"))[:2]:
        shutil.copy(clip, archive / "drive")
    (archive / "drive" / "broken.mp4").write_text("not a video")
    options = ("--runner", "threads", "--report", report)
    with prefect_at_home(root / "home"), prefect_server(ScanParameters(archive="", tables="")):
        code = scan(archive, tables, *options)
        with get_client(sync_client=True) as client:
            artifacts = {str(artifact.key): str(artifact.data) for artifact in client.read_artifacts()}
    return Night(archive, tables, report, code, artifacts)


def scan(archive, tables, *options):
    """The exit status of the command."""
    from clipomaly.cli.main import main

    words = ["clipomaly", "scan", archive, "--out", tables, "--fps", 2, "--shard-minutes", 0.04, *options]
    with patch("sys.argv", [str(word) for word in words]), pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_same_bytes_are_written_as_without_prefect(night, tmp_path):
    assert not scan(night.archive, tmp_path)
    assert not night.code
    assert len(part_files(tmp_path)) >= 6 and part_files(night.tables) == part_files(tmp_path)


@pytest.mark.slow
def test_processes_write_the_same_bytes(night, tmp_path, prefect_home):
    assert not scan(night.archive, tmp_path, "--runner", "processes")
    assert part_files(tmp_path) == part_files(night.tables)


def test_prefect_shows_progress_counts_names_and_failures(night):
    assert float(night.artifacts["scan-progress"]) == 100
    counts = {row["what"]: row["count"] for row in json.loads(night.artifacts["scan-counts"])}
    assert counts["sources listed"] == 3
    assert counts["failed"] == 1
    [failure] = json.loads(night.artifacts["scan-failures"])
    assert failure["source"].endswith("broken.mp4")
    named = sum(row["instances"] for row in json.loads(night.artifacts["scan-names"]))
    assert named == counts["instances"]


def test_the_report_is_left_and_linked_to(night):
    [page] = night.report.iterdir()
    assert page.as_uri() in night.artifacts["scan-report"]
    assert "| name | instances |" in night.artifacts["scan-night"]
