"""How long a person waits: ``clipomaly --help``, and a scan of one frame with ``nano``.

``python -m benchmarks startup``. The first scan after an installation also embeds the dictionary; both are measured.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.footage import footage
from benchmarks.results import Clock, Figures, Goal, run_command

GOALS = {
    "help, seconds": Goal(at_most=0.5),
    "first scan of one frame, empty cache, seconds": Goal(at_most=10),
    "scan of one frame, seconds": Goal(at_most=10),
}


def measure(repeats: int = 3, clock: Clock = time.perf_counter) -> Figures:
    """Median seconds from the command to its end."""
    with tempfile.TemporaryDirectory() as folder, footage(None) as archive:
        helped = [run_command(["--help"], clock).seconds for _ in range(repeats)]
        cold: list[float] = []
        warm: list[float] = []
        for number in range(repeats):
            cache = str(Path(folder) / f"cache-{number}")
            for kind, times in (("cold", cold), ("warm", warm)):
                out = f"{folder}/{kind}-{number}"
                command = ["scan", str(archive), "--out", out, "--model", "nano", "--fps", "0.01"]
                times.append(run_command(command, clock, CLIPOMALY_CACHE=cache).seconds)
    return {
        "help, seconds": statistics.median(helped),
        "first scan of one frame, empty cache, seconds": statistics.median(cold),
        "scan of one frame, seconds": statistics.median(warm),
    }
