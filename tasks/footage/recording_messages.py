"""Messages of ROS 1, ROS 2 and Foxglove in a recording → pictures and positions.

ROS 2 and Protobuf messages are read by the readers of MCAP's authors, from the definitions in the file. Theirs for
ROS 1 makes Python code of the definitions and runs it, which must not be done with what comes from outside: the three
messages that matter here are read by their layout, which never changed.
"""

import base64
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from google.protobuf.message import DecodeError
from mcap.exceptions import McapError
from mcap.records import Channel, Schema
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap_protobuf.decoder import DecoderFactory as Protobuf
from mcap_ros2.decoder import DecoderFactory as Ros2

from tasks.footage.images import BadImage, Rgb, check_size, decode_image
from tasks.footage.recording_video import CodedPicture, codec_in
from tasks.footage.ros1_messages import ROS1
from tasks.storage import reason

IMAGES = frozenset(
    {
        "sensor_msgs/CompressedImage", "sensor_msgs/Image", "foxglove.CompressedImage", "foxglove.RawImage",
        "foxglove.CompressedVideo", "ffmpeg_image_transport_msgs/FFMPEGPacket",
    }
)  # fmt: skip
"""Types of messages that hold a picture, as ``type_of`` names them."""

FIXES = frozenset({"sensor_msgs/NavSatFix", "gps_msgs/GPSFix", "gps_common/GPSFix", "foxglove.LocationFix"})
"""Types of messages that hold a position."""

# Of pixels as cameras give them: bytes a pixel, and what OpenCV calls the way to RGB (None: they are).
_PIXELS: dict[str, tuple[float, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "8uc3": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8uc1": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
    "8uc4": (4, cv2.COLOR_BGRA2RGB),
    # Colours lie behind the brightness, for four pixels at once.
    "nv12": (1.5, cv2.COLOR_YUV2RGB_NV12),
    "nv21": (1.5, cv2.COLOR_YUV2RGB_NV21),
    "i420": (1.5, cv2.COLOR_YUV2RGB_I420),
    "yuv420": (1.5, cv2.COLOR_YUV2RGB_I420),
    "yv12": (1.5, cv2.COLOR_YUV2RGB_YV12),
}
# Those with two bytes for each number, by what they are with one.
_DEEP = {
    "mono16": "mono8", "rgb16": "rgb8", "bgr16": "bgr8", "rgba16": "rgba8", "bgra16": "bgra8", "16uc3": "8uc3",
    "16uc4": "8uc4", "bayer_rggb16": "bayer_rggb8", "bayer_bggr16": "bayer_bggr8", "bayer_gbrg16": "bayer_gbrg8",
    "bayer_grbg16": "bayer_grbg8",
}  # fmt: skip
# Distances and the like, and no pictures.
_DEPTH = frozenset({"16uc1", "32fc1", "64fc1"})
_DEPTH_FILE = re.compile(r"(?i)^(16UC1|32FC1|64FC1)\b|compressedDepth")

_ZSTD = b"\x28\xb5\x2f\xfd"
_PROTOBUF = "protobuf"  # mcap names all but this one
# How messages are defined that are coded in a way.
_DEFINITIONS: dict[str, str] = {
    MessageEncoding.CDR: SchemaEncoding.ROS2,
    MessageEncoding.ROS1: SchemaEncoding.ROS1,
    _PROTOBUF: _PROTOBUF,
}

# What decoders raise for bytes that are no such message.
_NO_MESSAGE = (
    McapError, DecodeError, struct.error, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError,
    NotImplementedError, OverflowError,
)  # fmt: skip


class BadMessage(Exception):
    """These bytes are no message of their type. One line that says why."""


class PackedMessage(Exception):
    """Messages are compressed one by one, which MCAP does not know of. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as its message holds it: ``stamp`` is its time in nanoseconds since 1970, 0 where none is set.

    ``data`` is a JPEG, PNG or WebP file; or, where ``encoding`` names how, rows of ``step`` bytes, ``height`` of them;
    or, where ``codec`` names it, a coded picture of a video, which ``coded`` decodes.
    """

    stamp: int
    data: bytes
    encoding: str | None = None
    height: int = 0
    width: int = 0
    step: int = 0
    big_endian: bool = False
    codec: str | None = None
    coded: CodedPicture | None = None

    @property
    def is_file(self) -> bool:
        """Whether ``data`` is an image file as it is."""
        return self.encoding is None and self.codec is None

    @property
    def is_depth(self) -> bool:
        """Whether it holds distances and not colours."""
        return self.encoding in _DEPTH

    def image(self) -> Rgb:
        """(H, W, 3) uint8 RGB. Raises BadImage when that is not possible."""
        check_size(len(self.data))
        if self.coded is not None:
            return self.coded.image()
        if self.encoding is None:
            return decode_image(self.data)
        numbers = 2 if self.encoding in _DEEP else 1
        plain = _DEEP.get(self.encoding, self.encoding)
        if plain not in _PIXELS:
            raise BadImage(f"pixels as {self.encoding} are not read")
        depth, way = _PIXELS[plain]
        halves = depth == 1.5
        row, rows = (self.width, self.height * 3 // 2) if halves else (self.width * int(depth) * numbers, self.height)
        step = self.step or row
        if not row or not rows or step < row or len(self.data) < step * (rows - 1) + row:
            raise BadImage(f"{len(self.data)} bytes are no {self.width}x{self.height} pixels as {self.encoding}")
        padded = np.frombuffer(self.data.ljust(step * rows, b"\0"), np.uint8, step * rows)
        pixels = np.ascontiguousarray(padded.reshape(rows, step)[:, :row])
        if numbers == 2:  # scaled by the range of their type
            pixels = np.ascontiguousarray(pixels[:, 0 if self.big_endian else 1 :: 2])
        channels = 1 if halves else int(depth)
        shaped = pixels.reshape((rows, self.width, channels) if channels > 1 else (rows, self.width))
        try:
            return np.array(shaped if way is None else cv2.cvtColor(shaped, way), np.uint8)
        except cv2.error as error:  # as of an odd width where two pixels share a colour
            raise BadImage(f"not {self.width}x{self.height} pixels as {self.encoding}") from error


@dataclass(frozen=True, slots=True)
class Place:
    """A position as its message holds it, in degrees; ``stamp`` as of a picture."""

    stamp: int
    latitude: float
    longitude: float


class Decoders:
    """What reads the messages of a channel: made once for each, and anew where another recording follows in a file."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[tuple[Channel, Schema | None], Callable[[bytes], Any]]] = {}

    def picture(self, channel: Channel, schema: Schema | None, data: bytes) -> Picture:
        """The picture of a message. Raises BadMessage, or PackedMessage."""
        return self._read(channel, schema, data, _picture)

    def place(self, channel: Channel, schema: Schema | None, data: bytes) -> Place | None:
        """The position of a message, None where the receiver had none. Raises BadMessage, or PackedMessage."""
        return self._read(channel, schema, data, _place)

    def _read(self, channel: Channel, schema: Schema | None, data: bytes, convert: Callable[[Any], Any]) -> Any:
        if data.startswith(_ZSTD) and channel.message_encoding in (MessageEncoding.CDR, MessageEncoding.ROS1):
            raise PackedMessage(
                "its messages are compressed one by one (rosbag2's compression mode `message`): "
                "`ros2 bag convert` without compression makes one that is read"
            )
        try:
            told, decode = self._made.get(channel.id, (None, None))
            if decode is None or told != (channel, schema):
                decode = _decoder(channel, schema)
                self._made[channel.id] = (channel, schema), decode
            return convert(decode(data))
        except _NO_MESSAGE as error:
            raise BadMessage(f"no {type_of(schema)}: {reason(error)}") from error


def _decoder(channel: Channel, schema: Schema | None) -> Callable[[bytes], Any]:
    if channel.message_encoding == MessageEncoding.JSON:
        return lambda data: json.loads(data, object_hook=lambda fields: SimpleNamespace(**fields))
    if channel.message_encoding == MessageEncoding.ROS1:
        return ROS1[type_of(schema)]
    for factory in (Ros2(), Protobuf()):  # they remember schemas by their numbers, which another recording counts anew
        decode = factory.decoder_for(channel.message_encoding, schema)
        if decode:
            return decode
    raise ValueError(f"messages as {channel.message_encoding} are not read")


def unread_because(channel: Channel, schema: Schema | None) -> str | None:
    """Why messages of a channel cannot be read, whatever they hold; None where they can."""
    coded = channel.message_encoding
    if coded == MessageEncoding.JSON or (coded == MessageEncoding.ROS1 and type_of(schema) in ROS1):
        return None
    if coded == MessageEncoding.ROS1 and schema is not None and schema.data.strip():
        return f"{type_of(schema)} of ROS 1 is not read"
    definition = _DEFINITIONS.get(coded)
    if definition is None:
        return f"messages as {coded or 'nothing that is named'} are not read"
    if schema is None or not schema.data.strip():
        return "its definition is empty: record or convert it where the package of its messages is installed"
    if schema.encoding != definition:
        idl = " (IDL)" if "idl" in schema.encoding else ""
        return f"its definition is {schema.encoding}{idl}, and {definition} is read"
    return None


def type_of(schema: Schema | None) -> str:
    """The type of a channel's messages: ROS 2 calls those of ROS 1 ``sensor_msgs/msg/Image``."""
    return schema.name.replace("/msg/", "/").replace("foxglove_msgs/", "foxglove.") if schema else ""


def _picture(message: Any) -> Picture:
    stamp, data = _stamp(message), message.data
    data = base64.b64decode(data) if isinstance(data, str) else bytes(data)
    if not hasattr(message, "encoding"):
        told = str(getattr(message, "format", ""))
        if _DEPTH_FILE.search(told):
            return Picture(stamp, data, "16uc1")
        return Picture(stamp, data, codec=codec_in(told))
    if hasattr(message, "pts"):  # of ffmpeg_image_transport
        codec = codec_in(str(message.encoding))
        if codec is None:
            raise ValueError(f"video as {message.encoding} is not read")
        return Picture(stamp, data, codec=codec)
    return Picture(
        stamp,
        data,
        str(message.encoding).lower(),
        int(message.height),
        int(message.width),
        int(message.step),
        bool(getattr(message, "is_bigendian", False)),
    )


def _place(message: Any) -> Place | None:
    status = getattr(message, "status", None)
    if status is not None and int(status.status) < 0:
        return None
    return Place(_stamp(message), float(message.latitude), float(message.longitude))


def _stamp(message: Any) -> int:
    time = message.header.stamp if hasattr(message, "header") else message.timestamp
    for seconds, rest in (("sec", "nanosec"), ("sec", "nsec"), ("seconds", "nanos")):
        if hasattr(time, seconds) and hasattr(time, rest):
            stamp = int(getattr(time, seconds)) * 1_000_000_000 + int(getattr(time, rest))
            if not 0 <= stamp < 2**63:
                raise ValueError("its time is none")
            return stamp
    raise ValueError("no time in it")
