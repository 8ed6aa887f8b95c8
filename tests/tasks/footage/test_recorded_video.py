"""Video in the messages of recordings, cameras that are not read, and recordings that are packed as a whole."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import zstandard
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from mcap.writer import Writer as PlainWriter
from mcap_protobuf.writer import Writer as ProtobufWriter
from mcap_ros2.writer import Writer as Ros2Writer

from tasks.footage.archive import list_sources
from tasks.footage.frames import Position, read_frame, read_track
from tests.tasks.footage.numbered import SIZE, number_of, numbered, priority_as_before
from tests.tasks.footage.test_frames import listed, read
from tests.tasks.recordings import COMPRESSED_IMAGE, ROS2_HEADER, SECOND, START, Shot, drive, write_recording

RATE = 10


@priority_as_before()
def coded(codec: str, count: int = 60, group: int = 15, **options: str) -> list[bytes]:
    """Pictures that carry their numbers, one packet each, with the parameters where the encoder repeats them."""
    form = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "obu", "libaom-av1": "obu", "libvpx-vp9": "ivf"}[codec]
    target = io.BytesIO()
    packets: list[av.Packet] = []
    with av.open(target, "w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, av.VideoStream)
        (stream.width, stream.height), stream.pix_fmt, stream.gop_size = SIZE, "yuv420p", group
        for number in range(count):
            packets += stream.encode(av.VideoFrame.from_ndarray(numbered(number), "rgb24"))
        packets += stream.encode()
    return [bytes(packet) for packet in packets]


X264: dict[str, Any] = {"bf": "0", "preset": "ultrafast"}


def foxglove(path: Path, messages: Sequence[bytes], form: str = "h264", topic: str = "/front") -> Path:
    with path.open("wb") as file, ProtobufWriter(file) as writer:
        for number, data in enumerate(messages):
            moment = START + number * SECOND // RATE
            message = CompressedVideo(format=form, data=data)
            message.timestamp.FromNanoseconds(moment)
            writer.write_message(topic, message, moment, moment)
    return path


def ros2(path: Path, messages: Sequence[bytes], form: str = "h264", **schema: str) -> Path:
    """As ``sensor_msgs/CompressedImage``."""
    with path.open("wb") as file, Ros2Writer(file) as writer:
        definition = writer.register_msgdef("sensor_msgs/msg/CompressedImage", COMPRESSED_IMAGE)
        for number, data in enumerate(messages):
            moment = START + number * SECOND // RATE
            stamp = {"sec": moment // SECOND, "nanosec": moment % SECOND}
            message = {"header": {"stamp": stamp, "frame_id": "camera"}, "format": form, "data": data}
            writer.write_message("/front", definition, message, moment, moment)
    return path


def numbers(path: Path, fps: float = 1.0) -> list[int]:
    """The numbers that the sampled pictures show, each checked against ``read_frame``."""
    source = listed(path)
    frames, error = read(source, fps)
    assert error is None
    shown = []
    for frame in frames:
        assert frame.image is not None, frame.error
        shown.append(number_of(frame.image))
        assert number_of(read_frame(source.uri, frame.index)) == shown[-1]
        assert frame.timestamp == source.captured + timedelta(seconds=(shown[-1] - shown[0]) / RATE)
    return shown


@pytest.mark.parametrize("write", [foxglove, ros2])
def test_h264(tmp_path: Path, write: Any) -> None:
    assert numbers(write(tmp_path / "a.mcap", coded("libx264", **X264))) == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize(
    ("codec", "form", "options"),
    [
        ("libx265", "h265", {"x265-params": "bframes=0:repeat-headers=1:log-level=none", "preset": "ultrafast"}),
        ("libvpx-vp9", "vp9", {"deadline": "realtime", "lag-in-frames": "0"}),
        ("libsvtav1", "av1", {"preset": "12", "svtav1-params": "pred-struct=1"}),
    ],
)
def test_other_codecs(tmp_path: Path, codec: str, form: str, options: dict[str, str]) -> None:
    assert numbers(foxglove(tmp_path / "a.mcap", coded(codec, 30, 10, **options), form)) == [0, 10, 20]


def test_frames_of_one_group_and_pictures_shown_before_those_they_build_on(tmp_path: Path) -> None:
    path = foxglove(tmp_path / "a.mcap", coded("libx264", group=60, **X264))
    assert numbers(path, 5.0) == list(range(0, 60, 2))
    frames, _ = read(listed(foxglove(tmp_path / "b.mcap", coded("libx264", preset="ultrafast", bf="2"))))
    # In the order of the file each message has its own picture, whatever the order in which they are shown.
    assert all(frame.image is not None for frame in frames)


def test_a_video_that_begins_between_key_frames(tmp_path: Path) -> None:
    """Counted from its first key frame on, as in files; one without any is told."""
    packets = coded("libx264", **X264)
    assert numbers(foxglove(tmp_path / "a.mcap", packets[7:])) == [15, 25, 35, 45, 55]
    write_recording(tmp_path / "b.mcap", drive(1.0))
    assert listed(foxglove(tmp_path / "c.mcap", packets[1:15])).error == (
        "no pictures in it: /front: 14 pictures of a video without a key frame"
    )


def test_parameters_that_come_once_and_alone(tmp_path: Path) -> None:
    whole = coded("libx264", **X264)
    slices = whole[0].index(b"\x00\x00\x01\x65")
    assert numbers(foxglove(tmp_path / "a.mcap", [whole[0][:slices], whole[0][slices:], *whole[1:]])) == [
        0, 10, 20, 30, 40, 50,
    ]  # fmt: skip
    later = [
        packet[packet.index(b"\x00\x00\x01\x65") :] if b"\x00\x00\x01\x67" in packet else packet for packet in whole
    ]
    assert numbers(foxglove(tmp_path / "b.mcap", [whole[0], *later[1:]])) == [0, 10, 20, 30, 40, 50]


def test_a_damaged_message_costs_its_group_at_most(tmp_path: Path) -> None:
    packets = coded("libx264", **X264)
    packets[15] = b"\x01\x02" * 20
    source = listed(foxglove(tmp_path / "a.mcap", packets))
    frames, error = read(source, 1.0)
    assert error is None and len(frames) == 6
    shown = [number_of(frame.image) for frame in frames if frame.image is not None and frame.index not in (20,)]
    assert shown == [0, 10, 30, 40, 50]


def unread(path: Path, *channels: tuple[str, str, str, str, bytes, bytes]) -> Path:
    """Topics beside a JSON camera that is read: topic, type, schema encoding, message encoding, definition, message."""
    with path.open("wb") as file:
        writer = PlainWriter(file)
        writer.start()
        schema = writer.register_schema("foxglove.CompressedImage", "jsonschema", b"{}")
        good = writer.register_channel("/good", "json", schema)
        for topic, kind, schema_encoding, encoding, definition, data in channels:
            schema = writer.register_schema(kind, schema_encoding, definition)
            writer.add_message(writer.register_channel(topic, encoding, schema), START, data, START)
        for shot in drive(0.5):
            message = {"timestamp": {"sec": shot.time // SECOND, "nsec": shot.time % SECOND}}
            message |= {"data": base64.b64encode(shot.data).decode()}  # type: ignore[dict-item]
            writer.add_message(good, shot.time, json.dumps(message).encode(), shot.time)
        writer.finish()
    return path


def test_cameras_that_are_not_read_are_named_beside_others(tmp_path: Path) -> None:
    image = "sensor_msgs/msg/Image"
    source = listed(
        unread(
            tmp_path / "a.mcap",
            ("/idl", image, "ros2idl", "cdr", b"module sensor_msgs {};", b"\0\1\0\0"),
            ("/empty", image, "ros2msg", "cdr", b"", b"\0\1\0\0"),
            ("/flat", "foxglove.CompressedImage", "flatbuffer", "flatbuffer", b"x", b"x"),
            ("/own", "acme_msgs/msg/CameraImage", "ros2msg", "cdr", b"uint8[] data", b"\0\1\0\0"),
            ("/info", "sensor_msgs/msg/CameraInfo", "ros2msg", "cdr", b"uint8 x", b"\0\1\0\0"),
            ("/boxes", "foxglove.ImageAnnotations", "jsonschema", "json", b"{}", b"{}"),
        )
    )
    assert source.error is None and source.note is not None
    assert source.note.startswith("camera topics that are not read: /empty (its definition is empty")
    assert "/flat (messages as flatbuffer are not read)" in source.note
    assert "/idl (its definition is ros2idl (IDL), and ros2msg is read)" in source.note
    assert "/own (acme_msgs/CameraImage is not known)" in source.note
    assert "/info" not in source.note and "/boxes" not in source.note and "/good" not in source.note
    frames, error = read(source)
    assert error is None and {frame.camera for frame in frames} == {"/good"}


def test_only_cameras_that_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = PlainWriter(file)
        writer.start()
        schema = writer.register_schema("sensor_msgs/msg/Image", "ros2idl", b"module x {};")
        writer.add_message(writer.register_channel("/front", "cdr", schema), START, b"\0\1\0\0", START)
        writer.finish()
    assert listed(tmp_path / "a.mcap").error == (
        "no pictures in it: not read: /front (its definition is ros2idl (IDL), and ros2msg is read)"
    )


def test_messages_that_are_compressed_one_by_one(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = PlainWriter(file)
        writer.start()
        schema = writer.register_schema("sensor_msgs/msg/CompressedImage", "ros2msg", COMPRESSED_IMAGE.encode())
        channel = writer.register_channel("/front", "cdr", schema)
        for number in range(5):
            writer.add_message(channel, START + number, zstandard.compress(b"\0\1\0\0" + bytes(60)), START + number)
        writer.finish()
    assert str(listed(tmp_path / "a.mcap").error).startswith("its messages are compressed one by one (rosbag2")


@pytest.mark.parametrize("suffix", [".mcap.zstd", ".mcap.zst", ".MCAP.ZSTD"])
def test_packed_as_a_whole(tmp_path: Path, suffix: str) -> None:
    plain = write_recording(tmp_path / "x.mcap", drive(3.0))
    expected = [(frame.index, frame.timestamp) for frame in read(listed(plain))[0]]
    packed = tmp_path / "in" / f"x{suffix}"
    packed.parent.mkdir()
    packed.write_bytes(zstandard.compress(plain.read_bytes()))
    [source] = list_sources(str(packed.parent)).sources
    frames, error = read(source)
    assert (source.error, error) == (None, None)
    assert [(frame.index, frame.timestamp) for frame in frames] == expected
    assert np.array_equal(read_frame(source.uri, 20), frames[4].image)  # type: ignore[arg-type]


def test_packed_and_cut_off_or_no_zstd(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 96, 128, 3), np.uint8)
    shots = [replace(shot, image=noise[n], encoding="rgb8") for n, shot in enumerate(drive(6.0))]
    plain = write_recording(tmp_path / "x.mcap", shots, compression="NONE")
    packed = zstandard.compress(plain.read_bytes(), 1)
    (tmp_path / "cut.mcap.zstd").write_bytes(packed[: len(packed) // 2])
    frames, error = read(listed(tmp_path / "cut.mcap.zstd"))
    assert frames and error == "the recording is cut off or damaged: it breaks off"
    (tmp_path / "none.mcap.zstd").write_bytes(b"no zstd")
    assert str(listed(tmp_path / "none.mcap.zstd").error).startswith("not packed as its name says")


def test_two_receivers_are_told(tmp_path: Path) -> None:
    fixes = [Shot(topic, START, place=(48.0, 11.0)) for topic in ("/b", "/a", "/b")]
    source = listed(write_recording(tmp_path / "a.mcap", [*drive(1.0), *fixes]))
    assert source.note == "of the positions in /a, /b those of the topic with most fixes are taken"


def test_packets_of_ffmpeg_image_transport_and_gps_fixes(tmp_path: Path) -> None:
    fields = "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\nuint8[] data"
    place = "std_msgs/Header header\nfloat64 latitude\nfloat64 longitude\nfloat64 altitude"
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Ros2Writer(file)
        packet = writer.register_msgdef("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", fields + ROS2_HEADER)
        fix = writer.register_msgdef("gps_msgs/msg/GPSFix", place + ROS2_HEADER)
        for number, data in enumerate(coded("libx264", **X264)):
            time = START + number * SECOND // 10
            header = {"stamp": {"sec": time // SECOND, "nanosec": time % SECOND}, "frame_id": ""}
            message = {"header": header, "encoding": "h264;yuv420p;bgr8", "pts": number, "data": data}
            writer.write_message(
                "/front/ffmpeg", packet, message | {"width": 160, "height": 96, "flags": 0}, time, time
            )
            message = {"header": header, "latitude": 48.0, "longitude": 11.0, "altitude": 0.0}
            writer.write_message("/gps", fix, message, time, time)
        writer.finish()
    source = listed(tmp_path / "a.mcap")
    frames, error = read(source)
    assert error is None and [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]
    track = read_track(source)
    assert track is not None and track.at(source.captured) == Position(48.0, 11.0)
