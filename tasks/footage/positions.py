"""Where a car was: the track beside a source (GPX, CSV or JSON), and the position at any moment of it."""

import csv
import io
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from schemas.records import Source
from tasks.errors import DeniedError
from tasks.footage.capture_time import plausible
from tasks.footage.kinds import kind_of
from tasks.footage.source_kind import Fix
from tasks.storage import STORAGE_ERRORS, cannot_read, is_out_of_reach, locate, reason

TRACK_SUFFIXES = (".gpx", ".csv")

_LARGEST_TRACK = 64 * 1024 * 1024
# A receiver gives a fix a second. Over a longer gap than a tunnel's a straight line would be a guess.
_LONGEST_GAP = timedelta(seconds=60)
_BEYOND_END = timedelta(seconds=2)

_TIME = ("time", "timestamp", "datetime", "date_time", "utc")
_SECONDS = ("seconds", "offset", "elapsed")
_LATITUDE = ("latitude", "lat")
_LONGITUDE = ("longitude", "lon", "lng", "long")


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
    or seconds since 1970; or ``seconds`` since the first frame), ``latitude`` and ``longitude``. JSON: a list
    ``track`` of objects with the same names. Times without a zone are UTC. Fixes without a place are left out.

    Raises BadTrack when the file is none of these; UserError when the storage is out of reach.
    """
    if source.track is None:
        return _track_inside(source)
    place = locate(source.track)
    try:
        if int(place.fs.info(place.path)["size"] or 0) > _LARGEST_TRACK:
            raise BadTrack(f"larger than {_LARGEST_TRACK // 2**20} MB")
        data = place.fs.cat_file(place.path)
    except STORAGE_ERRORS as error:
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
    except (*STORAGE_ERRORS, DeniedError) as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        return None  # whoever reads the frames tells
    found = [part for fix in fixes for part in _fix(fix.moment, fix.latitude, fix.longitude)]
    return Track(found) if found else None


def parse_track(name: str, data: bytes, start: datetime) -> list[Fix]:
    """The fixes of a file by its suffix; ``start`` is what seconds are counted from. Raises ValueError."""
    if name.lower().endswith(".gpx"):
        return list(_gpx(data))
    text = data.decode("utf-8-sig")
    if name.lower().endswith(".csv"):
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
        rows: Iterable[object] = csv.DictReader(io.StringIO(text), dialect=dialect)
    else:
        whole = json.loads(text)
        rows = whole["track"] if isinstance(whole, dict) and isinstance(whole.get("track"), list) else ()
    return [fix for row in rows if isinstance(row, dict) for fix in _row(row, start)]


def _gpx(data: bytes) -> Iterator[Fix]:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("a GPX file needs no document type")
    for element in ElementTree.fromstring(data).iter():
        if element.tag.rsplit("}", 1)[-1] in ("trkpt", "rtept"):
            time = next((child.text for child in element if child.tag.rsplit("}", 1)[-1] == "time"), None)
            yield from _fix(_moment(time), element.get("lat"), element.get("lon"))


def _row(row: dict[str, object], start: datetime) -> Iterator[Fix]:
    values = {str(name).strip().lower(): value for name, value in row.items()}

    def first(names: tuple[str, ...]) -> object:
        return next((values[name] for name in names if values.get(name) not in (None, "")), None)

    moment = _moment(first(_TIME))
    seconds = _number(first(_SECONDS))
    if moment is None and seconds is not None:
        moment = start + timedelta(seconds=seconds)
    yield from _fix(moment, first(_LATITUDE), first(_LONGITUDE))


def _fix(moment: datetime | None, latitude: object, longitude: object) -> Iterator[Fix]:
    north, east = _number(latitude), _number(longitude)
    # Receivers without a fix write zeros: nobody drives in the Gulf of Guinea.
    if moment is None or north is None or east is None or (north == 0 and east == 0):
        return
    if abs(north) <= 90 and abs(east) <= 180:
        yield Fix(moment, north, east)


def _moment(value: object) -> datetime | None:
    seconds = _number(value)
    try:
        if seconds is not None:
            return plausible(datetime.fromtimestamp(seconds, UTC))
        return plausible(datetime.fromisoformat(str(value).strip())) if value else None
    except (ValueError, OverflowError, OSError):
        return None


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
