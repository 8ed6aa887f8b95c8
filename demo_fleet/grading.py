"""Compare what a scan found in a drawn archive with what was planted in it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from demo_fleet.catalogue import KINDS

_COVERED = 0.3  # share of an object's visible pixels that an instance must cover to find it
_PLANTED = 0.1  # share of an instance's pixels that must be planted, else the instance is false
_NEAR = 1.5  # sides of the larger box between two instances of one false track
_LEAST_SCORE = 1e-3  # so that an instance without a sure name still counts as a sighting

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """An instance of a scan: its clip (path below the archive) and frame, its name with probability (None for an
    unknown object), its box (x, y, width, height in pixels) and its mask, (H, W) bool."""

    clip: str
    frame_index: int
    name: str | None
    name_score: float
    box: Box
    mask: npt.NDArray[np.bool_]


@dataclass(slots=True)
class GradedObject:
    """A planted object, how many instances lie on it, and the sum of the scores of each name that they have."""

    clip: str
    name: str
    instances: int = 0
    names: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def called(self) -> str | None:
        """The name with the highest sum of scores; None where no instance has a name."""
        return max(self.names, key=lambda name: self.names[name], default=None)

    @property
    def is_right(self) -> bool:
        """Whether it is called by its name or a synonym."""
        kind = next(kind for kind in KINDS if kind.name == self.name)
        return self.called is not None and self.called.lower() in {word.lower() for word in (kind.name, *kind.synonyms)}


@dataclass(frozen=True, slots=True)
class Grade:
    """All planted objects, and the false instances: their number, and the number of tracks that they form."""

    objects: tuple[GradedObject, ...]
    false_tracks: int
    false_instances: int

    @property
    def found(self) -> int:
        """How many objects have an instance that covers at least 30 % of their visible pixels."""
        return sum(planted.instances > 0 for planted in self.objects)

    @property
    def named_right(self) -> int:
        """How many objects are called by their name or a synonym."""
        return sum(planted.is_right for planted in self.objects)


def grade(truth: Path, instances: Iterable[Found]) -> Grade:
    """Grade a scan of an archive that ``write_archive`` made.

    Args:
        truth: the folder of the truth, ``<archive>.truth`` by default.
        instances: everything that the scan found.

    An instance of which less than a tenth was planted is false. False instances that follow each other at nearly the
    same place of a clip count as one false track.
    Raises OSError when the truth cannot be read.
    """
    objects: dict[int, GradedObject] = {}
    for row in pq.read_table(truth / "objects.parquet", columns=["track_id", "clip", "name"]).to_pylist():
        objects.setdefault(row["track_id"], GradedObject(row["clip"], row["name"]))
    false: dict[str, list[tuple[int, Box]]] = defaultdict(list)
    for found in instances:
        planted = _planted(truth, found)
        if (planted[found.mask] > 0).mean() < _PLANTED:
            false[found.clip].append((found.frame_index, found.box))
        for track in np.unique(planted[found.mask]):
            if track and found.mask[planted == track].mean() >= _COVERED:
                graded = objects[int(track)]
                graded.instances += 1
                if found.name is not None:
                    graded.names[found.name] += max(found.name_score, _LEAST_SCORE)
    return Grade(tuple(objects.values()), sum(map(_count_tracks, false.values())), sum(map(len, false.values())))


def _planted(truth: Path, found: Found) -> npt.NDArray[np.uint16]:
    """(H, W) uint16 track ids of what was planted in a frame, 0 elsewhere."""
    picture = truth / found.clip.removesuffix(".mp4") / f"{found.frame_index:06d}_instances.png"
    planted = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    if planted is None:
        raise FileNotFoundError(f"{picture} is missing")
    return np.asarray(planted, np.uint16)


def _count_tracks(sightings: Sequence[tuple[int, Box]]) -> int:
    """How many tracks these are: a sighting belongs to a track that was near it one frame before."""
    frames = sorted({frame for frame, _ in sightings})
    step = min(np.diff(frames), default=1)
    latest: list[tuple[int, Box]] = []
    count = 0
    for frame, box in sorted(sightings):
        before = [track for track in latest if 0 < frame - track[0] <= step and _is_near(track[1], box)]
        if before:
            latest.remove(before[0])
        else:
            count += 1
        latest.append((frame, box))
    return count


def _is_near(box: Box, other: Box) -> bool:
    centres = np.array([[x + width / 2, y + height / 2] for x, y, width, height in (box, other)])
    return bool(np.linalg.norm(centres[0] - centres[1]) <= _NEAR * max(*box[2:], *other[2:]))
