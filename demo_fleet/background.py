"""A video in the place of the drawn road."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


class BackgroundVideo:
    """Frames of a clip by time, the last one again when it is over."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._reader = cv2.VideoCapture(str(path))
        self._size = size
        self._fps = self._reader.get(cv2.CAP_PROP_FPS) or 25.0
        self._count = int(self._reader.get(cv2.CAP_PROP_FRAME_COUNT))
        self._next = 0
        if self._count < 1:
            raise ValueError(f"{path} is not a video that can be read: name a clip with at least one frame.")
        self._last = self.at(0.0)

    def at(self, t: float) -> npt.NDArray[np.uint8]:
        """The frame (H, W, 3) uint8 shown at t seconds, cut to the aspect of the scene."""
        index = min(int(t * self._fps + 1e-6), self._count - 1)
        if index < self._next - 1:
            self._reader.set(cv2.CAP_PROP_POS_FRAMES, index)
            self._next = index
        while self._next <= index:
            ok, frame = self._reader.read()
            self._next += 1
            if ok and self._next > index:
                self._last = _fitted(np.asarray(frame, np.uint8)[..., ::-1], self._size)
        return self._last


def _fitted(frame: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    h, w = size
    rows, columns = frame.shape[:2]
    scale = max(h / rows, w / columns)
    cut_h, cut_w = min(round(h / scale), rows), min(round(w / scale), columns)
    y, x = (rows - cut_h) // 2, (columns - cut_w) // 2
    part = np.ascontiguousarray(frame[y : y + cut_h, x : x + cut_w])
    return np.asarray(cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
