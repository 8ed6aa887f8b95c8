"""``python -m benchmarks``: measure, print one table, leave JSON and plots in ``build/benchmarks``.

``make bench`` runs them all. On a machine that does other work, too, add ``--cpu-seconds``: one thread, and the CPU
seconds of the work in place of those on the clock.
"""

import argparse
import logging
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch

from benchmarks import forward, growth, overhead, parts, startup, street
from benchmarks.results import RESULTS, Clock, Figures, print_table, write_results


def catalogue(archive: Path | None, clock: Clock, quick: bool) -> dict[str, Callable[[], Figures]]:
    """Every benchmark that this command runs, in order."""
    if quick:
        return {
            "startup": lambda: startup.measure(2, clock),
            "forward": lambda: forward.measure(archive, 3, clock, size=(224, 448), batch=1),
            "overhead": lambda: overhead.measure(archive, 2, clock, model="nano"),
            "street": lambda: street.measure(2, clock, finds=3.4, model="nano"),
            "parts": lambda: parts.measure(archive, 3, frames=12, groups=(1,), phases=(15,)),
            "growth": lambda: _quick_growth(clock),
        }
    return {
        "startup": lambda: startup.measure(clock=clock),
        "forward": lambda: forward.measure(archive, clock=clock),
        "overhead": lambda: overhead.measure(archive, clock=clock),
        "street": lambda: street.measure(2, clock),
        "fleet": lambda: street.measure(clock=clock, drives=3, objects=4, finds=None, every_crop=False),
        "parts": lambda: parts.measure(archive),
        "growth": lambda: growth.measure(clock=clock),
    }


def _quick_growth(clock: Clock) -> Figures:
    return growth.measure(
        3,
        clock,
        clips=(1, 50),
        names=(100, 10_000),
        regions=(0, 50),
        rows=(10_000, 100_000),
        workers=(),
        model="nano",
    )


GOALS = {
    "startup": startup.GOALS,
    "forward": forward.GOALS,
    "overhead": overhead.GOALS,
    "street": street.GOALS,
    "fleet": street.GOALS,
    "growth": growth.GOALS,
}


def run(benchmarks: dict[str, Callable[[], Figures]]) -> dict[str, Figures]:
    """Measure one after the other, and write what each gave as soon as it is there."""
    measured = {}
    for name, measure in benchmarks.items():
        started = time.perf_counter()
        measured[name] = measure()
        path = write_results(name, measured[name])
        print(f"{name}: {time.perf_counter() - started:.0f} s, {path}", flush=True)
    return measured


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmarks", nargs="*", help="some of them; all when left out")
    parser.add_argument("--archive", type=Path, help="a folder of footage with .mp4 clips; drawn scenes when left out")
    parser.add_argument("--cpu-seconds", action="store_true", help="for machines that do other work, too")
    parser.add_argument(
        "--quick", action="store_true", help="a few minutes for benchmarks.watch: little work, CPU seconds, no goals"
    )
    arguments = parser.parse_args()
    if arguments.cpu_seconds or arguments.quick:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        clock: Clock = time.process_time
    else:
        clock = time.perf_counter
    every = catalogue(arguments.archive, clock, arguments.quick)
    if unknown := [name for name in arguments.benchmarks if name not in every]:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(every)}")
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns of random weights
    chosen = {name: every[name] for name in every if name in arguments.benchmarks or not arguments.benchmarks}
    measured = run(chosen)
    if arguments.quick:
        print_table(measured, {})
        return
    print_table(measured, GOALS)
    if "growth" in measured:
        growth.draw(measured["growth"], RESULTS / "growth.png")


if __name__ == "__main__":
    main()
