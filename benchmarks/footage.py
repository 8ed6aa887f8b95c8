"""Frames for benchmarks: of a clip that is named, else a drawn scene."""

from pathlib import Path

import cv2
import torch
from torch import Tensor

from demo_fleet import sample_scene


def frames_of(clip: Path | None, count: int) -> list[Tensor]:
    """``count`` (720, 1280, 3) uint8 RGB frames."""
    if clip is None:
        drawn = (sample_scene(seed, (360, 640)).image for seed in range(count))
        return [torch.from_numpy(cv2.resize(image, (1280, 720))) for image in drawn]
    capture = cv2.VideoCapture(str(clip))
    frames: list[Tensor] = []
    while len(frames) < count:
        there, frame = capture.read()
        if not there:
            raise SystemExit(f"{clip} has fewer than {count} frames that can be read.")
        frames.append(torch.from_numpy(cv2.cvtColor(cv2.resize(frame, (1280, 720)), cv2.COLOR_BGR2RGB)))
    return frames
