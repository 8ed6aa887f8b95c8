"""A small dashcam archive on disk, and beside it the truth about what was planted in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from demo_fleet.catalogue import KINDS, kinds_named
from demo_fleet.scene import Scene
from demo_fleet.scene_records import Planted

_FIRST_DAY = datetime(2024, 5, 6, 9, 30, tzinfo=UTC)
_OBJECTS = pa.schema(
    [
        ("clip", pa.string()),
        ("frame_index", pa.int32()),
        ("track_id", pa.int32()),
        ("name", pa.string()),
        ("bbox_x", pa.int32()),
        ("bbox_y", pa.int32()),
        ("bbox_width", pa.int32()),
        ("bbox_height", pa.int32()),
        ("area", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class PlantedTrack:
    """A planted object: its clip (path below the archive root), and the seconds between which it is seen."""

    clip: str
    track_id: int
    name: str
    first_t: float
    last_t: float


def write_archive(
    root: str | Path,
    *,
    drives: int = 3,
    clips: int = 3,
    seconds: float = 8.0,
    fps: int = 10,
    size: tuple[int, int] = (360, 640),
    seed: int = 0,
    objects: int = 12,
    nights: int = 1,
    kinds: Sequence[str] | None = None,
    background: Path | None = None,
    truth: Path | None = None,
) -> list[PlantedTrack]:
    """Write `<root>/<drive>/<YYYYmmdd_HHMMSS>.mp4` (UTC) and the truth; the same arguments give the same bytes.

    The last `nights` drives are at night. Each of the `objects` appears in one clip only. Truth goes to `truth`, by
    default `<root>.truth`: `objects.parquet` (a row an object and frame: clip, frame_index, track_id, name, bbox_x,
    bbox_y, bbox_width, bbox_height, area), and below `<clip without .mp4>/` for each frame `<index>_labels.png`
    (uint8) and `<index>_instances.png` (uint16), as `Rendered` defines them.
    Raises ValueError for options that make no archive, OSError when it cannot be written.
    """
    if drives < 1 or clips < 1 or seconds * fps < 1 or objects < 0 or (objects and kinds is not None and not kinds):
        raise ValueError(
            "an archive needs at least one drive, one clip, one frame, and one kind when objects are planted."
        )
    root = Path(root)
    truth = Path(truth) if truth is not None else root.with_name(root.name + ".truth")
    rng = np.random.default_rng((seed, 101))
    names = _names(rng, kinds, objects)
    truth.mkdir(parents=True, exist_ok=True)
    shares = [names[i :: drives * clips] for i in range(drives * clips)]
    order = rng.permutation(drives * clips)
    columns: dict[str, list[object]] = {name: [] for name in _OBJECTS.names}
    tracks: list[PlantedTrack] = []
    next_id = 0
    for drive in range(drives):
        night = drive >= drives - nights
        start = _FIRST_DAY + timedelta(days=drive, hours=13 if night else drive, minutes=7 * drive)
        folder = f"drive-{drive + 1:02d}"
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(clips):
            share = shares[order[drive * clips + number]]
            at = start + timedelta(seconds=number * round(seconds + 60))
            clip = f"{folder}/{at:%Y%m%d_%H%M%S}.mp4"
            scene = Scene(seed * 10_007 + drive * 101 + number, size, None, share, night, background, seconds)
            pictures = truth / clip.removesuffix(".mp4")
            shown = _write_clip(root / clip, pictures, scene, round(seconds * fps), fps, next_id)
            spans: dict[int, list[int]] = {}
            for index, visible in enumerate(shown):
                for planted in visible:
                    spans.setdefault(planted.track_id, []).append(index)
                    values = (clip, index, next_id + planted.track_id, planted.name, *planted.bbox, planted.area)
                    for column, value in zip(columns.values(), values, strict=True):
                        column.append(value)
            tracks += [
                PlantedTrack(clip, next_id + track, scene.planted[track], frames[0] / fps, frames[-1] / fps)
                for track, frames in sorted(spans.items())
            ]
            next_id += len(share)
    pq.write_table(pa.table(columns, schema=_OBJECTS), truth / "objects.parquet", compression="zstd")
    return tracks


def _names(rng: np.random.Generator, kinds: Sequence[str] | None, objects: int) -> list[str]:
    """Kinds to plant: all different while there are enough, and by default none too small to be noticed."""
    usual = [kind for kind in KINDS if kind.size_m >= 0.3 and kind.motion != "fly"]
    pool = [kind.name for kind in (usual if kinds is None else kinds_named(list(kinds)))]
    names: list[str] = []
    while len(names) < objects:
        names += [pool[i] for i in rng.permutation(len(pool))]
    return names[:objects]


def _write_clip(
    path: Path, truth: Path, scene: Scene, frames: int, fps: int, first_id: int
) -> list[tuple[Planted, ...]]:
    """Render and write a clip and its truth pictures; the planted objects of every frame."""
    truth.mkdir(parents=True, exist_ok=True)
    h, w = scene.size
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (w, h))
    if not writer.isOpened():
        raise OSError(f"{path} cannot be written: check that the folder exists and may be written to.")
    shown = []
    for index in range(frames):
        rendered = scene.frame(index / fps)
        writer.write(np.ascontiguousarray(rendered.image[..., ::-1]))
        instances = rendered.instances + np.uint16(first_id) * (rendered.instances > 0)
        _write_png(truth / f"{index:06d}_labels.png", rendered.labels)
        _write_png(truth / f"{index:06d}_instances.png", instances.astype(np.uint16))
        shown.append(rendered.objects)
    writer.release()
    return shown


def _write_png(path: Path, image: npt.NDArray[Any]) -> None:
    # Label maps are flat: without a filter they are written four times as fast.
    flags = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
             cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]  # fmt: skip
    if not cv2.imwrite(str(path), image, flags):
        raise OSError(f"{path} cannot be written: check that the folder exists and may be written to.")
