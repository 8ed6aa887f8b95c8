"""Where a car was: the track beside a source (GPX, CSV or JSON), and the position at any moment of it."""

import csv
import io
import json
import math
import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree

from schemas.records import Source
from tasks.errors import DeniedError
from tasks.footage.capture_time import moment_of, plausible
from tasks.footage.kinds import kind_of
from tasks.footage.source_kind import Fix
from tasks.footage.track_formats import nmea_fixes, subtitle_fixes
from tasks.storage import cannot_read, locate, reason
from tasks.storage_errors import is_out_of_reach, storage_errors

TRACK_SUFFIXES = (".gpx", ".csv", ".nmea", ".gps", ".srt")

_LARGEST_TRACK = 64 * 1024 * 1024
# A receiver gives a fix a second. Over a longer gap than a tunnel's a straight line would be a guess.
_LONGEST_GAP = timedelta(seconds=60)
_BEYOND_END = timedelta(seconds=2)
_LONGEST = 10 * 24 * 3600.0  # seconds from the first frame

# By what is left of a column's name when units and all but letters are gone.
_TIME = re.compile(r"(gps|utc|unix|epoch)?(time|timestamp|datetime|utc|date)(utc|ms|ns|us|s|unix)?")
_DATE = re.compile(r"(gps|utc)?date")
_SECONDS = re.compile(r"(seconds|offset|elapsed)(elapsed|s)?")
_LATITUDE = re.compile(r"(gps|position)?(latitude|lat)(deg|degrees)?")
_LONGITUDE = re.compile(r"(gps|position)?(longitude|long|lon|lng)(deg|degrees)?")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d")
_DAY_FIRST = re.compile(r"^(\d\d)\.(\d\d)\.(\d{4})")
_YEAR_FIRST = re.compile(r"^(\d{4})[/:.](\d\d)[/:.](\d\d)")


class BadTrack(Exception):
    """This file is no track. One line that says why."""


@dataclass(frozen=True, slots=True)
class Position:
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


class Track:
    """The fixes of one drive in order of time."""

    def __init__(self, fixes: Iterable[Fix]) -> None:
        self._fixes = sorted(fixes)
        self._moments = [fix.moment for fix in self._fixes]

    def at(self, moment: datetime) -> Position | None:
        """Between two fixes on the straight line; None where the nearest are too far away in time to tell."""
        after = bisect_right(self._moments, moment)
        around = self._fixes[max(after - 1, 0) : after + 1]
        if len(around) == 2 and around[1].moment - around[0].moment <= _LONGEST_GAP:
            return _between(around[0], around[1], moment)
        nearest = min(around, key=lambda fix: abs(fix.moment - moment))
        if abs(nearest.moment - moment) > _BEYOND_END:
            return None
        return Position(nearest.latitude, nearest.longitude)


def _between(before: Fix, behind: Fix, moment: datetime) -> Position:
    share = (moment - before.moment) / (behind.moment - before.moment)
    # The short way round, also over the 180th meridian.
    east = (behind.longitude - before.longitude + 180) % 360 - 180
    longitude = before.longitude + share * east
    if abs(longitude) > 180:
        longitude -= 360 if longitude > 0 else -360
    return Position(before.latitude + share * (behind.latitude - before.latitude), longitude)


def read_track(source: Source) -> Track | None:
    """The track beside a source, else that inside it, as in recordings; None where there is none.

    GPX: every ``trkpt`` and ``rtept`` with a time. CSV: a header with a time (``time`` or ``timestamp``: ISO 8601
    or a count since 1970, of seconds to nanoseconds; ``date`` and ``time``; or ``seconds`` since the first frame),
    ``latitude`` and ``longitude``. JSON: a list ``track`` or ``locations`` of objects with the same names. NMEA: RMC
    sentences. SRT: subtitles that tell latitude and longitude. Times without a zone are UTC. Fixes without a place are
    left out.

    Raises BadTrack when the file is none of these; UserError when the storage is out of reach.
    """
    if source.track is None:
        return _track_inside(source)
    place = locate(source.track)
    try:
        if int(place.fs.info(place.path)["size"] or 0) > _LARGEST_TRACK:
            raise BadTrack(f"larger than {_LARGEST_TRACK // 2**20} MB")
        data = place.fs.cat_file(place.path)
    except storage_errors() as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        raise BadTrack(f"cannot be read: {reason(error)}") from error
    try:
        fixes = parse_track(source.track, data, source.captured)
    except (ValueError, ElementTree.ParseError, csv.Error, RecursionError) as error:
        raise BadTrack(f"no track: {reason(error)}") from error
    if not fixes:
        raise BadTrack("no fix with a time and a place in it")
    return Track(fixes)


def _track_inside(source: Source) -> Track | None:
    if source.error:
        return None
    place = locate(source.uri)
    try:
        fixes = list(kind_of(source.uri).fixes(place, source))
    except storage_errors(DeniedError) as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        return None  # whoever reads the frames tells
    found = [part for fix in fixes for part in _fix(fix.moment, fix.latitude, fix.longitude)]
    return Track(found) if found else None


def parse_track(name: str, data: bytes, start: datetime) -> list[Fix]:
    """The fixes of a file by its suffix; ``start`` is what seconds are counted from. Raises ValueError."""
    suffix = posixpath.splitext(name.lower())[1]
    if suffix == ".gpx":
        return list(_gpx(data))
    if suffix in (".nmea", ".gps"):
        return [fix for moment, north, east in nmea_fixes(data) for fix in _fix(plausible(moment), north, east)]
    if suffix == ".srt":
        return [
            fix
            for seconds, north, east in subtitle_fixes(data)
            for fix in _fix(start + timedelta(seconds=seconds), north, east)
        ]
    text = data.decode("utf-8-sig")
    if suffix == ".csv":
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
        rows: Iterable[object] = csv.DictReader(io.StringIO(text), dialect=dialect)
    else:
        rows = _listed(json.loads(text))
    return [fix for row in rows if isinstance(row, dict) for fix in _row(row, start)]


def _listed(whole: object) -> Iterable[object]:
    """The fixes of a JSON: its ``track``, or ``locations`` as BDD100K has it."""
    if not isinstance(whole, dict):
        return ()
    return next((whole[name] for name in ("track", "locations", "gps") if isinstance(whole.get(name), list)), ())


def _gpx(data: bytes) -> Iterator[Fix]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("a GPX file needs no document type")
    for element in ElementTree.fromstring(data).iter():
        if element.tag.rsplit("}", 1)[-1] in ("trkpt", "rtept"):
            time = next((child.text for child in element if child.tag.rsplit("}", 1)[-1] == "time"), None)
            yield from _fix(_moment(time), element.get("lat"), element.get("lon"))


def _row(row: dict[str, object], start: datetime) -> Iterator[Fix]:
    values = [(_bare(str(name)), value) for name, value in row.items() if value not in (None, "")]

    def all_of(names: re.Pattern[str]) -> list[object]:
        return [value for name, value in values if names.fullmatch(name)]

    def first(names: re.Pattern[str]) -> object:
        return next(iter(all_of(names)), None)

    moments = (_moment(value) for value in all_of(_TIME))
    moment = next((moment for moment in moments if moment), None)
    date, seconds = first(_DATE), _number(first(_SECONDS))
    if moment is None and date is not None:
        times = (value for value in all_of(_TIME) if _TIME_OF_DAY.match(str(value).strip()))
        moment = next((_moment(f"{date} {str(value).strip()}") for value in times), None)
    if moment is None and seconds is not None and abs(seconds) < _LONGEST:
        moment = start + timedelta(seconds=seconds)
    yield from _fix(moment, first(_LATITUDE), first(_LONGITUDE))


def _bare(name: str) -> str:
    """A column's name in lower case letters, without units: ``GPS9 (Lat.) [deg]`` is ``gpslat``."""
    return re.sub(r"[^a-z]", "", re.sub(r"\[.*?\]", "", name.lower()))


def _fix(moment: datetime | None, latitude: object, longitude: object) -> Iterator[Fix]:
    north, east = _number(latitude), _number(longitude)
    # Receivers without a fix write zeros: nobody drives in the Gulf of Guinea.
    if moment is None or north is None or east is None or (north == 0 and east == 0):
        return
    if abs(north) <= 90 and abs(east) <= 180:
        yield Fix(moment, north, east)


def _moment(value: object) -> datetime | None:
    """The UTC time of ISO 8601 or the like, or of a count since 1970 whose unit its size tells."""
    count = _number(value)
    if count is not None:
        return moment_of(int(value)) if str(value).strip().isdigit() else moment_of(count)  # type: ignore[call-overload]
    text = _DAY_FIRST.sub(r"\3-\2-\1", _YEAR_FIRST.sub(r"\1-\2-\3", str(value or "").strip()))
    if not _TIME_OF_DAY.search(text):
        return None  # a day alone
    try:
        return plausible(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None
