"""Is anything slower than last time? ``python -m benchmarks.watch``, after ``make bench QUICK=1`` on the same machine.

Every file that a benchmark writes holds the seconds of a calibration loop, which was timed beside it. Seconds are
compared as multiples of that loop, and rates as work done during one, so that a machine that is slower today, or
another one, is no regression. What is more than 15 % worse than the last kept run is named, and the command ends with
1. A run with nothing worse is kept and is the next one's measure; ``--keep`` keeps it anyway.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS

WATCHED = ("startup", "forward", "overhead", "street", "parts", "growth")
KEPT = RESULTS / "kept.json"
WORSE = 0.15

_RATES = ("a second", "an hour", "times as fast", "share of the matrix product")
_COSTS = ("seconds", "ms a", "times the", "MiB", "mib", "against", "share of a frame")


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
        if value <= 0:
            continue
        if any(part in path for part in _RATES):
            timed = path.endswith(("a second", "an hour")) or "an hour," in path
            found[path] = Ratio(value * loop if timed else value, True)
        elif any(part in path for part in _COSTS):
            timed = ("seconds" in path or "ms a" in path) and "against" not in path
            found[path] = Ratio(value / loop if timed else value, False)
    return found


def _numbers(path: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{path}: {key}", inner)
    elif isinstance(value, int | float):
        yield path, float(value)


def worse(kept: Mapping[str, Ratio], now: Mapping[str, Ratio], by: float = WORSE) -> list[str]:
    """One line for each figure that is more than ``by`` (a share) worse than the kept one, the worst first."""
    slower = []
    for name in kept.keys() & now.keys():
        before, after = kept[name], now[name]
        times = before.value / after.value if after.more_is_better else after.value / before.value
        if times > 1 + by:
            slower.append((times, f"{name}: {times - 1:.0%} worse than in the kept run"))
    return [line for _, line in sorted(slower, reverse=True)]


def read_ratios(names: Sequence[str], folder: Path) -> dict[str, Ratio]:
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


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="make this run the measure of the next ones, slower or not")
    arguments = parser.parse_args()
    before, now = kept_ratios(KEPT), read_ratios(WATCHED, RESULTS)
    slower = worse(before, now)
    for line in slower:
        print(line)
    if not slower or arguments.keep:
        keep(now, KEPT)
        print(f"{len(now)} figures kept in {KEPT}, {len(before.keys() & now.keys())} of them compared.")
    if slower and not arguments.keep:
        sys.exit(
            f"{len(slower)} of {len(before)} figures are more than {WORSE:.0%} worse; --keep makes them the measure."
        )


if __name__ == "__main__":
    main()
