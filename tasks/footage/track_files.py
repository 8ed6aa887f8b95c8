"""The fixes in files beside footage: GPX, CSV, JSON, NMEA and subtitles."""

import csv
import io
import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from xml.etree import ElementTree

from tasks.footage.capture_time import moment_of, plausible
from tasks.footage.source_kind import Fix
from tasks.footage.track_formats import nmea_fixes, subtitle_fixes

TRACK_SUFFIXES = (".gpx", ".csv", ".nmea", ".gps", ".srt")

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


def parse_track(name: str, data: bytes, start: datetime) -> list[Fix]:
    """The fixes of a file by its suffix; ``start`` is what seconds are counted from. Raises ValueError."""
    suffix = posixpath.splitext(name.lower())[1]
    if suffix == ".gpx":
        return list(_gpx(data))
    if suffix in (".nmea", ".gps"):
        return [fix for moment, north, east in nmea_fixes(data) for fix in fix_of(plausible(moment), north, east)]
    if suffix == ".srt":
        return [
            fix
            for seconds, north, east in subtitle_fixes(data)
            for fix in fix_of(start + timedelta(seconds=seconds), north, east)
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
            yield from fix_of(_moment(time), element.get("lat"), element.get("lon"))


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
    yield from fix_of(moment, first(_LATITUDE), first(_LONGITUDE))


def _bare(name: str) -> str:
    """A column's name in lower case letters, without units: ``GPS9 (Lat.) [deg]`` is ``gpslat``."""
    return re.sub(r"[^a-z]", "", re.sub(r"\[.*?\]", "", name.lower()))


def fix_of(moment: datetime | None, latitude: object, longitude: object) -> Iterator[Fix]:
    """The fix of a moment and degrees (numbers or text); none where one of them is none or cannot be."""
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
