"""Hold what a demo found against what was planted in it: ``clipomaly demo --out demo``, then

    python benchmarks/demo_truth.py demo

An object counts as found when in some frame an instance holds at least 30 % of its visible pixels, and as named right
when of all names of such instances the one with the most score is its own or a synonym of it. Instances of which less
than a tenth was planted are false; those that follow each other in a clip at nearly the same place are one track.
Exits 1 when fewer than ``--found`` objects were found, fewer than ``--named`` named right, or more than ``--false``
false tracks were left.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from clipomaly.cli.demo_grade import grade_demo


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--found", type=int, default=10)
    parser.add_argument("--named", type=int, default=8)
    parser.add_argument("--false", type=int, default=3)
    arguments = parser.parse_args()
    grade = grade_demo(arguments.demo)
    for planted in grade.objects:
        verdict = "right" if planted.is_right else "wrong" if planted.instances else "not found"
        called = planted.called or "-"
        print(f"{planted.clip:28} {planted.name:20} {planted.instances:3} instances  {called:20} {verdict}")
    print(f"found {grade.found} of {len(grade.objects)}, named right {grade.named_right}, "
          f"false tracks {grade.false_tracks} ({grade.false_instances} instances)")  # fmt: skip
    missed = grade.found < arguments.found or grade.named_right < arguments.named
    sys.exit(missed or grade.false_tracks > arguments.false)


if __name__ == "__main__":
    main()
