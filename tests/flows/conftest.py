"""An archive of many small shards, and the servers that scans of it run beside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from demo_fleet import write_archive
from tests.conftest import SMALL

from .programs import Program, free_port, wait_until

Start = Callable[..., Program]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Start]:
    """``program("name", command, environment)`` starts one that ends with the test."""
    started: list[Program] = []

    def start(name: str, command: Sequence[object], environment: Mapping[str, str] | None = None) -> Program:
        started.append(Program(command, tmp_path / f"{name}.log", environment))
        return started[-1]

    yield start
    for one in reversed(started):
        one.kill()


@pytest.fixture(scope="session")
def many_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 clips of a second, a shard each in the scans of these tests."""
    root = tmp_path_factory.mktemp("many") / "archive"
    write_archive(root, drives=3, clips=6, seconds=1.0, size=(120, 160), objects=8, nights=0)
    return root


@pytest.fixture(scope="session")
def many_scanned(many_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of these clips when nothing goes wrong."""
    from flows.parameters import ScanParameters
    from flows.scan import run_scan

    tables = tmp_path_factory.mktemp("many-scanned") / "tables"
    parameters = ScanParameters(
        archive=str(many_clips),
        tables=str(tables),
        model="nano",
        method=SMALL,
        fps=2,
        shard_minutes=0.01,
        no_reference=True,
    )
    assert run_scan(parameters).finished == 18
    return tables


class PrefectServer:
    """`prefect server start` on a port of its own; its database outlives it."""

    def __init__(self, start: Start, home: Path) -> None:
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = {"PREFECT_API_URL": self.api, "PREFECT_HOME": str(home)}
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", self.port]
        server = {"PREFECT_HOME": str(home), "PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_API_URL": ""}
        server["PREFECT_SERVER_DATABASE_TIMEOUT"] = (
            "120"  # on a busy machine SQLite's lock is held for longer than 10 s
        )
        self.program = start("prefect-server", [_python(), "-m", *command], server)
        self.wait()

    def wait(self) -> None:
        """Until it answers."""
        wait_until(self._healthy, self.program)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.api}/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        self.program.kill()

    def start(self) -> None:
        self.program.start()

    def flow_runs(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.post("flow_runs/filter", {})
        return found

    def post(self, path: str, body: Mapping[str, object]) -> list[dict[str, object]]:
        answer = httpx.post(f"{self.api}/{path}", json=dict(body), timeout=60)
        assert answer.is_success, answer.text
        found: list[dict[str, object]] = answer.json()
        return found


def _python() -> str:
    import sys

    return sys.executable


@pytest.fixture
def prefect_at(program: Start, tmp_path: Path) -> PrefectServer:
    """A real Prefect server in a process of its own."""
    return PrefectServer(program, tmp_path / "prefect")
