from datetime import UTC, datetime

import pytest

from tasks.footage.capture_time import read_sidecar, time_in_header, time_in_name

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
    for absurd in (None, "", "1904-01-01 00:00:00 UTC", "1970-01-01 00:00:00 UTC", "2206-01-01 00:00:00 UTC", "soon"):
        assert time_in_header(absurd) is None


def test_sidecar() -> None:
    sidecar = read_sidecar(b'{"captured": "2026-11-22T04:15:00+01:00", "latitude": 48.1, "speed": 3}')
    assert sidecar is not None
    assert (sidecar.captured, sidecar.latitude, sidecar.longitude) == (MOMENT, 48.1, None)
    naive = read_sidecar(b'{"captured": "2026-11-22T03:15:00"}')
    assert naive is not None and naive.captured == MOMENT
    for bad in (b"", b"[]", b"{", b'{"captured": "yesterday"}', b'{"latitude": 123}', b'{"longitude": "far"}'):
        assert read_sidecar(bad) is None
