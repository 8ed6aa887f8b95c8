"""Where benchmarks leave what they measured, and how they time two things against each other."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def interleaved(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each run, ``repeats`` times in turn after one warm-up, so that a busy moment meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median of the ratios of runs that were neighbours in time."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def write_results(name: str, figures: Mapping[str, object]) -> Path:
    """Write figures with machine, versions and date to ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    about = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "cores": torch.get_num_threads(),
        "accelerator": device,
        "python": platform.python_version(),
        "torch": version("torch"),
        "open_clip_torch": version("open_clip_torch"),
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"measured": about, **figures}, indent=1) + "\n", encoding="utf-8")
    return path


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
