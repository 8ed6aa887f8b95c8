"""Public data sets as archives, each a small tree as it is laid out, with its own times and positions."""

import io
import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from schemas.records import ScanRecord, Source, TimestampSource
from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import Frame, Position, read_frames, read_track
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.footage.numbered import write_numbered
from tests.tasks.samples import BlobFinder, image_bytes, upload, write_images, write_tar, write_video
from tests.tasks.scanning.test_scan import rows, whole

DAY = datetime(2026, 11, 22, tzinfo=UTC)


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def opened(archive: Path | str) -> list[Source]:
    listing = list_sources(str(archive))
    assert listing.ignored == ()
    return list(listing.sources)


def frames_of(source: Source) -> list[Frame]:
    return list(read_frames(source, 1.0))


def kitti(root: Path) -> None:
    drive = root / "2011_09_26" / "2011_09_26_drive_0001_sync"
    times = [f"2011-09-26 13:02:2{n}.964389445" for n in range(4)]
    for camera in ("image_02", "image_03"):
        for number in (0, 1, 3):  # one picture is not there
            write(drive / camera / "data" / f"{number:010d}.png", image_bytes(number, ".png"))
        write(drive / camera / "timestamps.txt", "\n".join(times) + "\n")
    write(drive / "oxts" / "timestamps.txt", "\n".join(times) + "\n")
    for number in range(4):
        write(drive / "oxts" / "data" / f"{number:010d}.txt", f"{49 + number / 1000} {8.4} 116.0 0.03 0 0 0\n")


@pytest.mark.parametrize("remote", [False, True])
def test_kitti(tmp_path: Path, s3: str, remote: bool) -> None:
    kitti(tmp_path / "kitti")
    first, second = opened(upload(tmp_path / "kitti", f"{s3}/kitti") if remote else tmp_path / "kitti")
    assert first.captured == second.captured == datetime(2011, 9, 26, 13, 2, 20, 964389, tzinfo=UTC)
    frames = frames_of(first)
    assert [frame.timestamp.second for frame in frames] == [20, 21, 23]
    track = read_track(first)
    assert track is not None and track.at(frames[2].timestamp) == Position(49.003, 8.4)


def test_half_of_kitti(tmp_path: Path) -> None:
    """Lists that are shorter, empty or hold other things tell what they can."""
    kitti(tmp_path)
    drive = next(tmp_path.glob("*/*"))
    write(drive / "image_02" / "timestamps.txt", "2011-09-26 13:02:20\nnonsense\n")
    write(drive / "oxts" / "data" / "0000000001.txt", "")
    write(drive / "oxts" / "data" / "0000000002.txt", b"\xff\xfe 8.4")
    source = opened(tmp_path)[0]
    frames = frames_of(source)
    assert [frame.timestamp_source for frame in frames] == [
        TimestampSource.SIDECAR, TimestampSource.MTIME, TimestampSource.MTIME,
    ]  # fmt: skip
    track = read_track(source)
    assert track is not None and track.at(frames[0].timestamp) == Position(49.0, 8.4)


def test_comma2k19(tmp_path: Path) -> None:
    route = tmp_path / "Chunk_1" / "b0c9d2329ad1606b|2018-08-02--08-34-47"
    write_numbered(route / "10" / "video.hevc", "libx265", {"x265-params": "log-level=none"}, range(0, 3000, 100))
    write_numbered(route / "11" / "video.hevc", "libx265", {"x265-params": "log-level=none"}, range(0, 500, 100))
    pose = route / "10" / "global_pose"
    seconds = np.arange(30) / 20
    north = 37.7
    radius = 6378137.0 / math.sqrt(1 - 0.00669437999014 * math.sin(math.radians(north)) ** 2)
    places = [
        [
            radius * math.cos(math.radians(north)) * math.cos(math.radians(-122.4 + second / 1000)),
            radius * math.cos(math.radians(north)) * math.sin(math.radians(-122.4 + second / 1000)),
            radius * (1 - 0.00669437999014) * math.sin(math.radians(north)),
        ]
        for second in seconds
    ]
    for name, values in {
        "frame_gps_times": np.stack([np.full(30, 2012.0), 376_500.0 + seconds], axis=1),
        "frame_positions": np.array(places),
        "frame_times": seconds,
    }.items():
        content = io.BytesIO()
        np.save(content, values)
        write(pose / name, content.getvalue())
    with_pose, without = opened(tmp_path)
    start = datetime(1980, 1, 6, tzinfo=UTC) + timedelta(weeks=2012, seconds=376_500 - 18)
    assert (with_pose.captured, with_pose.captured_from) == (start, TimestampSource.SIDECAR)
    assert (without.captured, without.captured_from) == (
        datetime(2018, 8, 2, 8, 45, 47, tzinfo=UTC), TimestampSource.FILENAME,
    )  # fmt: skip
    track = read_track(with_pose)
    for frame in frames_of(with_pose):
        assert frame.timestamp == start + timedelta(seconds=frame.index / 20)
        position = track.at(frame.timestamp) if track else None
        assert position is not None
        assert position.latitude == pytest.approx(north) and position.longitude == pytest.approx(
            -122.4 + frame.index / 20_000
        )
    write(pose / "frame_positions", b"\x93NUMPY no array")
    write(pose / "frame_gps_times", b"")
    damaged = opened(tmp_path)[0]
    assert damaged.captured == datetime(2018, 8, 2, 8, 44, 47, tzinfo=UTC) and read_track(damaged) is None


def info(start: datetime) -> str:
    milliseconds = int(start.timestamp() * 1000)
    return json.dumps(
        {
            "startTime": milliseconds,
            "endTime": milliseconds + 40_000,
            "locations": [
                {"timestamp": milliseconds + 1000 * n, "latitude": 40 + n / 1000, "longitude": -74.0} for n in range(40)
            ],
        }
    )


@pytest.mark.parametrize("remote", [False, True])
def test_bdd100k(tmp_path: Path, s3: str, remote: bool) -> None:
    root = tmp_path / "bdd100k"
    for number in range(2):
        made = write_video(root / "videos" / "train" / f"{number}.mp4")
        made.rename(made.with_suffix(".mov"))
        write(root / "images" / "100k" / "train" / f"{number}.jpg", image_bytes(number))
        write(root / "info" / "100k" / "train" / f"{number}.json", info(DAY + timedelta(hours=number)))
    images, *videos = opened(upload(root, f"{s3}/bdd100k") if remote else root)
    for number, video in enumerate(videos):
        assert (video.captured, video.captured_from) == (DAY + timedelta(hours=number), TimestampSource.SIDECAR)
        track = read_track(video)
        assert track is not None and track.at(video.captured + timedelta(seconds=2)) == Position(40.002, -74.0)
    for number, frame in enumerate(frames_of(images)):
        assert frame.timestamp == DAY + timedelta(hours=number, seconds=10)
        assert (frame.latitude, frame.longitude) == (40.01, -74.0)


def test_nuscenes(tmp_path: Path) -> None:
    names = [f"n015-2026-11-22-11-10-45+0800__CAM_FRONT__{1795317300250000 + n * 500_000}.jpg" for n in range(3)]
    for name in names:
        write(tmp_path / "samples" / "CAM_FRONT" / name, image_bytes(1))
    data = [
        {"filename": f"samples/CAM_FRONT/{name}", "timestamp": 1795317300250000 + n * 500_000, "sample_token": "s",
         "ego_pose_token": f"p{n}"}
        for n, name in enumerate(names)
    ]  # fmt: skip
    tables: Mapping[str, object] = {
        "sample_data": data,
        "ego_pose": [{"token": f"p{n}", "translation": [0.0, 1000.0 * n, 0.0]} for n in range(2)],
        "sample": [{"token": "s", "scene_token": "c"}],
        "scene": [{"token": "c", "log_token": "l"}],
        "log": [{"token": "l", "location": "singapore-onenorth"}],
    }
    for name, table in tables.items():
        write(tmp_path / "v1.0-mini" / f"{name}.json", json.dumps(table))
    [source] = opened(tmp_path)
    frames = frames_of(source)
    assert [frame.timestamp for frame in frames] == [
        datetime.fromtimestamp(1795317300 + 0.25 + n / 2, UTC) for n in range(3)
    ]
    assert frames[0].latitude == pytest.approx(1.2882101) and frames[0].longitude == pytest.approx(103.7847519)
    assert frames[1].latitude == pytest.approx(1.2882101 + 1 / 111.32, abs=1e-4)
    assert frames[2].latitude is None
    write(tmp_path / "v1.0-mini" / "log.json", "{")
    assert [frame.latitude for frame in frames_of(source)] == [None] * 3


def test_waymo_names(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / "segment-1" / "FRONT" / f"{1795317300250000 + number * 100_000}.jpg", image_bytes(number))
    [source] = opened(tmp_path)
    assert [frame.timestamp.microsecond for frame in frames_of(source)] == [250_000, 350_000]


def photo(taken: Mapping[int, object], gps: Mapping[int, object] | None = None, form: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.Exif).update(taken)
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    content = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 90, 40)).save(content, form, exif=exif)
    return content.getvalue()


ORIGINAL, OFFSET, SUBSECOND = 36867, 36881, 37521
NORTH_EAST = {1: "N", 2: (48.0, 30.0, 0.0), 3: "E", 4: (11.0, 15.0, 36.0)}
UTC_TIME = {7: (3.0, 15.0, 2.0), 29: "2026:11:22"}
QUARTER_PAST_THREE = DAY + timedelta(hours=3, minutes=15)
PHOTOS = {
    "offset": (photo({ORIGINAL: "2026:11:22 04:15:00", OFFSET: "+01:00", SUBSECOND: "25"}, NORTH_EAST), 0.25, True),
    "odd offset": (photo({ORIGINAL: "2026:11:22 09:00:00", OFFSET: "+05:45"}), 0, False),
    "west": (photo({ORIGINAL: "2026:11:21 22:15:00", OFFSET: "-05:00"}), 0, False),
    "none": (photo({ORIGINAL: "2026:11:22 03:15:00"}, NORTH_EAST), 0, True),
    "by the receiver": (photo({ORIGINAL: "2026:11:22 04:15:00"}, NORTH_EAST | UTC_TIME), 0, True),
    "digitized": (photo({36868: "2026:11:22 03:15:00"}), 0, False),
    "receiver alone": (photo({ORIGINAL: "0000:00:00 00:00:00"}, UTC_TIME), 2, False),
    "no fix": (photo({ORIGINAL: "2026:11:22 03:15:00"}, NORTH_EAST | {9: "V"}), 0, False),
    "zeros": (photo({ORIGINAL: "2026:11:22 03:15:00"}, NORTH_EAST | {2: (0.0,) * 3, 4: (0.0,) * 3}), 0, False),
    "beyond": (photo({ORIGINAL: "2026:11:22 03:15:00"}, NORTH_EAST | {2: (98.0, 0.0, 0.0)}), 0, False),
    "side unknown": (photo({ORIGINAL: "2026:11:22 03:15:00"}, {2: (48.0, 30.0, 0.0), 4: (11.0, 0.0, 0.0)}), 0, False),
    "webp": (photo({ORIGINAL: "2026:11:22 03:15:00"}, NORTH_EAST, "WEBP"), 0, True),
    "png": (photo({ORIGINAL: "2026:11:22 03:15:00"}, NORTH_EAST, "PNG"), 0, True),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("what", PHOTOS)
def test_photos_tell_their_time_and_place(tmp_path: Path, what: str, packed: bool) -> None:
    data, seconds, placed = PHOTOS[what]
    if packed:
        write_tar(tmp_path / "photos.tar", {"IMG_20260101_000000.jpg": data})
    else:
        write(tmp_path / "photos" / "IMG_20260101_000000.jpg", data)
    [source] = opened(tmp_path)
    [frame] = frames_of(source)
    assert frame.timestamp == source.captured == QUARTER_PAST_THREE + timedelta(seconds=seconds)
    assert frame.timestamp_source is source.captured_from is TimestampSource.CONTAINER
    place = (pytest.approx(48.5), pytest.approx(11.26)) if placed else (None, None)
    assert (frame.latitude, frame.longitude) == place


def test_tiff_files_are_images(tmp_path: Path) -> None:
    write_images(tmp_path / "scans", 2, ".tif")
    [source] = opened(tmp_path)
    assert [frame.image is not None for frame in frames_of(source)] == [True, True]


def test_photos_beside_photos_that_tell_nothing(tmp_path: Path, record: ScanRecord) -> None:
    south_west = {1: b"S", 2: (33.0, 30.0, 0.0), 3: b"W", 4: (70.0, 30.0, 0.0)}
    write(tmp_path / "a" / "photos" / "1.jpg", photo({ORIGINAL: "2026:11:22 04:15:00", OFFSET: "+01:00"}, south_west))
    write(tmp_path / "a" / "photos" / "2.jpg", image_bytes(2))
    written = (DAY + timedelta(hours=9)).timestamp()
    for path in (tmp_path / "a" / "photos").iterdir():
        os.utime(path, (written, written))
    scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    first, second = sorted(rows(tmp_path / "T", "frames", record), key=lambda row: int(str(row["frame_index"])))
    assert (first["latitude"], first["longitude"], first["timestamp"]) == (-33.5, -70.5, QUARTER_PAST_THREE)
    assert (second["latitude"], second["timestamp"]) == (None, DAY + timedelta(hours=9))


def test_tesla(tmp_path: Path) -> None:
    folder = tmp_path / "SavedClips" / "2026-11-22_03-15-00"
    for name in ("2026-11-22_03-05-00-front", "2026-11-22_03-14-01-back"):
        write_video(folder / f"{name}.mp4")
    event = {"timestamp": "2026-11-22T03:15:00", "city": "X", "est_lat": "48.5", "est_lon": "11.25", "camera": "0"}
    write(folder / "thumb.png", image_bytes(1, ".png"))
    for reason, early in (("user_interaction_honk", None), ("sentry_aware_object_detection", 48.5)):
        write(folder / "event.json", json.dumps(event | {"reason": reason}))
        far, near = opened(tmp_path)
        assert (far.latitude, near.latitude, near.longitude) == (early, 48.5, 11.25)
        assert near.captured == datetime(2026, 11, 22, 3, 14, 1, tzinfo=UTC)
    write(folder / "event.json", "{")
    notes = [(str(source.note), source.error) for source in opened(tmp_path)]
    assert all("event.json cannot be read as a sidecar" in note and error is None for note, error in notes)


def test_folders_that_tell_a_time(tmp_path: Path) -> None:
    """Where neither header nor name does, and the files were copied later."""
    for folder in ("2026-11-22_03-15-00", "x/2026-11-22--03-15-00--2"):
        write_video(tmp_path / folder / "clip.mp4")
    later, same_day = (DAY + timedelta(days=9)).timestamp(), (DAY + timedelta(hours=3, minutes=40)).timestamp()
    for written, expected in (
        (later, QUARTER_PAST_THREE),
        (same_day, DAY + timedelta(hours=3, minutes=39, seconds=58)),
    ):
        for path in tmp_path.rglob("*.mp4"):
            os.utime(path, (written, written))
        clip, segment = opened(tmp_path)
        assert clip.captured == expected
        assert segment.captured == QUARTER_PAST_THREE + timedelta(minutes=2)


def test_what_belongs_to_a_layout_is_not_named_as_passed_over(tmp_path: Path) -> None:
    kitti(tmp_path)
    write_images(tmp_path / "other", 1)
    write(tmp_path / "other" / "timestamps.txt", "x")
    assert [name.rsplit("/", 2)[-2:] for name in find_sources(str(tmp_path)).ignored] == [["other", "timestamps.txt"]]
