"""Small commands start at once: what they do not need is not imported."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from review import Queue

pytestmark = pytest.mark.whole

HEAVY = (
    "torch",
    "open_clip",
    "prefect",
    "cv2",
    "clipomaly_core.clipomaly",
    "aiohttp",
    "botocore",
    "fastapi",
    "duckdb",
    "umap",
    "numba",
)
_RUN = """
import io, json, sys
from contextlib import redirect_stdout
from clipomaly.__main__ import main
for arguments in {commands}:
    sys.argv = ["clipomaly", *arguments]
    try:
        with redirect_stdout(io.StringIO()):
            main()
    except SystemExit as stop:
        assert not stop.code, stop.code
print(json.dumps([name for name in {heavy} if name in sys.modules]))
"""


def loaded_by(*commands: Sequence[object]) -> list[str]:
    """Which heavy modules commands import, one after the other in a process of their own."""
    code = _RUN.format(commands=[[*map(str, arguments)] for arguments in commands], heavy=HEAVY)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded: list[str] = json.loads(ran.stdout)
    return loaded


def test_help_loads_nothing_heavy() -> None:
    verbs = ("vocabulary", "dataset", "review", "config", "scan")
    assert loaded_by(["--help"], *([verb, "--help"] for verb in verbs)) == []


def test_status_loads_neither_model_nor_runners(scanned: Path) -> None:
    assert loaded_by(["status", scanned]) == []


def test_a_query_loads_duckdb_alone(scanned: Path) -> None:
    assert loaded_by(["query", scanned, "SELECT 1"]) == ["duckdb"]


def test_review_stats_load_the_queue_alone(tmp_path: Path) -> None:
    Queue.open(tmp_path / "queue.db").close()
    assert loaded_by(["review", "stats", "--queue", tmp_path / "queue.db"]) == []


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("flows.scan, tasks.model", ("prefect", "review.queue", "torch._dynamo", "sympy", "triton")),
        ("flows.dataset_request", ("prefect", "open_clip")),
    ],
)
def test_work_in_this_process_loads_no_runner(modules: str, heavy: Sequence[str]) -> None:
    code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
