"""Make items of the review queue from the chosen candidates, with crops from the archive."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from schemas.geometry import window
from schemas.images import encode_jpeg, shrink_to_width
from schemas.review import UNKNOWN_NAME, Box, NameScore, ReviewItem, TrackFrame, Unclear
from tasks.errors import UserError
from tasks.footage.frames import Rgb, read_frame
from tasks.mining.candidates import Candidates, read_shown
from tasks.mining.mine import Chosen
from tasks.tables import Tables

_WIDEST = 768  # pixels of a crop
_MOST_TRACK_FRAMES = 500
_LONGEST_NAME = 100
_AT_A_TIME = 200  # items whose masks are read together


@dataclass(slots=True)
class Lost:
    """Chosen items whose footage can no longer be read: how many, and the reason of the first."""

    count: int = 0
    reason: str = ""
    item_ids: set[str] = field(default_factory=set)

    def add(self, item_id: str, reason: str) -> None:
        """Count one."""
        self.count += 1
        self.reason = self.reason or reason
        self.item_ids.add(item_id)


def make_items(tables: Tables, candidates: Candidates, chosen: Sequence[Chosen], lost: Lost) -> Iterator[ReviewItem]:
    """The items in this order, one crop in memory at a time.

    Items whose footage can no longer be read are left out and counted in ``lost``, with the items that refer to them.
    """
    percentiles = _percentiles(candidates.score)
    margins = {scan.scan_id: scan.options.get("margin") for scan in candidates.scans}
    for start in range(0, len(chosen), _AT_A_TIME):
        part = chosen[start : start + _AT_A_TIME]
        ids = candidates.rows["instance_id"].take(candidates.best[[chosen.candidate for chosen in part]]).to_pylist()
        shown = read_shown(tables, ids)
        for one, instance_id in zip(part, ids, strict=True):
            row = candidates.row(one.candidate)
            if one.duplicate_of in lost.item_ids:
                lost.add(one.item_id, lost.reason)
                continue
            try:
                frame = read_frame(row.source_uri, row.frame_index)
            except UserError as error:
                lost.add(one.item_id, str(error))
                continue
            if frame.shape[:2] != (row.frame_height, row.frame_width):
                lost.add(one.item_id, f"{row.source_uri} holds another picture now.")
                continue
            crop_box, crop = _crop(frame, row.box)
            rest = shown[instance_id]
            yield ReviewItem(
                item_id=one.item_id,
                scan_id=row.scan_id,
                source_uri=row.source_uri,
                drive=rest.drive,
                frame_index=row.frame_index,
                timestamp=row.timestamp,
                frame_height=row.frame_height,
                frame_width=row.frame_width,
                box=row.box,
                mask_rle=rest.mask_rle,
                crop_jpeg=crop,
                crop_box=crop_box,
                name=_one_line(row.name),
                names=tuple(NameScore(_one_line(name), min(max(score, 0.0), 1.0)) for name, score in rest.names),
                score=min(max(float(candidates.score[one.candidate]), 0.0), 1.0),
                rank=one.rank,
                track_id=candidates.track_ids[one.candidate],
                track=_thinned(candidates.track(one.candidate), row.frame_index),
                latitude=row.latitude,
                longitude=row.longitude,
                embedding=candidates.vectors[one.candidate].astype("<f2").tobytes(),
                cluster=one.cluster,
                drawn_at_random=one.drawn_at_random,
                duplicate_of=one.duplicate_of,
                supersedes=one.supersedes,
                unclear=_why_unclear(row.name, rest.names, margins.get(row.scan_id)),
                anomaly_percentile=float(percentiles[one.candidate]),
                anomaly_of=len(candidates),
                timestamp_source=rest.timestamp_source,
            )


def _crop(frame: Rgb, box: Box) -> tuple[Box, bytes]:
    """The object in its surroundings: where, and as JPEG of at most 768 pixels across."""
    left, top, right, bottom = window((box.x, box.y, box.width, box.height), frame.shape[0], frame.shape[1])
    part = frame[top:bottom, left:right]
    return Box(left, top, right - left, bottom - top), encode_jpeg(shrink_to_width(part, _WIDEST))


def _percentiles(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each object of the fleet, the share of objects whose anomaly score is not higher: (N,) float64 in (0, 1]."""
    return np.searchsorted(np.sort(scores), scores, side="right") / max(len(scores), 1)


def _why_unclear(name: str, names: Sequence[tuple[str, float]], margin: object) -> Unclear | None:
    """Which naming rule left an object without a name; None if it has one, or if the scan does not say."""
    if name != UNKNOWN_NAME or not names or not isinstance(margin, int | float):
        return None
    close = len(names) > 1 and names[0][1] - names[1][1] < margin
    return Unclear.MARGIN if close else Unclear.DISTANCE


def _thinned(track: tuple[TrackFrame, ...], shown: int) -> tuple[TrackFrame, ...]:
    """At most 500 frames of a track, evenly, the shown one among them."""
    if len(track) <= _MOST_TRACK_FRAMES:
        return track
    kept = set(np.linspace(0, len(track) - 1, _MOST_TRACK_FRAMES - 1).round().astype(int).tolist())
    return tuple(frame for place, frame in enumerate(track) if place in kept or frame.frame_index == shown)


def _one_line(name: str) -> str:
    return " ".join(name.split())[:_LONGEST_NAME].rstrip() or "unnamed"
