"""The dashcam: a pinhole above a flat road that may bend to one side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Camera:
    """x metres to the right of the lens, y above the road, z ahead along the road; u, v pixels."""

    width: int
    height: int
    focal: float  # pixels
    horizon: float  # row
    centre: float  # column
    height_m: float  # of the lens above the road
    bend: float = 0.0  # curvature of the road, 1/m, positive to the right

    def u(self, x: float, z: float) -> float:
        """Column of a point."""
        return self.centre + self.focal * (x + 0.5 * self.bend * z * z) / z

    def v(self, y: float, z: float) -> float:
        """Row of a point."""
        return self.horizon + self.focal * (self.height_m - y) / z

    def ground(self, top: int) -> tuple[Array, Array]:
        """x (rows, width) and z (rows,) of the road under the pixels of the rows from `top` down."""
        rows = np.arange(top, self.height, dtype=np.float32) + 0.5
        z = (self.focal * self.height_m / np.maximum(rows - self.horizon, 0.3)).astype(np.float32)
        columns = (np.arange(self.width, dtype=np.float32) + 0.5 - self.centre) / self.focal
        x = np.outer(z, columns) - (0.5 * self.bend * z * z)[:, None]
        return x.astype(np.float32), z
