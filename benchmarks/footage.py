"""Footage for benchmarks: what is named, else drawn scenes."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
from torch import Tensor

from demo_fleet import sample_scene, write_archive


def frames_of(archive: Path | None, count: int) -> list[Tensor]:
    """``count`` (720, 1280, 3) uint8 RGB frames, of the first clip of an archive that has so many.

    Raises:
        SystemExit: there is no such clip.
    """
    if archive is None:
        drawn = (sample_scene(seed, (360, 640)).image for seed in range(count))
        return [torch.from_numpy(cv2.resize(image, (1280, 720))) for image in drawn]
    for clip in sorted(archive.rglob("*.mp4")):
        frames = _first_frames(clip, count)
        if len(frames) == count:
            return frames
    raise SystemExit(f"No clip (*.mp4) below {archive} has {count} frames that can be read.")


def _first_frames(clip: Path, count: int) -> list[Tensor]:
    capture = cv2.VideoCapture(str(clip))
    frames: list[Tensor] = []
    while len(frames) < count:
        there, frame = capture.read()
        if not there:
            break
        frames.append(torch.from_numpy(cv2.cvtColor(cv2.resize(frame, (1280, 720)), cv2.COLOR_BGR2RGB)))
    capture.release()
    return frames


@contextmanager
def footage(archive: Path | None) -> Iterator[Path]:
    """The archive, or one of a drawn clip that is gone afterwards."""
    if archive is not None:
        yield archive
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "archive"
        write_archive(root, drives=1, clips=1, objects=2)
        yield root
