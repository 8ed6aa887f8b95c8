"""What every peer needs: clips, a frame a second of each, and what the model found as a row."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]


def clips_of(archive: str) -> list[str]:
    """The clips of an archive, in order."""
    return sorted(str(path) for path in Path(archive).rglob("*.mp4"))


def frames_of_clip(clip: str) -> Iterator[tuple[int, Rgb]]:
    """A frame a second with its number: (H, W, 3) uint8 RGB. Frames between are grabbed and not converted."""
    capture = cv2.VideoCapture(clip)
    step = max(1, round(capture.get(cv2.CAP_PROP_FPS) or 30.0))
    index = 0
    while capture.grab():
        if index % step == 0:
            there, frame = capture.retrieve()
            if not there:
                break
            yield index, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        index += 1
    capture.release()


def write_frames(archive: str, folder: Path) -> list[Path]:
    """The frames of all clips as JPEG files, for tools that know no video. Those that are there already stay."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for clip in clips_of(archive):
        for index, frame in frames_of_clip(clip):
            path = folder / f"{Path(clip).parent.name}-{Path(clip).stem}-{index:05d}.jpg"
            if not path.exists():
                cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            paths.append(path)
    return paths


def found_rows(clip: str, indices: Sequence[int], results: Sequence[Any]) -> list[dict[str, object]]:
    """A row a frame: its clip, its number and, as JSON, names, scores and boxes of what was found."""
    return [
        {
            "clip": clip,
            "frame": index,
            "found": json.dumps([(one.name, round(one.score, 4), one.bbox) for one in result.instances]),
        }
        for index, result in zip(indices, results, strict=True)
    ]
