"""Messages of ROS 1 by their fixed layouts: the definitions in a file are not looked at."""

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class _Fields:
    """Fields of a ROS 1 message one after the other: little endian, strings and arrays behind their length."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return values

    def array(self) -> bytes:
        [length] = self.numbers("I")
        part = self._data[self._at : self._at + length]
        if len(part) < length:
            raise ValueError("it ends too early")
        self._at += length
        return part

    def header(self) -> SimpleNamespace:
        _, seconds, nanoseconds = self.numbers("III")
        self.array()  # frame_id
        return SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nsec=nanoseconds))


def _ros1_compressed_image(data: bytes) -> SimpleNamespace:
    fields = _Fields(data)
    header = fields.header()
    encoded = fields.array().decode()
    return SimpleNamespace(header=header, format=encoded, data=fields.array())


def _ros1_image(data: bytes) -> SimpleNamespace:
    fields = _Fields(data)
    header = fields.header()
    height, width = fields.numbers("II")
    encoding = fields.array().decode()
    _, step = fields.numbers("BI")
    return SimpleNamespace(header=header, height=height, width=width, encoding=encoding, step=step, data=fields.array())


def _ros1_fix(data: bytes) -> SimpleNamespace:
    fields = _Fields(data)
    header = fields.header()
    status, _, latitude, longitude = fields.numbers("bHdd")
    return SimpleNamespace(header=header, status=SimpleNamespace(status=status), latitude=latitude, longitude=longitude)


ROS1: dict[str, Callable[[bytes], SimpleNamespace]] = {
    "sensor_msgs/CompressedImage": _ros1_compressed_image,
    "sensor_msgs/Image": _ros1_image,
    "sensor_msgs/NavSatFix": _ros1_fix,
}
"""What reads a message, by its type."""
