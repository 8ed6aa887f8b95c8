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
            "startup": lambda: startup.measure(1, clock),
            "forward": lambda: forward.measure(archive, 2, clock, batch=1),
            "overhead": lambda: overhead.measure(archive, 1, clock, fps=0.5),
            "street": lambda: street.measure(1, clock),
            "parts": lambda: parts.measure(archive, 1),
            "growth": lambda: _quick_growth(clock),
        }
    return {
        "startup": lambda: startup.measure(clock=clock),
        "forward": lambda: forward.measure(archive, clock=clock),
        "overhead": lambda: overhead.measure(archive, clock=clock),
        "street": lambda: street.measure(clock=clock),
        "parts": lambda: parts.measure(archive),
        "growth": lambda: growth.measure(clock=clock),
    }


def _quick_growth(clock: Clock) -> Figures:
    return growth.measure(
        2,
        clock,
        clips=(1, 10, 100),
        names=(10, 100, 1_000),
        regions=(0, 1, 10, 50),
        rows=(10_000, 100_000),
        workers=(1, 2),
    )


GOALS = {
    "startup": startup.GOALS,
    "forward": forward.GOALS,
    "overhead": overhead.GOALS,
    "street": street.GOALS,
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
        if name == "growth":
            growth.draw(measured[name], RESULTS / "growth.png")
    return measured


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmarks", nargs="*", help="some of them; all when left out")
    parser.add_argument("--archive", type=Path, help="a folder of footage with .mp4 clips; drawn scenes when left out")
    parser.add_argument("--cpu-seconds", action="store_true", help="for machines that do other work, too")
    parser.add_argument("--quick", action="store_true", help="fewer frames, clips and repeats: a tenth of the work")
    arguments = parser.parse_args()
    if arguments.cpu_seconds:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
    clock = time.process_time if arguments.cpu_seconds else time.perf_counter
    every = catalogue(arguments.archive, clock, arguments.quick)
    if unknown := [name for name in arguments.benchmarks if name not in every]:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(every)}")
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns of random weights
    chosen = {name: every[name] for name in every if name in arguments.benchmarks or not arguments.benchmarks}
    print_table(run(chosen), GOALS)


if __name__ == "__main__":
    main()
