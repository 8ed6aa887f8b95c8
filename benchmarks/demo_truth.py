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
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import pyarrow.parquet as pq

from clipomaly_core.types import UNKNOWN_NAME
from demo_fleet import KINDS
from tasks.masks import decode_mask
from tasks.tables import open_table

HELD, STRAY = 0.3, 0.1
NEAR = 1.5  # sides of the greater box between two sightings of one false track


@dataclass(slots=True)
class Object:
    """A planted object, and what instances on it were called."""

    name: str
    clip: str
    names: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    frames: int = 0

    @property
    def called(self) -> str:
        """What the scan calls it; a name goes before "unknown object"."""
        named = {name: score for name, score in self.names.items() if name != UNKNOWN_NAME} or self.names
        return max(named, key=lambda name: named[name]) if named else "-"

    @property
    def right(self) -> bool:
        """Whether that is its name or a synonym."""
        kind = next(kind for kind in KINDS if kind.name == self.name)
        return self.called.lower() in {kind.name.lower(), *(word.lower() for word in kind.synonyms)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """All objects, and the number of false tracks and instances."""

    objects: tuple[Object, ...]
    false_tracks: int
    false_instances: int


def compare(demo: Path) -> Outcome:
    """What the scan in ``demo/tables`` says of the archive in ``demo/archive``."""
    truth = demo / "archive.truth"
    objects: dict[int, Object] = {}
    for row in pq.read_table(truth / "objects.parquet").to_pylist():
        objects.setdefault(row["track_id"], Object(row["name"], row["clip"]))
    false: dict[str, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for row in open_table(str(demo / "tables"), "instances").to_table().to_pylist():
        clip = row["source_uri"].split("/archive/")[-1]
        picture = truth / clip.removesuffix(".mp4") / f"{row['frame_index']:06d}_instances.png"
        planted = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
        mask = decode_mask(row["mask_rle"], row["frame_height"], row["frame_width"])
        box = tuple(row[f"bbox_{side}"] for side in ("x", "y", "width", "height"))
        if (planted[mask] > 0).mean() < STRAY:
            false[clip].append((row["frame_index"], box))
        for track in np.unique(planted[mask]):
            if track and mask[planted == track].mean() >= HELD:
                objects[int(track)].names[row["name"]] += max(row["name_score"], 1e-3)
                objects[int(track)].frames += 1
    tracks = sum(_tracks(sightings) for sightings in false.values())
    return Outcome(tuple(objects.values()), tracks, sum(map(len, false.values())))


def _tracks(sightings: list[tuple[int, tuple[int, ...]]]) -> int:
    """How many things these are: each belongs to the last one that was near it a frame before."""
    open_tracks: list[tuple[int, tuple[int, ...]]] = []
    count = 0
    frames = sorted({frame for frame, _ in sightings})
    step = min(np.diff(frames), default=1)
    for frame, box in sorted(sightings):
        before = [track for track in open_tracks if 0 < frame - track[0] <= step and _near(track[1], box)]
        if before:
            open_tracks.remove(before[0])
        else:
            count += 1
        open_tracks.append((frame, box))
    return count


def _near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    centres = np.array([[x + w / 2, y + h / 2] for x, y, w, h in (one, other)])
    return bool(np.linalg.norm(centres[0] - centres[1]) <= NEAR * max(*one[2:], *other[2:]))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--found", type=int, default=10)
    parser.add_argument("--named", type=int, default=8)
    parser.add_argument("--false", type=int, default=3)
    arguments = parser.parse_args()
    outcome = compare(arguments.demo)
    for item in outcome.objects:
        verdict = "right" if item.right else "wrong" if item.frames else "not found"
        print(f"{item.clip:28} {item.name:20} {item.frames:3} instances  {item.called:20} {verdict}")
    found, named = sum(o.frames > 0 for o in outcome.objects), sum(o.right for o in outcome.objects)
    print(f"found {found} of {len(outcome.objects)}, named right {named}, false tracks {outcome.false_tracks} "
          f"({outcome.false_instances} instances)")  # fmt: skip
    sys.exit(found < arguments.found or named < arguments.named or outcome.false_tracks > arguments.false)


if __name__ == "__main__":
    main()
