"""Recordings as ROS 1, ROS 2 and Foxglove write them, made by the libraries' own writers from drawn frames."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.LocationFix_pb2 import LocationFix
from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
from mcap.writer import CompressionType
from mcap.writer import Writer as JsonWriter
from mcap_protobuf.writer import Writer as ProtobufWriter
from mcap_ros1._vendor.genpy import Time
from mcap_ros1._vendor.genpy.dynamic import generate_dynamic
from mcap_ros1.writer import Writer as Ros1Writer
from mcap_ros2.writer import Writer as Ros2Writer

from tasks.footage.images import Rgb
from tests.tasks.samples import draw

SECOND = 1_000_000_000
START = 1_795_400_000 * SECOND  # 2026-11-23 02:13:20 UTC
_RULE = "=" * 80
_TIME = "\n" + _RULE + "\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
ROS2_HEADER = f"\n{_RULE}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id{_TIME}"
_ROS1_HEADER = f"\n{_RULE}\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
_FIELDS = {
    "CompressedImage": "std_msgs/Header header\nstring format\nuint8[] data",
    "Image": (
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\n"
        "uint8[] data"
    ),
    "NavSatFix": (
        "std_msgs/Header header\nsensor_msgs/NavSatStatus status\nfloat64 latitude\nfloat64 longitude\n"
        "float64 altitude\nfloat64[9] position_covariance\nuint8 position_covariance_type"
    ),
}
COMPRESSED_IMAGE = _FIELDS["CompressedImage"] + ROS2_HEADER
_STATUS = f"\n{_RULE}\nMSG: sensor_msgs/NavSatStatus\nint8 status\nuint16 service\n"


@dataclass(frozen=True)
class Shot:
    """A message to write: a picture (raw where ``encoding`` says how), or a position where there is none. ``time`` is
    that of its header and ``logged`` that of its logging, in nanoseconds."""

    topic: str
    time: int
    image: Rgb | bytes | None = None
    encoding: str = ""
    logged: int | None = None
    place: tuple[float, float] = (0.0, 0.0)
    status: int = 0

    @property
    def log_time(self) -> int:
        return self.time if self.logged is None else self.logged

    @property
    def data(self) -> bytes:
        if isinstance(self.image, bytes):
            return self.image
        assert self.image is not None
        if self.encoding:
            return raw(self.image, self.encoding)
        return png(self.image)

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width and bytes a row."""
        assert isinstance(self.image, np.ndarray)
        height, width = self.image.shape[:2]
        return height, width, len(self.data) // (height * 3 // 2 if self.encoding == "nv12" else height)


def png(image: Rgb) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


def raw(image: Rgb, encoding: str) -> bytes:
    """Rows of pixels, each row with eight bytes more than it needs."""
    match encoding:
        case "rgb8":
            pixels = image
        case "bgr8":
            pixels = image[:, :, ::-1]
        case "mono8":
            pixels = image[:, :, :1]
        case "16UC1":
            pixels = np.zeros((*image.shape[:2], 2), np.uint8)
        case "mono16" | "rgb16" | "bgr16":
            colours = {"mono16": image[:, :, :1], "rgb16": image, "bgr16": image[:, :, ::-1]}[encoding]
            pixels = (colours.astype("<u2") << 8).view(np.uint8)
        case "nv12":
            rows = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
            height, width = image.shape[:2]
            halves = rows[height:].reshape(2, -1)
            pixels = np.concatenate([rows[:height], halves.T.reshape(-1, width)])
        case "bayer_rggb8":
            pixels = image[:, :, 1:2].copy()
            pixels[::2, ::2, 0], pixels[1::2, 1::2, 0] = image[::2, ::2, 0], image[1::2, 1::2, 2]
        case _:
            pixels = np.zeros((*image.shape[:2], 1), np.uint8)
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
    return np.pad(rows, ((0, 0), (0, 8))).tobytes()


def drive(seconds: float = 3.0, rate: int = 10, topic: str = "/front", first: int = 0) -> list[Shot]:
    """Pictures of one camera."""
    return [
        Shot(topic, START + number * SECOND // rate, draw(first + number, (96, 64)))
        for number in range(round(seconds * rate))
    ]


def write_recording(
    path: Path, shots: Iterable[Shot], kind: str = "ros2", chunk: int = 3_000, compression: str = "ZSTD"
) -> Path:
    """Write the messages in this order as ``ros1``, ``ros2``, ``protobuf`` or ``json``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writers = {"ros1": _ros1, "ros2": _ros2, "protobuf": _protobuf, "json": _json}
    with path.open("wb") as file:
        writers[kind](file, list(shots), {"chunk_size": chunk, "compression": CompressionType[compression]})
    return path


def _name(shot: Shot) -> str:
    if shot.image is None:
        return "NavSatFix"
    return "Image" if shot.encoding else "CompressedImage"


def _ros2(file: Any, shots: list[Shot], options: dict[str, Any]) -> None:
    with Ros2Writer(file, **options) as writer:
        schemas = {
            name: writer.register_msgdef(
                f"sensor_msgs/msg/{name}", fields + ROS2_HEADER + (_STATUS if name == "NavSatFix" else "")
            )
            for name, fields in _FIELDS.items()
        }
        for shot in shots:
            stamp = {"sec": shot.time // SECOND, "nanosec": shot.time % SECOND}
            message: dict[str, Any] = {"header": {"stamp": stamp, "frame_id": "camera"}}
            if shot.image is None:
                message |= {"status": {"status": shot.status, "service": 1}}
                message |= {"latitude": shot.place[0], "longitude": shot.place[1]}
                message["position_covariance"] = [0.0] * 9
            elif shot.encoding:
                height, width, step = shot.size
                message |= {"height": height, "width": width, "step": step, "encoding": shot.encoding}
                message["data"] = shot.data
            else:
                message |= {"format": "rgb8; png compressed bgr8", "data": shot.data}
            writer.write_message(shot.topic, schemas[_name(shot)], message, shot.log_time, shot.log_time)


def _ros1(file: Any, shots: list[Shot], options: dict[str, Any]) -> None:
    types: dict[str, Any] = {}
    for name, fields in _FIELDS.items():
        full = f"sensor_msgs/{name}"
        types |= generate_dynamic(full, fields + _ROS1_HEADER + (_STATUS if name == "NavSatFix" else ""))
    with Ros1Writer(file, **options) as writer:
        for shot in shots:
            message = types[f"sensor_msgs/{_name(shot)}"]()
            message.header.stamp = Time(shot.time // SECOND, shot.time % SECOND)
            message.header.frame_id = "camera"
            if shot.image is None:
                message.status.status = shot.status
                message.latitude, message.longitude = shot.place
            elif shot.encoding:
                message.height, message.width, message.step = shot.size
                message.encoding, message.data = shot.encoding, shot.data
            else:
                message.format, message.data = "png", shot.data
            writer.write_message(shot.topic, message, shot.log_time, shot.log_time)


def _protobuf(file: Any, shots: list[Shot], options: dict[str, Any]) -> None:
    with ProtobufWriter(file, **options) as writer:
        for shot in shots:
            message: Any
            if shot.image is None:
                message = LocationFix(latitude=shot.place[0], longitude=shot.place[1])
            elif shot.encoding:
                height, width, step = shot.size
                message = RawImage(height=height, width=width, step=step, encoding=shot.encoding, data=shot.data)
            else:
                message = CompressedImage(format="png", data=shot.data)
            message.timestamp.FromNanoseconds(shot.time)
            writer.write_message(shot.topic, message, shot.log_time, shot.log_time)


def _json(file: Any, shots: list[Shot], options: dict[str, Any]) -> None:
    writer = JsonWriter(file, **options)
    writer.start()
    channels: dict[str, int] = {}
    for shot in shots:
        name = {"NavSatFix": "LocationFix", "Image": "RawImage", "CompressedImage": "CompressedImage"}[_name(shot)]
        if shot.topic not in channels:
            schema = writer.register_schema(f"foxglove.{name}", "jsonschema", b'{"type": "object"}')
            channels[shot.topic] = writer.register_channel(shot.topic, "json", schema)
        message: dict[str, Any] = {"timestamp": {"sec": shot.time // SECOND, "nsec": shot.time % SECOND}}
        if shot.image is None:
            message |= {"latitude": shot.place[0], "longitude": shot.place[1]}
        else:
            message["data"] = base64.b64encode(shot.data).decode()
            if shot.encoding:
                message |= dict(zip(("height", "width", "step"), shot.size, strict=True), encoding=shot.encoding)
        data = json.dumps(message).encode()
        writer.add_message(channels[shot.topic], shot.log_time, data, shot.log_time)
    writer.finish()
