"""Tracks beside sources, and cameras whose clock is wrong."""

import json
import math
import os
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor
from pathlib import Path

import pytest

from schemas.records import Outcome, ScanRecord, TimestampSource
from tasks.footage.archive import list_sources
from tasks.footage.frames import BadTrack, Position, Track, parse_track, read_track
from tasks.footage.source_kind import Fix
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.samples import BlobFinder, set_creation_time, upload, write_images, write_video
from tests.tasks.scanning.test_scan import outcomes, rows, whole

START = datetime(2026, 11, 22, 3, 15, tzinfo=UTC)

GPX = """<?xml version="1.0"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>
<trkpt lat="48.0" lon="11.0"><ele>5</ele><time>2026-11-22T03:15:00Z</time></trkpt>
<trkpt lat="0" lon="0"><time>2026-11-22T03:15:00.5Z</time></trkpt>
<trkpt lat="48.1"><time>2026-11-22T03:15:00.7Z</time></trkpt>
<trkpt lat="48.2" lon="11.4"><time>2026-11-22T04:15:02+01:00</time></trkpt>
</trkseg></trk></gpx>"""
CSV = "Timestamp;Lat;Lon;speed\n2026-11-22 03:15:00;48.0;11.0;1\n2026-11-22 03:15:01;;;\n1795317302;48.2;11.4;2\n"
CSV_SECONDS = "seconds,latitude,longitude\n0,48.0,11.0\n2,48.2,11.4\n"
JSON = json.dumps(
    {"track": [{"time": "2026-11-22T03:15:00", "lat": 48, "lon": 11}, {"seconds": 2, "lat": 48.2, "lng": 11.4}]}
)
TRACKS = [("gpx", GPX), ("csv", CSV), ("csv", CSV_SECONDS), ("json", JSON)]


@pytest.mark.parametrize(("suffix", "text"), TRACKS)
@pytest.mark.parametrize("stem", ["20261122_031500", "20261122_031500.mp4"])
def test_every_frame_has_its_place(tmp_path: Path, record: ScanRecord, suffix: str, text: str, stem: str) -> None:
    write_video(tmp_path / "a" / "20261122_031500.mp4")
    (tmp_path / "a" / f"{stem}.{suffix}").write_text(text)
    listing = list_sources(str(tmp_path / "a"))
    assert listing.ignored == () and listing.sources[0].captured == START
    scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    for table in ("frames", "instances"):
        for row in rows(tmp_path / "T", table, record):
            share = float(str(row["frame_index"])) / 20  # of 2 s at 10 frames a second
            assert row["latitude"] == pytest.approx(48 + 0.2 * share)
            assert row["longitude"] == pytest.approx(11 + 0.4 * share)


def test_tracks_from_s3_and_of_folders(tmp_path: Path, s3: str) -> None:
    write_images(tmp_path / "a" / "photos")
    (tmp_path / "a" / "photos.gpx").write_text(GPX)
    [source] = list_sources(upload(tmp_path / "a", f"{s3}/a")).sources
    assert source.track == f"{s3}/a/photos.gpx"
    track = read_track(source)
    place = track and track.at(START + timedelta(seconds=1))
    assert place and (place.latitude, place.longitude) == pytest.approx((48.1, 11.2))


def test_positions_between_fixes() -> None:
    def fix(second: float, latitude: float, longitude: float) -> Fix:
        return Fix(START + timedelta(seconds=second), latitude, longitude)

    track = Track([fix(10, 2, 179), fix(0, 1, 179), fix(20, 2, -179), fix(500, 5, 5)])
    expected = {
        -3: None,  # before the track
        -1: Position(1, 179),
        0: Position(1, 179),
        5: Position(1.5, 179),
        15: Position(2, 180),  # over the 180th meridian the short way
        16: Position(2, -179.8),
        20: Position(2, -179),
        300: None,  # a guess between fixes eight minutes apart
        501: Position(5, 5),
        503: None,
    }
    for second, place in expected.items():
        found = track.at(START + timedelta(seconds=second))
        assert (found and astuple(found)) == (place and pytest.approx(astuple(place))), second


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("gpx", b"<gpx><trk>"),
        ("gpx", b'<!DOCTYPE g [<!ENTITY a "aaaa">]><gpx>&a;</gpx>'),
        ("gpx", b"<gpx/>"),
        ("csv", b"one,two\n1,2\n"),
        ("csv", b"\xff\xfe\x00"),
        ("csv", b""),
        ("csv", b"time,lat,lon\n2026-11-22,999,1\nnonsense,1,1\n1e300,1,1\n"),
        ("json", b'{"track": [1, null, {"lat": "x"}]}'),
    ],
)
def test_a_track_that_is_none_is_noted_and_costs_nothing(
    tmp_path: Path, record: ScanRecord, suffix: str, data: bytes
) -> None:
    write_video(tmp_path / "a" / "20261122_031500.mp4")
    (tmp_path / "a" / f"20261122_031500.{suffix}").write_bytes(data)
    result = scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    assert outcomes(result)["20261122_031500.mp4"] == (Outcome.OK, None)
    [commit] = Tables.at(tmp_path / "T").commits(record.scan_id)
    [note] = commit.notes
    assert f"20261122_031500.{suffix} not used: " in note and "\n" not in note
    assert all(row["latitude"] is None for row in rows(tmp_path / "T", "frames", record))


def test_zones() -> None:
    [fix] = parse_track("x.csv", b"time,lat,lon\n2026-11-22T04:15:00+01:00,1,2\n", START)
    assert fix == Fix(START, 1, 2)
    [fix] = parse_track("x.csv", b"time,lat,lon\n2026-11-22T03:15:00,1,2\n", START)
    assert fix == Fix(START, 1, 2)


@pytest.mark.parametrize("year", [1904, 1970, 1999, 2039])
def test_a_clock_that_is_wrong_is_not_believed(tmp_path: Path, record: ScanRecord, year: int) -> None:
    """A header in 2039 of a file written in 2026, and headers of clocks that were never set."""
    video = write_video(tmp_path / "a" / "clip.mp4")
    set_creation_time(video, datetime(year, 1, 1, tzinfo=UTC))
    os.utime(video, (START.timestamp() + 2, START.timestamp() + 2))  # when the two seconds were over
    [source] = list_sources(str(tmp_path / "a")).sources
    assert (source.captured, source.captured_from) == (START, TimestampSource.MTIME)
    scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    [commit] = Tables.at(tmp_path / "T").commits(record.scan_id)
    said = [note for note in commit.notes if f"the container says {year}-01-01" in note]
    assert len(said) == (year > 2026)
    assert {str(row["dt"]) for row in rows(tmp_path / "T", "frames", record)} == {"2026-11-22"}


@pytest.mark.parametrize("written", [-1e9, 0, 1, 7_258_118_400])  # 1938, 1970, 2200
def test_files_of_any_age(tmp_path: Path, record: ScanRecord, written: float) -> None:
    video = write_video(tmp_path / "a" / "clip.mp4")
    photos = write_images(tmp_path / "a" / "photos")
    for path in (video, *photos.iterdir()):
        os.utime(path, (written, written))
    sources = list_sources(str(tmp_path / "a")).sources
    expected = datetime.fromtimestamp(max(written, 0), UTC)
    assert {source.captured for source in sources} == {expected}
    result = scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    assert {outcome for outcome, _ in outcomes(result).values()} == {Outcome.OK}
    assert len(rows(tmp_path / "T", "frames", record)) == 7
    # A name is believed where the age of the file says nothing.
    video.rename(tmp_path / "a" / "20261122_031500.mp4")
    assert START in {source.captured for source in list_sources(str(tmp_path / "a")).sources}


def test_no_track(tmp_path: Path) -> None:
    [source] = list_sources(str(write_video(tmp_path / "clip.mp4"))).sources
    assert source.track is None and read_track(source) is None
    (tmp_path / "clip.gpx").write_text(GPX)
    [source] = list_sources(str(tmp_path / "clip.mp4")).sources
    (tmp_path / "clip.gpx").unlink()
    with pytest.raises(BadTrack, match="cannot be read"):
        read_track(source)


EPOCH = int(START.timestamp())
MET = {
    "milliseconds.csv": "timestamp,latitude,longitude\n" + "".join(f"{(EPOCH + n) * 1000},4{n},11\n" for n in range(3)),
    "nanoseconds.csv": "time,elapsed,longitude,latitude\n"
    + "".join(f"{(EPOCH + n) * 10**9},9,11,4{n}\n" for n in range(3)),
    "two-columns.csv": "date,time,lat,lon\n" + "".join(f"2026-11-22,03:15:0{n},4{n},11\n" for n in range(3)),
    "slashes.csv": "time;lat;lon\n" + "".join(f"2026/11/22 03:15:0{n};4{n};11\n" for n in range(3)),
    "day-first.csv": "time,lat,lng\n" + "".join(f"22.11.2026 03:15:0{n},4{n},11\n" for n in range(3)),
    "month-first.csv": "Date,Time,lat,lng\n" + "".join(f"11/22/2026,3:15:0{n} AM,4{n},11\n" for n in range(3)),
    "day-and-slashes.csv": "time,lat,lng\n" + "".join(f"22/11/2026 03:15:0{n},4{n},11\n" for n in range(3)),
    "units.csv": "cts,date,GPS9 (Lat.) [deg],GPS9 (Long.) [deg]\n"
    + "".join(f"{n},2026-11-22T03:15:0{n}.000Z,4{n},11\n" for n in range(3)),
    "comments.csv": "# written by a logger\r\n\r\n#v2\r\ntime,lat,lon\r\n"
    + "".join(f"2026-11-22T03:15:0{n}Z,4{n},11\r\n" for n in range(3)),
    "power-lost.gpx": "<gpx><trk><trkseg>"
    + "".join(f'<trkpt lat="4{n}" lon="11"><time>2026-11-22T03:15:0{n}Z</time></trkpt>' for n in range(3))
    + '<trkpt lat="43" lo',
    "bdd100k.json": '{"locations": ['
    + ",".join(f'{{"timestamp": {(EPOCH + n) * 1000}, "longitude": 11, "latitude": 4{n}}}' for n in range(3))
    + "]}",
    "receiver.nmea": "".join(f"$GPRMC,03150{n}.00,A,4{n}00.000,N,01100.000,E,0.0,0.0,221126,,*00\n" for n in range(3)),
    "recorder.gps": "".join(
        f"[1795317300{n}]$GNRMC,03150{n},A,4{n}00.0,N,01100.0,E,0,0,221126,,,A\n" for n in range(3)
    ),
    "drone.srt": "\n\n".join(
        f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\n[latitude: 4{n}.0] [longitude: 11.0]" for n in range(3)
    ),
    "older-drone.srt": "\n\n".join(
        f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\nGPS(11.0,4{n}.0,20)" for n in range(3)
    ),
}


MET |= {
    "pipes.csv": "time|lat|lon\n" + "".join(f"2026-11-22T03:15:0{n}Z|4{n}|11\n" for n in range(3)),
    "old-mac.csv": "time,lat,lon\r" + "".join(f"2026-11-22T03:15:0{n}Z,4{n},11\r" for n in range(3)),
    "spreadsheet.csv": "sep=;\ntime;lat;lon\n" + "".join(f"2026-11-22T03:15:0{n}Z;4{n},0;11,0\n" for n in range(3)),
    "serial-days.csv": "timestamp,lat,lon\n"
    + "".join(f"{46348 + (11700 + n) / 86400:.10f},4{n},11\n" for n in range(3)),
    "clock-alone.csv": "time,lat,lon\n" + "".join(f"03:15:0{n},4{n},11\n" for n in range(3)),
    "digits.csv": "date,time,lat,lon\n" + "".join(f"221126,03150{n},4{n},11\n" for n in range(3)),
    "digits-year-first.csv": "date,time,lat,lon\n" + "".join(f"20261122,03150{n}.0,4{n},11\n" for n in range(3)),
    "no-fix-at-first.csv": "time,lat,lon,fix\n2026-11-22T03:14:00Z,40,11,0\n"
    + "".join(f"2026-11-22T03:15:0{n}Z,4{n},11,3\n" for n in range(3)),
    "ros.csv": "%time,field.header.stamp,field.latitude,field.longitude\n"
    + "".join(f"{(EPOCH + n) * 10**9},{(EPOCH + n) * 10**9},4{n},11\n" for n in range(3)),
    "empty-lines.gpx": '\n\n<?xml version="1.0"?><gpx><trk><trkseg>'
    + "".join(f'<trkpt lat="4{n}" lon="11"><time>2026-11-22T03:15:0{n}Z</time></trkpt>' for n in range(3))
    + "</trkseg></trk></gpx>",
    # The week of GPS began again in 2019: the receiver is 1,024 weeks behind.
    "rollover.nmea": "".join(f"$GPRMC,03150{n},A,4{n}00.0,N,01100.0,E,0,0,080407,,\n" for n in range(3)),
    "whole-minutes.nmea": "".join(f"$GPRMC,03150{n},A,4{n}00,N,01100,E,0,0,221126,,\n" for n in range(3)),
    "gga.nmea": "".join(f"$GPGGA,03150{n},4{n}00.0,N,01100.0,E,1,08,0.9,545.4,M,46.9,M,,\n" for n in range(3)),
    "zda.nmea": "$GPZDA,031500,22,11,2026,00,00\n$GPGGA,031459,4700.0,N,01100.0,E,0,,,,M,,M,,\n"
    + "".join(f"$GPGGA,03150{n},4{n}00.0,N,01100.0,E,1,08,0.9,545.4,M,46.9,M,,\n" for n in range(3)),
    "sides.srt": "\n\n".join(f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\nN:4{n}.0 E:11.0 50 km/h" for n in range(3)),
    "short.srt": "\n\n".join(f"{n + 1}\n00:00:0{n},000 --> 00:00:0{n},900\nLat: 4{n}.0 Lon: 11.0" for n in range(3)),
}


@pytest.mark.parametrize("name", MET)
def test_tracks_as_they_are_met(name: str) -> None:
    fixes = parse_track(name, MET[name].encode(), START)
    assert fixes == [Fix(START + timedelta(seconds=n), 40 + n, 11) for n in range(3)]


@pytest.mark.parametrize(
    "row", ["1e300,1,1", "nan,1,1", "99999999999999999999,1,1", "2026-02-30 01:00:00,1,1", "2026-11-22,1,1", "-5,1,1"]
)
def test_impossible_times_are_no_fix(row: str) -> None:
    assert parse_track("a.csv", f"time,lat,lon\n{row}\n".encode(), START) == []


def test_damaged_sentences_are_left_out() -> None:
    """By their checksums, where those of the others are right, and by minutes that cannot be."""
    sentence = "GPRMC,03150{},A,4{}00.0,N,01100.0,E,0,0,221126,,,A"
    bodies = [sentence.format(n, n) for n in range(5)]
    sums = [reduce(xor, body.encode()) for body in bodies]
    bodies[3] = bodies[3].replace("4300.0", "4800.0")
    bodies.append(sentence.format(5, 5).replace("4500.0", "4575.0"))
    sums.append(reduce(xor, bodies[5].encode()))
    text = "".join(f"${body}*{checksum:02X}\r\n" for body, checksum in zip(bodies, sums, strict=True))
    assert [fix.latitude for fix in parse_track("a.nmea", text.encode(), START)] == [40, 41, 42, 44]


def test_positions_of_another_time_are_told(tmp_path: Path, record: ScanRecord) -> None:
    write_video(tmp_path / "a" / "20261122_031500.mp4")
    (tmp_path / "a" / "20261122_031500.csv").write_text("time,lat,lon\n2026-11-22T05:15:00Z,48,11\n")
    scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), BlobFinder())
    [commit] = Tables.at(tmp_path / "T").commits(record.scan_id)
    assert "no frame has a position: the positions are of 2026-11-22 05:15:00 to" in commit.notes[0]


UNITS = {
    "latitudeE7": "time,latitudeE7,longitudeE7\n" + "".join(f"{EPOCH + n},4{n}0000000,110000000\n" for n in range(3)),
    "micro": "time,lat_e6,lon_e6\n" + "".join(f"{EPOCH + n},4{n}000000,11000000\n" for n in range(3)),
    "radians": "time,lat [rad],lon [rad]\n"
    + "".join(f"{EPOCH + n},{math.radians(40 + n)},{math.radians(11)}\n" for n in range(3)),
    "range: 1e-7 degrees": "time,lat,lon\n" + "".join(f"{EPOCH + n},4{n}0000000,110000000\n" for n in range(3)),
    "range: minutes": "time,lat,lon\n" + "".join(f"{EPOCH + n},4{n}00.0000,1100.0000\n" for n in range(3)),
    "sides": "time,latitude,N/S,longitude,E/W\n" + "".join(f"{EPOCH + n},4{n}00.0,N,1100.0,E\n" for n in range(3)),
    "letters": "time;lat;lon\n" + "".join(f"{EPOCH + n};N 4{n};11°00'00\"E\n" for n in range(3)),
    "decimal commas": "time;lat;lon\n" + "".join(f"{EPOCH + n};4{n},0;11,0\n" for n in range(3)),
    "milliseconds by name": "time_ms,lat,lon\n" + "".join(f"{n * 1000},4{n},11\n" for n in range(3)),
    "milliseconds in brackets": "Time [ms],lat,lon\n" + "".join(f"{n * 1000},4{n},11\n" for n in range(3)),
    "seconds by name": "time (s),lat,lon\n" + "".join(f"{n}.0,4{n},11\n" for n in range(3)),
    "elapsed by range": "timestamp,lat,lon\n" + "".join(f"{n * 1000},4{n},11\n" for n in range(3)),
    "zone by word": "time,lat,lon\n" + "".join(f"2026-11-22 03:15:0{n} UTC,4{n},11\n" for n in range(3)),
    "names beside": "time,Höhe,lat,lon\n" + "".join(f"{EPOCH + n},9,4{n},11\n" for n in range(3)),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("what", UNITS)
def test_units_by_name_and_by_range(what: str, encoding: str) -> None:
    fixes = parse_track("a.csv", UNITS[what].encode(encoding), START)
    assert [(fix.moment, round(fix.latitude, 6), round(fix.longitude, 6)) for fix in fixes] == [
        (START + timedelta(seconds=n), 40 + n, 11) for n in range(3)
    ]


def test_a_unit_that_nothing_tells_is_said() -> None:
    with pytest.raises(ValueError, match="unit that neither"):
        parse_track("a.csv", b"time,lat,lon\n1795317300,48000000,11000000\n", START)
    # One value that cannot be does not change the unit of the others.
    rows = "".join(f"{EPOCH + n},{'4800.0' if n == 1 else 40 + n},11\n" for n in range(4))
    assert len(parse_track("a.csv", f"time,lat,lon\n{rows}".encode(), START)) == 3


def test_two_receivers_in_a_gpx_are_not_mixed() -> None:
    def track(latitude: float, first: int, count: int) -> str:
        points = (
            f'<trkpt lat="{latitude}" lon="11"><time>{START + timedelta(seconds=first + n)}</time></trkpt>'
            for n in range(count)
        )
        return f"<trk><trkseg>{''.join(points)}</trkseg></trk>"

    both = f"<gpx>{track(10, 0, 3)}{track(48, 0, 5)}{track(49, 100, 2)}</gpx>"
    assert {fix.latitude for fix in parse_track("a.gpx", both.encode(), START)} == {48, 49}
