"""Link the instances of one object in neighbouring frames into tracks.

Seen from a moving car, a standing object moves away from the vanishing point and grows, faster when it is near: at one
frame a second it jumps across half the picture. So an object is expected not where it was, but along the ray from the
vanishing point through it, and larger by as much as it moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LONGEST_GAP = 2.1  # after so many seconds without an instance, an object counts as another one
_MOST_FRAMES = 30  # frames with finds that a track waits: images may all have the same time
_VANISHING_POINT = (0.5, 0.5)  # as a share of width and height: the usual vanishing point of dashcams
_GROWTH = np.geomspace(0.8, 5.0, 20)  # from one instance to the next
_USUAL_GROWTH = 2.2  # a second; beyond it, growth costs its logarithm
_WANDERING = 0.03  # as a share of the width in a second: cameras shake, animals walk
_MEMORY = 0.3  # share of the past in a track's embedding: one instance may be half hidden, or show another side
_UNALIKE = 0.6  # 1 - cosine beyond which two instances never show one object, however well the places fit
_NO_LINK = 1e3

# What a link costs: each term is about 1 where a link becomes doubtful.
_DISTANCE = 1.0  # from where the object should be, in lengths of the object
_SIZE = 0.25  # logarithm of the size over what it should be
_LOOK = 1 / 0.45  # 1 - cosine of the embeddings
_NAME = 0.05  # another name
_SHRINKING = 3.0  # logarithm of the growth below 1: what is smaller and farther ahead is mostly the next object
_WAITING = 0.7  # a second more than the track seen last
_MOST = 2.2


@dataclass(frozen=True, slots=True)
class Sighting:
    """One instance, with what linking needs.

    ``frame_index`` and ``timestamp`` are its frame's. ``box`` is (x, y, width, height) in pixels of a frame of
    ``frame_size`` (height, width). ``embedding`` is (D,), not all zeros.
    """

    frame_index: int
    timestamp: datetime
    box: tuple[int, int, int, int]
    frame_size: tuple[int, int]
    name: str
    embedding: npt.NDArray[np.floating]


@dataclass(slots=True)
class _Track:
    """An object as it was last seen; ``first`` is the index of its first sighting, ``missed`` counts frames since."""

    first: int
    last: Sighting
    look: Floats
    missed: int = 0


def link(sightings: Sequence[Sighting]) -> list[int]:
    """For each sighting of one source, in order of frames, the index of the first sighting of its object.

    Frame by frame, the tracks seen in the last 2.1 seconds and the sightings are paired so that the sum of their costs
    is least (Hungarian assignment). A sighting without a track begins a new one. The same sightings give the same
    tracks.
    """
    firsts = list(range(len(sightings)))
    tracks: list[_Track] = []
    for _, frame in groupby(range(len(sightings)), key=lambda index: sightings[index].frame_index):
        indices = list(frame)
        seen = [sightings[index] for index in indices]
        tracks = [track for track in tracks if _may_go_on(track, seen[0].timestamp)]
        for track in tracks:
            track.missed += 1
        paired = _pair(tracks, seen)
        for index, sighting in zip(indices, seen, strict=True):
            look = _unit(sighting.embedding)
            if index - indices[0] in paired:
                track = paired[index - indices[0]]
                firsts[index] = track.first
                track.last, track.look, track.missed = sighting, _unit(_MEMORY * track.look + (1 - _MEMORY) * look), 0
            else:
                tracks.append(_Track(index, sighting, look))
    return firsts


def _may_go_on(track: _Track, now: datetime) -> bool:
    return track.missed < _MOST_FRAMES and (now - track.last.timestamp).total_seconds() <= _LONGEST_GAP


def _pair(tracks: Sequence[_Track], seen: Sequence[Sighting]) -> dict[int, _Track]:
    """The track of each sighting that has one, by the index of the sighting in ``seen``."""
    if not tracks:
        return {}
    costs = _costs(tracks, seen)
    from scipy.optimize import linear_sum_assignment  # slow to import, and most shards of a night have nothing to link

    rows, columns = linear_sum_assignment(np.where(costs <= _MOST, costs, _NO_LINK))
    return {int(c): tracks[r] for r, c in zip(rows, columns, strict=True) if costs[r, c] <= _MOST}


def _costs(tracks: Sequence[_Track], seen: Sequence[Sighting]) -> Floats:
    """(tracks, sightings): the cost of each sighting as the next of each track."""
    before, before_size = _place([track.last for track in tracks])
    now, now_size = _place(seen)
    waited = np.array([(seen[0].timestamp - track.last.timestamp).total_seconds() for track in tracks])
    seconds = np.maximum(waited, 0.05)[:, None]  # images may all have one time
    growth = _GROWTH[:, None, None]

    expected_size = growth * before_size[:, None]
    length = np.sqrt(expected_size * now_size) + _WANDERING * np.minimum(seconds, 1.0)
    expected = growth[..., None] * before[:, None]
    distance = np.linalg.norm(expected - now, axis=-1) / length
    size = np.abs(np.log(now_size / expected_size))
    log = np.log(growth)
    unusual = np.maximum(log - seconds * np.log(_USUAL_GROWTH), 0) + _SHRINKING * np.maximum(-log, 0)
    place = (_DISTANCE * distance + _SIZE * size + unusual).min(axis=0)

    looks = np.stack([track.look for track in tracks]) @ np.stack([_unit(s.embedding) for s in seen]).T
    renamed = np.array([[track.last.name != sighting.name for sighting in seen] for track in tracks])
    waiting = (seconds - seconds.min()).clip(0)
    total = place + _LOOK * (1 - looks) + _NAME * renamed + _WAITING * waiting
    return np.where(1 - looks > _UNALIKE, _NO_LINK, total)


def _place(sightings: Sequence[Sighting]) -> tuple[Floats, Floats]:
    """Centres (N, 2) seen from the vanishing point, and sizes (N,), in widths of the frame."""
    boxes = np.array([sighting.box for sighting in sightings], np.float64)
    frames = np.array([sighting.frame_size[::-1] for sighting in sightings], np.float64)
    centres = boxes[:, :2] + boxes[:, 2:] / 2 - frames * _VANISHING_POINT
    return centres / frames[:, :1], np.sqrt(boxes[:, 2] * boxes[:, 3]) / frames[:, 0]


def _unit(vector: npt.NDArray[np.floating]) -> Floats:
    wide = vector.astype(np.float64)
    unit: Floats = wide / max(float(np.linalg.norm(wide)), 1e-12)
    return unit
