import struct
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from schemas.records import TimestampSource
from tasks.footage.archive import list_sources
from tasks.footage.capture_time import read_sidecar, time_in_header, time_in_name, time_in_path
from tests.tasks.footage.numbered import add_numbered, write_numbered
from tests.tasks.samples import write_video

MOMENT = datetime(2026, 11, 22, 3, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "20261122_031500.mp4",
        "20261122031500.mp4",
        "2026-11-22T03-15-00.mkv",
        "2026-11-22T03:15:00Z.mkv",
        "2026-11-22 03.15.00.jpg",
        "2026_11_22_03_15_00_front.mp4",
        "VID_20261122_031500_001.mp4",
        "front-20261122-031500-000123.avi",
        "2026.11.22 at 03.15.00.png",
        "20269922_031500_20261122_031500.mp4",
    ],
)
def test_time_in_name(name: str) -> None:
    assert time_in_name(name) == MOMENT


@pytest.mark.parametrize(
    "name",
    [
        "clip.mp4",
        "0001.jpg",
        "20261322_031500.mp4",
        "20261122_256000.mp4",
        "20261122.mp4",
        "120261122031500.mp4",
        "19700101_000000.mp4",
        "20000101_000000.mp4",
        "202611220315001.mp4",
    ],
)
def test_no_time_in_name(name: str) -> None:
    assert time_in_name(name) is None


def test_time_in_header() -> None:
    assert time_in_header("2026-11-22 03:15:00 UTC") == MOMENT
    assert time_in_header("UTC 2026-11-22 03:15:00") == MOMENT
    assert time_in_header("2026-11-22T05:15:00+0200") == MOMENT
    assert time_in_header("Sun Nov 22 03:15:00 2026") == MOMENT  # AVI
    assert time_in_header("2026:11:22 03:15:00") == MOMENT
    assert time_in_header("2026-11-22 03:15:00 UTC / 2026-11-22 04:15:00 UTC") == MOMENT
    for day in ("2026-11-22", "2026"):  # no time of day
        assert time_in_header(day) is None
    for absurd in (None, "", "1904-01-01 00:00:00 UTC", "1970-01-01 00:00:00 UTC", "2206-01-01 00:00:00 UTC", "soon"):
        assert time_in_header(absurd) is None


@pytest.mark.parametrize("place", ['"latitude": 948.1, "longitude": 9', '"latitude": 48, "longitude": "far"'])
def test_what_is_wrong_in_a_sidecar_costs_only_itself(tmp_path: Path, place: str) -> None:
    write_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / "a.json").write_text(f'{{"captured": "2026-11-22T03:15:00Z", {place}}}')
    [source] = list_sources(str(tmp_path)).sources
    assert (source.captured, source.captured_from) == (MOMENT, TimestampSource.SIDECAR)
    assert (source.latitude, source.longitude) == (None, None)
    wrong = "latitude" if "948" in place else "longitude"
    assert source.note == f"{(tmp_path / 'a.json').as_uri()} has a wrong {wrong}: not used"


def test_sidecar() -> None:
    sidecar = read_sidecar(b'{"captured": "2026-11-22T04:15:00+01:00", "latitude": 48.1, "speed": 3}')
    assert sidecar is not None
    assert (sidecar.captured, sidecar.latitude, sidecar.longitude) == (MOMENT, 48.1, None)
    naive = read_sidecar(b'{"captured": "2026-11-22T03:15:00"}')
    assert naive is not None and naive.captured == MOMENT
    for bad in (b"", b"[]", b"{", b'{"captured": "yesterday"}', b'{"latitude": 123}', b'{"longitude": "far"}'):
        assert read_sidecar(bad) is None


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        # With an offset from UTC.
        ("2026-11-22T04-15-00+0100.mp4", "03:15:00"),
        ("20261122T084500+0530_cam.mp4", "03:15:00"),
        ("2026-11-21T22:15:00-05:00.mp4", "03:15:00"),
        ("2026-11-22T03-15-00Z.mp4", "03:15:00"),
        # The number of a file is no offset.
        ("2026-11-22-03-15-00-0001.mp4", "03:15:00"),
        ("20261122_031500-0100.mp4", "03:15:00"),
        # nuScenes: when the drive began, in local time, and when the picture was taken.
        ("n015-2026-11-22-11-10-45+0800__CAM_FRONT__1795317300250000.jpg", "03:15:00.250000"),
        # Fractions.
        ("PXL_20261122_031500123.TS.mp4", "03:15:00.123000"),  # Pixel
        ("2026-11-22T03-15-00.250Z.jpg", "03:15:00.250000"),
        # Seconds since 1970, down to nanoseconds.
        ("1795317300.jpg", "03:15:00"),
        ("cam_1795317300.jpg", "03:15:00"),
        ("1795317300.250000.png", "03:15:00.250000"),
        ("cam_1795317300250.jpg", "03:15:00.250000"),
        ("1795317300250000.jpg", "03:15:00.250000"),
        ("1795317300250000123.png", "03:15:00.250000"),
        # Recorders.
        ("2026_1122_031500_0001F.MP4", "03:15:00"),  # Viofo
        ("20261122_031500_0001R.MP4", "03:15:00"),
        ("261122_031500_025_FH.MP4", "03:15:00"),  # Nextbase
        ("20261122_031500_NF.mp4", "03:15:00"),  # BlackVue
        ("REC_2026_11_22_03_15_00_F.MP4", "03:15:00"),  # Thinkware
        ("NO20261122-031500-000001F.MP4", "03:15:00"),  # 70mai
        ("FILE261122-031500-000001F.MP4", "03:15:00"),
        ("2026-11-22_03-15-00-front.mp4", "03:15:00"),  # Tesla
        ("DJI_20261122031500_0001_D.MP4", "03:15:00"),
        ("VID_20261122_031500_00_001.insv", "03:15:00"),
        ("2026-11-22 03.15.00.mp4", "03:15:00"),  # Dropbox
        ("2026-11-22--03-15-00", "03:15:00"),  # comma2k19
        ("FILE261122-031500F.MP4", "03:15:00"),  # Mio
        ("RecM01_20261122_031500_031600_6D28808_1A2B3C.mp4", "03:15:00"),  # Reolink
        # Letters and words between the numbers.
        ("2026-11-22_03h15m00s.mp4", "03:15:00"),
        ("2026年11月22日03時15分00秒.mp4", "03:15:00"),
        ("2026-11-22T03%3A15%3A00Z.mp4", "03:15:00"),
        ("Screen Recording 2026-11-22 at 3.15.00 AM.mov", "03:15:00"),
        ("2026-11-22 at 3.15.00\u202fPM.mov", "15:15:00"),
        # The year last, where the numbers tell which is the month.
        ("22-11-2026_03-15-00.mp4", "03:15:00"),
        ("11-22-2026_03-15-00.mp4", "03:15:00"),
        ("22.11.2026_03.15.00.mp4", "03:15:00"),
        ("22112026_031500.mp4", "03:15:00"),
        ("22Nov2026_031500.mp4", "03:15:00"),
        ("November 22, 2026 03.15.00.mp4", "03:15:00"),
        # More ways to write an offset.
        ("2026-11-22 04:15:00+01.mp4", "03:15:00"),
        ("2026-11-22T04-15-00+01-00.mp4", "03:15:00"),
        ("2026-11-22T04-15-00UTC+1.mp4", "03:15:00"),
        ("2026-11-21_22-15-00_GMT-0500.mp4", "03:15:00"),
        ("2026-11-22T03-15-00-05.mp4", "03:15:00"),
    ],
)
def test_names_of_recorders_and_data_sets(name: str, moment: str) -> None:
    assert time_in_name(name) == datetime.fromisoformat(f"2026-11-22T{moment}+00:00")


@pytest.mark.parametrize(
    "name", ["GX010001.MP4", "GRMN0001.MP4", "frame_000000000000123.jpg", "0123456789.mp4", "11-12-2026_03-15-00.mp4"]
)
def test_numbers_that_are_no_time(name: str) -> None:
    assert time_in_name(name) is None


@pytest.mark.parametrize(
    "path",
    [
        "cam/2026-11-22/03-15-00.mp4",  # motionEye
        "2026/11/22/03h15m00s.mp4",
        "2026-11-22/03/front/15.00.mp4",  # Frigate
        "record/20261122/03/15.mp4",  # Wyze
        "2026Y11M22D03H/15M00S.mp4",  # Yi
        "2026-11-22/001/dav/03/03.15.00-03.16.00[M][0@0][0].dav",  # Dahua
        "2026-11-22/20261122_031500.mp4",
    ],
)
def test_day_in_folders_and_time_of_day_in_the_name(path: str) -> None:
    assert time_in_path(path) == MOMENT


@pytest.mark.parametrize(
    "path",
    [
        "2026-11-22/clip1.mp4",
        "2026-11-22/000123.jpg",
        "2026-11-22/03/01.jpg",
        "2026-13-22/03-15-00.mp4",
        "03-15-00.mp4",
    ],
)
def test_counters_in_the_folder_of_a_day(path: str) -> None:
    assert time_in_path(path) is None


def test_sidecar_of_a_data_set() -> None:
    told = b'{"startTime": 1795317300000, "locations": [{"timestamp": 1795317300000, "longitude": 1, "latitude": 2}]}'
    sidecar = read_sidecar(told)
    assert sidecar is not None and sidecar.captured == MOMENT and sidecar.track and len(sidecar.track) == 1


def test_avi_of_cameras(tmp_path: Path) -> None:
    data = bytearray(write_numbered(tmp_path / "a.avi", "mjpeg", pixels="yuvj420p").read_bytes())
    header = data.index(b"LIST", 12)
    end = header + 8 + int.from_bytes(data[header + 4 : header + 8], "little")
    date = b"IDIT" + struct.pack("<I", 26) + b"SUN NOV 22 03:15:00 2026\n\0"
    data[end:end] = date
    for place in (4, header + 4):
        size = int.from_bytes(data[place : place + 4], "little") + len(date)
        data[place : place + 4] = size.to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(data)
    [source] = list_sources(str(tmp_path / "a.avi")).sources
    assert (source.captured, source.captured_from) == (MOMENT, TimestampSource.CONTAINER)


def test_videos_of_phones_after_ffmpeg(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mov"), "w", options={"movflags": "use_metadata_tags"}) as file:
        file.metadata["com.apple.quicktime.creationdate"] = "2026-11-22T04:15:00+0100"
        add_numbered(file, times=range(0, 1000, 100))
    [source] = list_sources(str(tmp_path / "a.mov")).sources
    assert (source.captured, source.captured_from) == (MOMENT, TimestampSource.CONTAINER)
