"""Programs in processes of their own: servers to be killed and started again, and scans beside them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PATIENCE = 300
OPTIONS = ("--fps", "2", "--shard-minutes", "0.01", "--no-reference", "--log-level", "info")


class Program:
    """A command that can be started again after it was killed. All its output goes into one file."""

    def __init__(self, command: Sequence[object], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = [str(word) for word in command]
        self._log = log
        self._environment = os.environ | {"OMP_NUM_THREADS": "1"} | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, stdout=out, stderr=out, env=self._environment, start_new_session=True
            )

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit status."""
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to it and what it started in its group, at once."""
        with suppress(ProcessLookupError):  # all of them have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_until(condition: Callable[[], object], *programs: Program, seconds: float = PATIENCE) -> None:
    """Wait for a condition while programs run."""
    give_up = time.monotonic() + seconds
    while not condition():
        for program in programs:
            assert program.process.poll() is None, program.output
        assert time.monotonic() < give_up, "\n".join(program.output for program in programs)
        time.sleep(0.1)


def commits(tables: Path) -> int:
    """How many shards are committed."""
    return len(list(tables.glob("_commits/*/*.json")))


def scan_command(archive: Path, tables: Path, *options: object) -> list[object]:
    return [sys.executable, "-m", "clipomaly", "scan", archive, "--out", tables, *OPTIONS, *options]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and theirs, as they are now."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has just ended
                continue
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    """Which of these processes have not ended."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


def without_package(folder: Path) -> dict[str, str]:
    """An environment in which importing ``flows`` fails as where it is not installed."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('flows', 'tasks', 'schemas'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    return {"PYTHONPATH": str(folder)}
