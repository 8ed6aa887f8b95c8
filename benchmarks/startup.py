"""How long a person waits: ``clipomaly --help``, and the first frame of an inline scan with ``nano``.

``python -m benchmarks.startup``. The first scan after an installation also embeds the dictionary; both are measured.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.results import write_results
from demo_fleet import write_archive

_COMMAND = [sys.executable, "-m", "flows.cli"]


def help_seconds(repeats: int) -> float:
    """Median seconds of ``clipomaly --help``."""
    return statistics.median(_seconds([*_COMMAND, "--help"], {}) for _ in range(repeats))


def first_scan_seconds(repeats: int) -> dict[str, float]:
    """Median seconds of a scan of one frame, from the command to its last line, with an empty and a filled cache."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "archive"
        write_archive(archive, drives=1, clips=1, objects=2)
        cold, warm = [], []
        for number in range(repeats):
            cache = {"CLIPOMALY_CACHE": f"{folder}/cache-{number}"}
            for kind, times in (("cold", cold), ("warm", warm)):
                out = f"{folder}/{kind}-{number}"
                times.append(_seconds([*_COMMAND, "scan", str(archive), "--out", out, "--fps", "0.01"], cache))
    return {"empty cache": statistics.median(cold), "filled cache": statistics.median(warm)}


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, check=True, env=os.environ | environment, **quiet)
    return time.perf_counter() - started


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    figures = {"help": help_seconds(arguments.repeats), "first frame": first_scan_seconds(arguments.repeats)}
    for name, value in figures.items():
        print(f"{name}: {value}")
    print(write_results("startup", figures))


if __name__ == "__main__":
    main()
