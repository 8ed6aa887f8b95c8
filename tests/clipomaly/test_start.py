"""Small commands start at once: what they do not need is not imported."""

import json
import subprocess
import sys
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
import flows.dataset_request
print(json.dumps([name for name in ("prefect", "open_clip") if name in sys.modules]))
"""
_WORK = """
import sys
import flows.scan, tasks.model
print([name for name in ("prefect", "review.queue", "torch._dynamo", "sympy", "triton") if name in sys.modules])
import torch
from torchvision.ops import RoIAlign
torch.use_deterministic_algorithms(True)  # the way of RoIAlign that asks for the compiler
print(*RoIAlign(2, 1.0, -1)(torch.ones(1, 3, 8, 8), torch.tensor([[0.0, 0, 0, 4, 4]])).shape)
"""


def lines_of(code: str) -> list[str]:
    """What a process of its own prints."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.fixture(scope="module")
def small(scanned: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Which heavy modules are there after each of some commands, and after the import of what makes datasets, one after
    the other in a process of their own."""
    queue = tmp_path_factory.mktemp("queue") / "queue.db"
    Queue.open(queue).close()
    helps = [["--help"], *([verb, "--help"] for verb in ("vocabulary", "dataset", "review", "config", "scan"))]
    stats, status = ["review", "stats", "--queue", str(queue)], ["status", str(scanned)]
    commands = [*helps, stats, status, ["query", str(scanned), "SELECT 1"]]
    return [json.loads(line) for line in lines_of(_RUN.format(commands=commands, heavy=HEAVY))]


def test_small_commands_load_nothing_heavy(small: list[list[str]]) -> None:
    assert len(small) == 10 and small[:8] == [[]] * 8


def test_a_query_loads_duckdb_alone(small: list[list[str]]) -> None:
    assert small[8] == ["duckdb"]


def test_a_dataset_loads_neither_model_nor_runners(small: list[list[str]]) -> None:
    assert small[9] == []


@pytest.fixture(scope="module")
def work() -> list[str]:
    """What a process says that imports what a scan needs."""
    return lines_of(_WORK)


def test_a_scan_in_this_process_loads_neither_runners_nor_compiler(work: list[str]) -> None:
    assert work[0] == "[]"


def test_torchvision_finds_the_compiler_when_it_needs_it(work: list[str]) -> None:
    assert work[1].split() == ["1", "3", "2", "2"]
