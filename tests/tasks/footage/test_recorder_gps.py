"""Positions inside videos: each recorder's form, at the right second, and what of it is damaged."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.records import Outcome, ScanRecord
from tasks.footage.archive import list_sources
from tasks.footage.frames import BadTrack, Position, read_track
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.footage.recorded_gps import (
    add_data_track,
    add_novatek,
    add_to_movie,
    box,
    clip,
    gopro_sample,
    item,
    novatek_block,
)
from tests.tasks.samples import BlobFinder, upload
from tests.tasks.scanning.test_scan import outcomes, rows, whole

CLOCK = datetime(2026, 11, 22, 11, 15, tzinfo=UTC)  # eight hours from the name's


def north(second: float) -> float:
    return 48 + second / 1000


def is_about(position: Position | None, latitude: float, longitude: float) -> bool:
    """Within about a metre, as the minutes of the boxes tell it."""
    told = position and (position.latitude, position.longitude)
    return bool(told == pytest.approx((latitude, longitude), abs=1e-5))


def novatek(path: Path) -> Path:
    return add_novatek(clip(path), [novatek_block(CLOCK + timedelta(seconds=n), north(n), 11.25) for n in range(6)])


def viofo_south_west(path: Path) -> Path:
    blocks = [
        novatek_block(CLOCK + timedelta(seconds=n), north(n), 11.25, offset=16 + 20, sides=b"SW") for n in range(6)
    ]
    return add_novatek(clip(path), blocks)


def gopro(path: Path) -> Path:
    samples = [gopro_sample([(north(n + k / 5), 11.25) for k in range(5)]) for n in range(6)]
    return add_data_track(clip(path), b"gpmd", samples)


def gopro_nine(path: Path) -> Path:
    samples = [gopro_sample([(north(n + k / 10), 11.25) for k in range(10)], nine=True) for n in range(6)]
    return add_data_track(clip(path), b"gpmd", samples)


def camm(path: Path) -> Path:
    motion = struct.pack("<HH3f", 0, 2, 1.0, 2.0, 3.0)
    samples = [
        sample
        for n in range(6)
        for sample in (struct.pack("<HHdidd7f", 0, 6, 0.0, 3, north(n), 11.25, *[0.0] * 7), motion)
    ]
    return add_data_track(clip(path), b"camm", samples, 0.5)


def camm_short(path: Path) -> Path:
    return add_data_track(clip(path), b"camm", [struct.pack("<HH3d", 0, 5, north(n), 11.25, 500.0) for n in range(6)])


def blackvue(path: Path) -> Path:
    lines = "".join(
        f"[{1795317300000 + 1000 * n}]$GPGGA,,*00\r\n"
        f"[{1795317300000 + 1000 * n}]$GPRMC,03150{n},A,48{n * 0.06:07.4f},N,01115.0000,E,1,1,221126,,,A*00\r\n"
        for n in range(6)
    )
    video = clip(path)
    video.write_bytes(video.read_bytes() + box(b"free", box(b"thum", bytes(20)) + box(b"gps ", lines.encode())))
    return video


RECORDERS: list[Callable[[Path], Path]] = [novatek, gopro, gopro_nine, camm, camm_short, blackvue]


@pytest.mark.parametrize("recorder", RECORDERS)
def test_each_frame_has_its_place(tmp_path: Path, recorder: Callable[[Path], Path], record: ScanRecord) -> None:
    recorder(tmp_path / "a" / "20261122_031500.mp4")
    result = scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    assert outcomes(result)["20261122_031500.mp4"][1] is None
    frames = rows(tmp_path / "T", "frames", record)
    assert len(frames) == 12
    for row in frames:
        second = min(float(str(row["frame_index"])) / 10, 5.0)  # the last fix holds for two seconds
        assert row["latitude"] == pytest.approx(north(second), abs=6e-4) and row["longitude"] == pytest.approx(11.25)


def test_the_other_hemispheres(tmp_path: Path) -> None:
    viofo_south_west(tmp_path / "20261122_031500.mp4")
    [source] = list_sources(str(tmp_path)).sources
    track = read_track(source)
    assert track is not None
    position = track.at(source.captured + timedelta(seconds=2))
    assert is_about(position, -north(2), -11.25)


def test_from_s3(tmp_path: Path, s3: str) -> None:
    novatek(tmp_path / "a" / "20261122_031500.mp4")
    [source] = list_sources(upload(tmp_path / "a", f"{s3}/a")).sources
    track = read_track(source)
    assert track is not None and is_about(track.at(source.captured), 48.0, 11.25)


def test_a_clock_that_is_set_when_the_receiver_finds_one(tmp_path: Path) -> None:
    """The first blocks have no fix and the recorder's own clock: what follows is at its second all the same."""
    clocks = [datetime(2019, 1, 1, 0, 0, n, tzinfo=UTC) for n in range(3)]
    clocks += [CLOCK + timedelta(seconds=n) for n in range(3)]
    blocks = [novatek_block(clock, north(n), 11.25, b"V" if n < 3 else b"A") for n, clock in enumerate(clocks)]
    [source] = list_sources(str(add_novatek(clip(tmp_path / "20261122_031500.mp4"), blocks))).sources
    track = read_track(source)
    assert track is not None and track.at(source.captured + timedelta(seconds=0.5)) is None
    assert is_about(track.at(source.captured + timedelta(seconds=4)), north(4), 11.25)


def no_fix(path: Path) -> Path:
    return add_data_track(clip(path), b"gpmd", [gopro_sample([(48.0, 11.0)], fix=0)] * 3)


def zeros(path: Path) -> Path:
    return add_novatek(clip(path), [novatek_block(CLOCK, 0.0, 0.0)] * 3)


def cut_off(path: Path) -> Path:
    return add_data_track(clip(path), b"gpmd", [gopro_sample([(48.0, 11.0)])[:40], b"", b"DEVC\0\1\xff\xff"])


def scrambled(path: Path) -> Path:
    return add_novatek(clip(path), [bytes(range(256))] * 3)


def beyond(path: Path) -> Path:
    places = struct.pack(">II", 2**32 - 1, 100) * 3
    return add_to_movie(clip(path), box(b"gps ", bytes(8) + places))


def tables_that_lie(path: Path) -> Path:
    table = box(b"stsd", struct.pack(">II", 0, 1) + box(b"gpmd", bytes(8))) + box(b"stsz", struct.pack(">III", 0, 0, 9))
    media = box(b"mdhd", bytes(24)) + box(b"minf", box(b"stbl", table))
    return add_to_movie(clip(path), box(b"trak", box(b"mdia", media)))


def no_scale(path: Path) -> Path:
    positions = item(b"SCAL", b"l", 4, struct.pack(">2l", 0, 0)) + item(b"GPS5", b"l", 20, bytes(20))
    return add_data_track(clip(path), b"gpmd", [item(b"DEVC", b"\0", 1, item(b"STRM", b"\0", 1, positions))])


@pytest.mark.parametrize("damage", [no_fix, zeros, cut_off, scrambled, beyond, tables_that_lie, no_scale])
def test_what_is_not_understood_costs_no_frame(
    tmp_path: Path, damage: Callable[[Path], Path], record: ScanRecord
) -> None:
    damage(tmp_path / "a" / "20261122_031500.mp4")
    result = scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    assert outcomes(result)["20261122_031500.mp4"] in ((Outcome.OK, None), (Outcome.EMPTY, None))
    frames = rows(tmp_path / "T", "frames", record)
    assert len(frames) == 12 and all(row["latitude"] is None for row in frames)
    [commit] = Tables.at(tmp_path / "T").commits(record.scan_id)
    assert len(commit.notes) == (damage in (scrambled, beyond, tables_that_lie, zeros))


def test_of_two_tracks_the_one_with_more_positions_is_taken(tmp_path: Path) -> None:
    lines = "".join(
        f"[{1795317300000 + 1000 * n}]$GPRMC,03150{n},A,1000.0,N,01000.0,E,1,1,221126,,,A*00\n" for n in (0, 1)
    )
    video = gopro(tmp_path / "20261122_031500.mp4")
    video.write_bytes(video.read_bytes() + box(b"free", box(b"gps ", lines.encode())))
    [source] = list_sources(str(video)).sources
    track = read_track(source)
    assert track is not None and is_about(track.at(source.captured), 48.0, 11.25)


def test_a_track_beside_comes_first(tmp_path: Path) -> None:
    novatek(tmp_path / "20261122_031500.mp4")
    (tmp_path / "20261122_031500.csv").write_text("seconds,lat,lon\n0,1,2\n5,1,2\n")
    [source] = list_sources(str(tmp_path)).sources
    track = read_track(source)
    assert track is not None and track.at(source.captured) == Position(1, 2)
    (tmp_path / "20261122_031500.csv").write_text("nothing")
    with pytest.raises(BadTrack):
        read_track(source)
