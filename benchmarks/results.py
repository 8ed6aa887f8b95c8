"""What benchmarks share: two things timed against each other, goals, and where the figures are left."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[1] / "build" / "benchmarks"
"""Not kept in the repository: figures belong to a machine. ``docs/benchmarks.md`` shows the newest of ours."""

_CALIBRATIONS = 5
"""Fewest runs of the calibration loop."""

Figures = Mapping[str, object]
"""What ``measure`` of a benchmark gives: numbers by name, and mappings of them where one grows with another."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure is to be at least, or at most, so much."""

    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        """Whether a figure is as good as that."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


Clock = Callable[[], float]
"""``time.perf_counter``, or ``time.process_time`` where other work runs on the machine: CPU seconds of this process
with one thread, which a neighbour hardly changes."""


def interleaved(
    runs: Mapping[str, Callable[[], object]], repeats: int, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each run, ``repeats`` times in turn after one warm-up, so that a busy moment meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
            calibrate()
    return seconds


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command took: seconds by the clock that was asked for, and the most memory it held in MiB."""

    seconds: float
    peak_mib: float


def run_command(command: Sequence[str], clock: Clock = time.perf_counter, **environment: str) -> Ran:
    """Run a command of Clipomaly in a process of its own. Raises SystemExit with what it printed when it fails."""
    with tempfile.TemporaryFile() as told:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "clipomaly", *command],
            env=os.environ | environment,
            stdout=told,
            stderr=told,
        )
        peak = _watch(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        calibrate()
        if process.returncode:
            told.seek(0)
            raise SystemExit(f"clipomaly {' '.join(command)} failed:\n{told.read().decode(errors='replace')}")
    if clock is time.process_time:
        seconds = used.ru_utime + used.ru_stime
    return Ran(seconds, peak)


def _watch(pid: int) -> float:
    """The most MiB that a child held, once it has ended. What ``wait4`` tells is no less than its parent held when
    it began, and benchmarks that ran before leave that large."""
    peak = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        told = Path(f"/proc/{pid}/status").read_text("utf-8")
        peak = max(peak, *(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM")), 0)
        time.sleep(0.01)
    return peak / 1024


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median of the ratios of runs that were neighbours in time."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


_calibrations: list[float] = []
"""Of this process since results were written last: between runs, so that they meet the same busy moments."""


def calibration() -> float:
    """CPU seconds of a fixed piece of work, half Python and half arithmetic: the median since results were written.

    By it, figures of another day are compared, see ``benchmarks.watch``.
    """
    while len(_calibrations) < _CALIBRATIONS:
        calibrate()
    median = statistics.median(_calibrations)
    _calibrations.clear()
    return median


def calibrate() -> None:
    """Run the calibration loop once. What times a benchmark does so after each of its runs."""
    a = torch.ones(512, 512)
    started = time.process_time()
    total = 0
    for number in range(400_000):
        total += number & 3
    for _ in range(10):
        a @ a
    _calibrations.append(time.process_time() - started)


def write_results(name: str, figures: Figures) -> Path:
    """Write figures with machine, versions, date and ``calibration`` to ``results/<name>.json``."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps({"measured": about() | {"calibration, seconds": calibration()}, **figures}, indent=1) + "\n",
        encoding="utf-8",
    )
    return path


def about() -> dict[str, object]:
    """The machine, the versions and the date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "open_clip_torch", "opencv-python-headless", "pyarrow")},
    }


def print_table(measured: Mapping[str, Figures], goals: Mapping[str, Mapping[str, Goal]]) -> None:
    """One line a number, with its goal where it has one. What grows with another is in the files."""
    table = Table("benchmark", "figure", "value", "goal", "", box=None, header_style="dim", pad_edge=False)
    for name, figures in measured.items():
        for figure, value in figures.items():
            if not isinstance(value, int | float):
                continue
            goal = goals.get(name, {}).get(figure)
            mark = "" if goal is None else "[green]met[/]" if goal.met(value) else "[yellow]missed[/]"
            table.add_row(name, figure, f"{value:.3g}" if value < 1000 else f"{value:,.0f}", str(goal or ""), mark)
    Console(soft_wrap=True, highlight=False).print(table)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
