"""A command with all processes that it starts: what they used, and how to kill them as a machine does."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_UP_SECONDS = 0.2
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, slots=True)
class Used:
    """``seconds`` on the clock, ``cpu_seconds`` and the most memory at once, in MiB, of a command and its children.

    Memory that processes share counts for each, but for the shared memory of Ray's store. What a process used in its
    last fifth of a second may be missing.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    killed: bool


def run_all(command: Sequence[str], environment: Mapping[str, str], log: Path, kill_after: float | None = None) -> Used:
    """Run a command to its end, or kill it and all its children with SIGKILL after so many of their CPU seconds.

    Raises:
        SystemExit: it failed; its output is in ``log``.
    """
    with log.open("ab") as told:
        started = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=told, stderr=told)
        cpu: dict[int, float] = {}
        peak, killed = 0.0, False
        while process.poll() is None:
            family = _family(process.pid)
            peak = max(peak, sum(_resident_mib(pid) for pid in family))
            cpu |= {pid: _cpu_seconds(pid) for pid in family}
            if kill_after is not None and sum(cpu.values()) > kill_after:
                for pid in family:
                    _kill(pid)
                killed = True
            time.sleep(_LOOK_UP_SECONDS)
        seconds = time.perf_counter() - started
    if process.returncode and not killed:
        raise SystemExit(f"{' '.join(command)} failed: see {log}")
    return Used(seconds, sum(cpu.values()), peak, killed)


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(path)
        if fields:
            parents[int(path.parent.name)] = int(fields[1])
    family = [pid]
    for one in family:
        family += [child for child, parent in parents.items() if parent == one]
    return family


def _stat(path: Path) -> list[str]:
    """The fields after the name of the program; none where the process is gone."""
    try:
        return path.read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _resident_mib(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text("utf-8").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[1]) - int(fields[2])) * _PAGE_MIB  # without what it shares


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
