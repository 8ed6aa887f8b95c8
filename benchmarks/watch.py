"""Is anything slower than last time? ``python -m benchmarks.watch``, after ``make bench QUICK=1`` on the same machine.

Every file that a benchmark writes holds the seconds of a calibration loop, which was timed beside it. Seconds are
compared as multiples of that loop, and rates as work done during one, so that a machine that is slower today, or
another one, is no regression. Where something is more than 15 % worse than in the last kept run, its benchmark is run
once more, and the better of both counts: what is still worse is named, and the command ends with 1. A run with nothing
worse is kept and is the next one's measure; ``--keep`` keeps it anyway.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS

_QUICK = {
    name: ["benchmarks", "--quick", name] for name in ("startup", "forward", "overhead", "street", "parts", "growth")
}
WATCHED = {**_QUICK, "planning": ["benchmarks.planning", "--quick"]}
"""What is compared, with the module and arguments that measure it."""
KEPT = RESULTS / "kept.json"
WORSE = 0.15

_RATES = ("a second", "an hour", "times as fast", "share of the matrix product")
_COSTS = ("seconds", "ms a", "times the", "MiB", "mib", "share of a frame")
_LEFT_OUT = ("against", "seconds each", "peak GMAC", "before_mib", "records")
"""Differences and ratios of figures that are compared themselves, what the machine alone decides, and what is rounded
to almost nothing."""
_SHORTEST = 0.1
"""Seconds of less than so many calibration loops are left out: the clock's own noise."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure without a unit of time: more is better, or less is."""

    value: float
    more_is_better: bool


def ratios(name: str, figures: Mapping[str, Any]) -> dict[str, Ratio]:
    """What of a benchmark's file can be compared, by the name of the figure; counts and machines are left out."""
    loop = float(figures["measured"]["calibration, seconds"])
    found = {}
    for path, value in _numbers(name, {key: value for key, value in figures.items() if key != "measured"}):
        if value <= 0 or any(part in path for part in _LEFT_OUT):
            continue
        if any(part in path for part in _RATES):
            timed = "a second" in path or "an hour" in path
            found[path] = Ratio(value * loop if timed else value, True)
        elif any(part in path for part in _COSTS):
            if "seconds" in path and value < _SHORTEST * loop:
                continue
            timed = "seconds" in path or "ms a" in path
            found[path] = Ratio(value / loop if timed else value, False)
    return found


def _numbers(path: str, value: object) -> Iterator[tuple[str, float]]:
    """Numbers with the names that lead to them; seconds by the clock not where the processor's stand beside them."""
    if isinstance(value, Mapping):
        by_clock = {key.removeprefix("processor_") for key in value if str(key).startswith("processor_")}
        for key, inner in value.items():
            if key not in by_clock:
                yield from _numbers(f"{path}: {key}", inner)
    elif isinstance(value, int | float):
        yield path, float(value)


def worse(kept: Mapping[str, Ratio], now: Mapping[str, Ratio], by: float = WORSE) -> dict[str, float]:
    """How many times the kept figure each one is that is more than ``by`` (a share) worse, the worst first."""
    slower = {}
    for name in kept.keys() & now.keys():
        before, after = kept[name], now[name]
        times = before.value / after.value if after.more_is_better else after.value / before.value
        if times > 1 + by:
            slower[name] = times
    return dict(sorted(slower.items(), key=lambda one: -one[1]))


def better(one: Mapping[str, Ratio], other: Mapping[str, Ratio]) -> dict[str, Ratio]:
    """The better of two measurements of each figure."""
    return {
        name: (max if ratio.more_is_better else min)(ratio, other.get(name, ratio), key=lambda each: each.value)
        for name, ratio in one.items()
    }


def read_ratios(names: Iterable[str], folder: Path) -> dict[str, Ratio]:
    """The ratios of what these benchmarks left in a folder; those that have not run are left out."""
    found: dict[str, Ratio] = {}
    for name in names:
        path = folder / f"{name}.json"
        if path.exists():
            found |= ratios(name, json.loads(path.read_text("utf-8")))
    return found


def keep(now: Mapping[str, Ratio], path: Path) -> None:
    """Make a run the measure of the next ones."""
    plain = {name: [ratio.value, ratio.more_is_better] for name, ratio in sorted(now.items())}
    path.write_text(json.dumps(plain, indent=1) + "\n", "utf-8")


def kept_ratios(path: Path) -> dict[str, Ratio]:
    """The run that was kept; nothing where there is none."""
    if not path.exists():
        return {}
    return {name: Ratio(*pair) for name, pair in json.loads(path.read_text("utf-8")).items()}


def measure_again(names: Iterable[str], archive: str | None) -> None:
    """Run benchmarks once more, in processes of their own."""
    for name in names:
        print(f"{name} was slower: once more", flush=True)
        command = [sys.executable, "-m", *WATCHED[name]]
        if archive and name in _QUICK:
            command += ["--archive", archive]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="make this run the measure of the next ones, slower or not")
    parser.add_argument("--archive", help="the footage that the benchmarks were run on")
    arguments = parser.parse_args()
    before, now = kept_ratios(KEPT), read_ratios(WATCHED, RESULTS)
    slower = worse(before, now)
    if slower and not arguments.keep:
        measure_again(sorted({name.partition(":")[0] for name in slower}), arguments.archive)
        now = better(now, read_ratios(WATCHED, RESULTS))
        slower = worse(before, now)
    for name, times in slower.items():
        print(f"{name}: {times - 1:.0%} worse than in the kept run")
    if not slower or arguments.keep:
        keep(now, KEPT)
        print(f"{len(now)} figures kept in {KEPT}, {len(before.keys() & now.keys())} of them compared.")
    else:
        sys.exit(
            f"{len(slower)} of {len(before)} figures are more than {WORSE:.0%} worse; --keep makes them the measure."
        )


if __name__ == "__main__":
    main()
