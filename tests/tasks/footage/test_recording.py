"""Recordings (MCAP): what is sampled, when it was, where it was, and what of a damaged one is left."""

import random
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import Writer
from mcap_ros2.writer import Writer as Ros2Writer

from clipomaly_core.errors import UserError
from schemas.dataset import DatasetFrame, Split
from schemas.records import Outcome, ScanRecord, TimestampSource
from tasks.datasets.blurring import Blurrer
from tasks.datasets.image_store import ImageForm, read_pictures
from tasks.errors import SourceError
from tasks.footage import source_recording
from tasks.footage.archive import Sources, find_sources, list_sources
from tasks.footage.frames import Frame, read_frame, read_frames, read_track
from tasks.footage.images import Rgb, decode_image
from tasks.scanning.plan import plan, with_footage
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.footage.test_damaged import KINDS as DAMAGES
from tests.tasks.footage.test_damaged import damage
from tests.tasks.footage.test_frames import listed, read
from tests.tasks.recordings import COMPRESSED_IMAGE, SECOND, START, Shot, drive, png, write_recording
from tests.tasks.samples import BlobFinder, description, draw, upload, write_video
from tests.tasks.scanning.test_scan import rows, scan_all, whole

KINDS = ("ros1", "ros2", "protobuf", "json")
BEGIN = datetime.fromtimestamp(START // SECOND, UTC)


@pytest.fixture
def record() -> ScanRecord:
    return make_scan_record(description(), fps=2.0)


def same(image: Rgb, shot: Shot) -> bool:
    """Whether an image is the raw picture of a message."""
    return isinstance(shot.image, np.ndarray) and np.array_equal(image, shot.image)


class UpsideDown(Blurrer):
    def __call__(self, image: Rgb) -> tuple[Rgb, int]:
        return image[::-1].copy(), 1


def check(path: Path | str, frames: Sequence[Frame], shots: Sequence[Shot]) -> None:
    """Each frame is the picture of its number, at its time, and found again by that number."""
    uri = listed(path).uri
    for frame in frames:
        shot = shots[frame.index]
        assert frame.image is not None and same(frame.image, shot)
        assert frame.timestamp == BEGIN + timedelta(microseconds=(shot.time - START) // 1000)
        assert (frame.camera, frame.timestamp_source) == (shot.topic, TimestampSource.CONTAINER)
        assert np.array_equal(read_frame(uri, frame.index), frame.image)


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_encoding(tmp_path: Path, kind: str, compression: str) -> None:
    shots = drive(3.05, rate=20)
    path = write_recording(tmp_path / "drive.mcap", shots, kind, compression=compression)
    source = listed(path)
    assert (source.captured, source.error) == (BEGIN, None)
    assert source.footage_seconds == pytest.approx(3.0, abs=0.06)
    frames, error = read(source)
    assert error is None
    assert [frame.index for frame in frames] == [0, 10, 20, 30, 40, 50, 60]
    check(path, frames, shots)


def odd_clocks() -> dict[str, list[Shot]]:
    """Ten seconds of a camera, ten pictures a second, with a clock that is wrong in one way each."""
    hour, shots = 3600 * SECOND, drive(10.0)
    logged = [replace(shot, logged=shot.time + SECOND // 20) for shot in shots]

    def ahead(first: int, end: int, by: int) -> list[Shot]:
        return [replace(shot, time=shot.time + by * (first <= n < end)) for n, shot in enumerate(logged)]

    return {
        "one stamp an hour ahead": ahead(37, 38, hour),
        "the first stamp an hour ahead": ahead(0, 1, hour),
        "set forward": ahead(20, 100, hour),
        "set back": ahead(20, 100, -hour),
        "set back by little": ahead(20, 100, -3 * SECOND),
        "not set at first": ahead(0, 20, -START),
        "halves in the wrong order": [*shots[50:], *shots[:50]],
    }


@pytest.mark.parametrize("wrong", odd_clocks())
@pytest.mark.parametrize("kind", ["ros2", "protobuf"])
def test_a_clock_that_jumps_loses_no_picture(tmp_path: Path, kind: str, wrong: str) -> None:
    shots = odd_clocks()[wrong]
    frames, error = read(listed(write_recording(tmp_path / "drive.mcap", shots, kind)), 1.0)
    assert error is None and len(frames) in (10, 11)
    times = sorted(frame.timestamp for frame in frames)
    assert all(0.8 < (b - a).total_seconds() < 1.2 for a, b in pairwise(times))


def test_two_receivers_are_not_mixed(tmp_path: Path) -> None:
    shots = drive(3.0)
    near = [Shot("/b", START + n * SECOND, place=(48.0 + n / 1000, 11.0)) for n in range(4)]
    far = [Shot("/a", START + n * SECOND + SECOND // 2, place=(10.0, 10.0)) for n in range(3)]
    source = listed(write_recording(tmp_path / "drive.mcap", [*shots, *near, *far], "ros2"))
    track = read_track(source)
    assert track is not None
    for milliseconds in range(0, 3000, 250):
        position = track.at(source.captured + timedelta(milliseconds=milliseconds))
        assert position is not None and position.latitude == pytest.approx(48, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "bayer_rggb8"])
def test_raw_pixels(tmp_path: Path, kind: str, encoding: str) -> None:
    image = draw(1, (96, 64)) if encoding.endswith("gb8") or encoding == "bgr8" else np.full((64, 96, 3), 90, np.uint8)
    if encoding == "bayer_rggb8":
        image = np.full((64, 96, 3), (200, 90, 30), np.uint8)
    path = write_recording(tmp_path / "a.mcap", [Shot("/camera/image_raw", START, image, encoding)], kind)
    [frame], error = read(listed(path))
    assert error is None and frame.image is not None and np.array_equal(frame.image, image)


@pytest.mark.parametrize("kind", ["ros2", "protobuf"])
@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bgr16", "nv12"])
def test_deep_and_planar_pixels(tmp_path: Path, kind: str, encoding: str) -> None:
    image = np.full((64, 96, 3), 90, np.uint8) if encoding in ("mono16", "nv12") else draw(1, (96, 64))
    path = write_recording(tmp_path / "a.mcap", [Shot("/camera/image_raw", START, image, encoding)], kind)
    [frame], error = read(listed(path))
    assert error is None and frame.image is not None
    assert np.abs(frame.image.astype(int) - image).max() <= (2 if encoding == "nv12" else 0)


@pytest.mark.parametrize("told", ["16UC1; png compressed", "32FC1; compressedDepth png"])
def test_distances_as_image_files_are_no_pictures(tmp_path: Path, told: str) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Ros2Writer(file)
        schema = writer.register_msgdef("sensor_msgs/msg/CompressedImage", COMPRESSED_IMAGE)
        for topic, form in (("/depth", told), ("/front", "png")):
            message = {"header": {"stamp": {"sec": START // SECOND, "nanosec": 0}, "frame_id": ""}, "format": form}
            writer.write_message(topic, schema, message | {"data": png(draw(1, (96, 64)))}, START, START)
        writer.finish()
    [frame], error = read(listed(tmp_path / "a.mcap"))
    assert error is None and (frame.index, frame.camera) == (0, "/front")


def test_each_camera_is_sampled_for_itself(tmp_path: Path, record: ScanRecord) -> None:
    front, rear = drive(2, rate=10), drive(2, rate=4, topic="/rear", first=50)
    shots = sorted([*front, *(replace(shot, time=shot.time + SECOND // 20) for shot in rear)], key=lambda s: s.time)
    path = write_recording(tmp_path / "a" / "car" / "drive.mcap", shots)
    frames, error = read(listed(path))
    assert error is None
    check(path, frames, shots)
    moments = {
        camera: [round((frame.timestamp - BEGIN).total_seconds(), 2) for frame in frames if frame.camera == camera]
        for camera in ("/front", "/rear")
    }
    assert moments == {"/front": [0, 0.5, 1.0, 1.5], "/rear": [0.05, 0.55, 1.05, 1.55]}
    [result] = scan_all(tmp_path / "a", record, str(tmp_path / "T"))
    assert result.frames == 8
    found = rows(tmp_path / "T", "instances", record)
    assert {row["camera"] for row in found} == {"/front", "/rear"}
    for track in {row["track_id"] for row in found}:
        assert len({row["camera"] for row in found if row["track_id"] == track}) == 1


def test_variable_rate_gaps_and_order(tmp_path: Path) -> None:
    milliseconds = [0, 40, 80, 1000, 1040, 3000, 3040, 3080, 5000, 5500]
    shots = [
        Shot("/front", START + moment * SECOND // 1000, draw(number)) for number, moment in enumerate(milliseconds)
    ]
    path = write_recording(tmp_path / "a.mcap", shots)
    frames, _ = read(listed(path))
    # t = 0.5 shows picture 2 (0.08 s); 1.5 to 2.5 all show 4 (1.04 s); 3.5 to 4.5 all show 7.
    assert [frame.index for frame in frames] == [0, 2, 3, 4, 5, 7, 8, 9]
    check(path, frames, shots)


def test_other_topics(tmp_path: Path) -> None:
    """The same pictures twice are taken once; distances are no pictures."""
    compressed = drive(1, topic="/front/image_raw/compressed")
    twice = [replace(shot, topic="/front/image_raw", encoding="rgb8") for shot in compressed]
    depth = [replace(shot, topic="/depth/image_raw", encoding="16UC1") for shot in compressed]
    packed = [replace(shot, topic="/depth/image_raw/compressedDepth", image=b"no picture") for shot in compressed]
    shots = [shot for group in zip(compressed, twice, depth, packed, strict=True) for shot in group]
    frames, error = read(listed(write_recording(tmp_path / "a.mcap", shots)))
    assert error is None
    assert [(frame.index, frame.camera, frame.error) for frame in frames] == [
        (0, "/front/image_raw/compressed", None), (5, "/front/image_raw/compressed", None),
    ]  # fmt: skip


def test_pictures_that_are_none(tmp_path: Path) -> None:
    shots = drive(3)
    shots[5] = replace(shots[5], image=png(draw(5))[:60])
    shots[10] = replace(shots[10], image=b"")
    shots += [Shot("/odd", START + 3 * SECOND, draw(1), "yuv420p9"), Shot("/odd", START + 4 * SECOND, draw(1), "rgb8")]
    frames, error = read(listed(write_recording(tmp_path / "a.mcap", shots)))
    assert error is None
    told = {frame.index: frame.error for frame in frames if frame.image is None}
    assert set(told) == {5, 10, 30} and told[30] == "/odd: pixels as yuv420p9 are not read"
    assert all(message and message.startswith("/") for message in told.values())


def test_clocks(tmp_path: Path) -> None:
    """The header's time, else that of logging; where both count from 0, the file's name."""
    unset = [replace(shot, time=0, logged=shot.time) for shot in drive(2)]
    frames, _ = read(listed(write_recording(tmp_path / "unset.mcap", unset)))
    assert [frame.timestamp for frame in frames] == [BEGIN + timedelta(seconds=k / 2) for k in range(4)]
    late = [replace(shot, logged=shot.time + 5 * SECOND) for shot in drive(1)]
    frames, _ = read(listed(write_recording(tmp_path / "late.mcap", late)))
    assert [frame.timestamp for frame in frames] == [BEGIN, BEGIN + timedelta(seconds=0.5)]
    simulated = [replace(shot, time=shot.time - START + SECOND) for shot in drive(1)]
    frames, _ = read(listed(write_recording(tmp_path / "20261122_031500.mcap", simulated)))
    named = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)
    assert [frame.timestamp for frame in frames] == [named, named + timedelta(seconds=0.5)]
    assert all(frame.timestamp_source is TimestampSource.FILENAME for frame in frames)
    wild = drive(2)
    wild[6] = replace(wild[6], time=wild[6].time + 5 * 365 * 86400 * SECOND, logged=wild[6].time)  # for a moment
    frames, _ = read(listed(write_recording(tmp_path / "wild.mcap", wild)))
    assert [(frame.index, frame.timestamp) for frame in frames] == [
        (5 * k, BEGIN + timedelta(seconds=k / 2)) for k in range(4)
    ]
    (tmp_path / "late.json").write_text('{"captured": "2026-11-20T10:00:00Z"}')
    frames, _ = read(listed(tmp_path / "late.mcap"))
    assert [frame.timestamp.hour for frame in frames] == [10, 10]


@pytest.mark.parametrize("kind", KINDS)
def test_positions(tmp_path: Path, record: ScanRecord, kind: str) -> None:
    fixes = [
        Shot("/fix", START + second * SECOND, place=(48.0 + second / 1000, 9.0 + second / 500)) for second in range(4)
    ]
    nowhere = [] if kind in ("protobuf", "json") else [Shot("/fix", START + SECOND // 2, place=(1.0, 1.0), status=-1)]
    shots = sorted([*drive(3), *fixes, *nowhere], key=lambda shot: shot.time)
    write_recording(tmp_path / "a" / "drive.mcap", shots, kind)
    scan_all(tmp_path / "a", record, str(tmp_path / "T"))
    found = rows(tmp_path / "T", "frames", record)
    assert len(found) == 6
    for number, row in enumerate(found):
        assert row["latitude"] == pytest.approx(48.0 + number / 2000) and row["camera"] == "/front"
        assert row["longitude"] == pytest.approx(9.0 + number / 1000)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.99])
def test_cut_off(tmp_path: Path, record: ScanRecord, kept: float) -> None:
    shots = drive(6, rate=20)
    path = write_recording(tmp_path / "a" / "drive.mcap", shots, compression="NONE")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    frames, error = read(listed(path))
    assert len(frames) >= int(12 * kept) - 1 and [frame.index for frame in frames] == list(
        range(0, 10 * len(frames), 10)
    )
    check(path, frames, shots)
    if kept < 0.9:
        assert error == "the recording is cut off or damaged: it breaks off"
        [result] = scan_all(tmp_path / "a", record, str(tmp_path / "T"))
        assert result.sources[0].outcome is Outcome.PARTIAL and result.sources[0].frames == len(frames)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_chunk(tmp_path: Path, kind: str) -> None:
    """What it held is lost, and nothing else: neither the topics that it told of, nor what comes behind it."""
    shots = drive(6, rate=20)
    path = write_recording(tmp_path / "a.mcap", shots, kind, compression="NONE")
    data = bytearray(path.read_bytes())
    hit = bytes(data).index(b"\x89PNG" if kind != "json" else b"iVBORw0KGgo")
    data[hit + 40] ^= 255
    path.write_bytes(data)
    frames, error = read(listed(path))
    assert error is not None and error.startswith("the recording is cut off or damaged: a chunk is damaged (crc")
    assert 6 <= len(frames) <= 12
    for frame in frames:
        again = read_frame(listed(path).uri, frame.index)
        assert frame.image is not None and np.array_equal(frame.image, again)
        shot = shots[round((frame.timestamp - BEGIN).total_seconds() * 20)]
        assert same(frame.image, shot)


@pytest.mark.parametrize("kinds", [("ros1", "ros1"), ("ros2", "protobuf")])
def test_recordings_behind_each_other_in_one_file(tmp_path: Path, kinds: tuple[str, str]) -> None:
    shots = drive(8, rate=20)
    parts = [
        write_recording(tmp_path / f"{number}.mcap", part, kind).read_bytes()
        for number, (part, kind) in enumerate(zip((shots[:80], shots[80:]), kinds, strict=True))
    ]
    path = tmp_path / "in" / "a.mcap"
    path.parent.mkdir()
    path.write_bytes(b"".join(parts))
    frames, error = read(listed(path))
    assert error is None and [frame.index for frame in frames] == list(range(0, len(shots), 10))
    check(path, frames, shots)
    path.write_bytes(b"".join(parts)[: -len(parts[1]) // 2])
    frames, error = read(listed(path))
    assert error == "the recording is cut off or damaged: it breaks off" and len(frames) > 8


def test_what_is_no_recording(tmp_path: Path) -> None:
    for name, data in {"a": b"", "b": b"text" * 100, "c": b"\x89MCAP0\r\n", "d": b"\x89MCAP0\r\n" + bytes(200)}.items():
        (tmp_path / f"{name}.mcap").write_bytes(data)
    write_recording(tmp_path / "e.mcap", [Shot("/fix", START, place=(48.0, 9.0))])
    write_recording(tmp_path / "f.mcap", [])
    errors = {source.uri[-6]: source.error for source in list_sources(str(tmp_path)).sources}
    assert errors["a"] == "the file is empty"
    assert errors["b"] == "not a recording that can be read: it does not begin as MCAP does"
    assert errors["c"] == "not a recording that can be read: it breaks off"
    assert errors["e"] == "no pictures in it: only camera topics of ROS and Foxglove are read"
    assert all(errors.values()) and not any("\n" in str(error) for error in errors.values())


def test_no_definition_in_a_file_is_run(tmp_path: Path) -> None:
    """Other readers make Python code of the definitions of ROS 1 and run it: here they are not looked at."""
    [shot] = drive(0.1)
    written, ran = tmp_path / "a.mcap", tmp_path / "ran"
    message = struct.pack("<IIII", 0, shot.time // SECOND, 0, 0) + struct.pack("<I", 0)
    message += struct.pack("<I", len(shot.data)) + shot.data
    with written.open("wb") as file:
        writer = Writer(file)
        writer.start()
        hostile = f"int8 x=1\n    open({str(ran)!r}, 'w')\nuint8[] data".encode()
        schema = writer.register_schema("sensor_msgs/CompressedImage", "ros1msg", hostile)
        writer.add_message(writer.register_channel("/front", "ros1", schema), START, message, START)
        writer.finish()
    [frame], error = read(listed(written))
    assert error is None and np.array_equal(frame.image, shot.image) and not ran.exists()  # type: ignore[arg-type]


def test_from_s3_in_shards_among_others(tmp_path: Path, record: ScanRecord, s3: str) -> None:
    for car in range(3):
        write_recording(tmp_path / "a" / f"car{car}" / "drive.mcap", drive(2, first=car), KINDS[car])
    write_video(tmp_path / "a" / "car3" / "clip.mp4")
    upload(tmp_path / "a", f"{s3}/a")
    for archive, tables in ((str(tmp_path / "a"), str(tmp_path / "T")), (f"{s3}/a", f"{s3}/T")):
        sources = Sources.of(find_sources(archive).sources)
        done = Tables.at(tables).done(record.scan_id)
        shards = plan(with_footage(sources, done), done, 0.01)
        assert len(shards) == 4
        for shard in shards:
            scan_shard(shard, record, Tables.at(tables), BlobFinder())
        assert not plan(sources, Tables.at(tables).done(record.scan_id), 0.01)

    def comparable(tables: str, table: str) -> list[dict[str, object]]:
        found = sorted(rows(tables, table, record), key=lambda row: (row["drive"], row["frame_index"]))
        return [{key: value for key, value in row.items() if key not in _OF_THE_PLACE} for row in found]

    for table in ("frames", "instances"):
        here, there = comparable(str(tmp_path / "T"), table), comparable(f"{s3}/T", table)
        assert [row for row in here if row["camera"]] == [row for row in there if row["camera"]] != []
    row = next(row for row in rows(f"{s3}/T", "frames", record) if row["camera"])
    assert read_frame(str(row["source_uri"]), 5).shape == (64, 96, 3)


_OF_THE_PLACE = ("source_uri", "instance_id", "track_id", "shard")


def test_without_the_extra(tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to install; the neighbours are scanned, and the recording is left for later."""
    archive, tables = tmp_path / "a", str(tmp_path / "T")
    write_recording(archive / "drive.mcap", drive(1))
    write_video(archive / "clip.mp4")
    shard = whole(archive)
    monkeypatch.setattr(source_recording, "find_spec", lambda name: None)
    result = scan_shard(shard, record, Tables.at(tables), BlobFinder())
    told = {source.uri[-4:]: (source.outcome, source.etag, source.error) for source in result.sources}
    assert told[".mp4"][0] is Outcome.OK
    assert told["mcap"] == (
        Outcome.FAILED, "", "recordings need more packages: pip install 'clipomaly[mcap]', and scan again"
    )  # fmt: skip
    uri = listed(archive / "drive.mcap").uri
    with pytest.raises(UserError, match=r"pip install 'clipomaly\[mcap\]'"):
        read_frame(uri, 0)
    [alone] = plan(find_sources(str(archive)).sources, Tables.at(tables).done(record.scan_id), 5)
    with pytest.raises(UserError, match=r"^Cannot read .*drive\.mcap: recordings need more packages: pip install"):
        scan_shard(alone, record, Tables.at(tables), BlobFinder())
    monkeypatch.undo()
    assert scan_shard(alone, record, Tables.at(tables), BlobFinder()).sources[0].outcome is Outcome.OK


def test_source_that_changes(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.mcap", drive(1))
    source = listed(path)
    write_recording(path, drive(2))
    with pytest.raises(SourceError, match="changed after it was listed"):
        list(read_frames(source, 2.0))


def test_pictures_of_a_dataset(tmp_path: Path) -> None:
    """Compressed pictures are copied as they are; raw ones are encoded."""

    def frame(uri: str, index: int) -> DatasetFrame:
        return DatasetFrame(f"f{index}", Split.TRAIN, uri, "a", index, BEGIN, 64, 96, 0, ())

    shots = [*drive(1), *(replace(shot, topic="/raw", encoding="rgb8") for shot in drive(1))]
    uri = listed(write_recording(tmp_path / "a.mcap", shots)).uri
    wanted = [frame(uri, index) for index in (2, 7, 12, 25)]
    contents = list(read_pictures(wanted, form=ImageForm.PNG))
    for content, shot in zip(contents, (shots[2], shots[7], shots[12], None), strict=True):
        if shot is None:
            assert content.error == "the recording does not hold it any more"
        else:
            assert content.picture is not None and content.picture.data[:4] == b"\x89PNG"
            assert content.picture.copied is (not shot.encoding)
    blurred = list(read_pictures(wanted[:3], form=ImageForm.PNG, blur=UpsideDown([])))
    for content, shot in zip(blurred, (shots[2], shots[7], shots[12]), strict=True):
        assert content.picture is not None and content.picture.blurred == 1
        assert same(decode_image(content.picture.data)[::-1], shot)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_all_kinds(tmp_path: Path, kind: str) -> None:
    """Never anything but frames and one line, and what was read is found again by its number."""
    fixes = [Shot("/fix", START + second * SECOND, place=(48.0, 9.0)) for second in range(2)]
    whole_file = write_recording(tmp_path / "whole.mcap", [*drive(2), *fixes], kind, compression="NONE").read_bytes()
    for seed in range(24):
        path = tmp_path / f"{seed}.mcap"
        path.write_bytes(damage(whole_file, DAMAGES[seed % len(DAMAGES)], random.Random(seed)))
        source = listed(path)
        frames, error = read(source)
        assert error is None or "\n" not in error
        for frame in frames:
            if frame.image is not None:
                assert np.array_equal(frame.image, read_frame(source.uri, frame.index))
        if not source.error:
            read_track(source)
