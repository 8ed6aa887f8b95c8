"""Boxes of a frame."""

from dataclasses import dataclass

ASPECT = 16 / 9


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a frame in whole pixels, from its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Its pixels."""
        return self.width * self.height

    def is_inside(self, height: int, width: int) -> bool:
        """Whether it holds a pixel and lies within a frame of this size."""
        return self.x >= 0 and self.y >= 0 and 0 < self.width <= width - self.x and 0 < self.height <= height - self.y

    def centred_on(self, other: "Box", height: int, width: int) -> "Box":
        """A box of this size around the centre of ``other``, moved so that it lies within a frame of this size."""
        wide, high = min(self.width, width), min(self.height, height)
        x = min(max(0, other.x + other.width // 2 - wide // 2), width - wide)
        y = min(max(0, other.y + other.height // 2 - high // 2), height - high)
        return Box(x, y, wide, high)


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.area + other.area - shared)


def window(bbox: tuple[int, int, int, int], rows: int, columns: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what to show of a frame of ``rows`` by ``columns`` pixels around a box.

    Three times the box (x, y, width, height), at least a third of the frame, 16:9, moved inside the frame.
    """
    x, y, width, height = bbox
    wide = max(3 * width, 3 * height * ASPECT, columns / 3)
    wide = min(wide, columns, rows * ASPECT)
    tall = wide / ASPECT
    left = min(max(x + width / 2 - wide / 2, 0), columns - wide)
    top = min(max(y + height / 2 - tall / 2, 0), rows - tall)
    return round(left), round(top), round(left + wide), round(top + tall)
