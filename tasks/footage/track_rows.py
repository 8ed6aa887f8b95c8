"""The fixes in rows of named columns, as CSV and JSON have them. The units follow from names or ranges."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tasks.footage.source_kind import Fix
from tasks.footage.track_times import as_number, clock_near, moment_in, moment_on

_LONGEST = 10 * 24 * 3600.0  # seconds from the first frame
_OUTLIERS = 0.5  # the share of rows that must be beyond degrees before another unit is thought of

# By what is left of a column's name when units and all but letters are gone.
_TIME = re.compile(
    r"(gps|utc|unix|epoch)?(time|timestamp|datetime|utc|date|cts|stamp)(utc|ms|msec|ns|us|usec|s|sec|unix)?"
)
_DATE = re.compile(r"(gps|utc)?date")
_SECONDS = re.compile(r"(seconds|offset|elapsed)(elapsed|s)?")
_UNITS = "(deg|degrees|dd|rad|radians|ddmm|nmea|micro|microdeg|microdegrees)?"
# What marks a row as one without a fix, and the words for it.
_HAS_FIX = re.compile(r"(gps)?(fix|fixtype|fixquality|fixstatus|fixvalid|valid|active)|gpsquality")
_NO_FIX = re.compile(r"(?i)\s*(0(\.0*)?|false|no|none|no ?fix|invalid|void|v|n)\s*")
_SPREADSHEET = datetime(1899, 12, 30, tzinfo=UTC)  # from which spreadsheets count days
_SPREADSHEET_DAYS = (36_526, 73_051)  # of the years 2000 to 2099
_DAY_STEP = 0.01
_LATITUDE = re.compile(rf"(gps|position)?(latitude|lat){_UNITS}")
_LONGITUDE = re.compile(rf"(gps|position)?(longitude|long|lon|lng){_UNITS}")
_NORTH_SOUTH = re.compile(r"ns|(gps)?(latitude|lat)(ref|hemisphere|direction|dir|ns)")
_EAST_WEST = re.compile(r"ew|(gps)?(longitude|long|lon|lng)(ref|hemisphere|direction|dir|ew)")
_SIDED = re.compile(
    r"(?i)^([NSEW])?\s*(\d+(?:[.,]\d+)?)\s*°?\s*(?:(\d+(?:[.,]\d+)?)\s*'\s*)?(?:([\d.,]+)\s*\"\s*)?([NSEW])?$"
)
_COMMA = re.compile(r"^\s*[-+]?\d{1,3},\d+\s*$")

# Of degrees, by what a column's name says.
_ANGLES: tuple[tuple[re.Pattern[str], Callable[[float], float]], ...] = (
    (re.compile(r"e-?_?7|10\^-?7"), lambda value: value / 1e7),
    (re.compile(r"e-?_?6|10\^-?6|micro"), lambda value: value / 1e6),
    (re.compile(r"rad"), math.degrees),
    (re.compile(r"ddmm|nmea"), lambda value: _of_minutes(value)),
)
# Of seconds, by the letters behind a column's name, and by how far two rows are apart.
_PARTS_OF_SECONDS = {"ms": 1e3, "msec": 1e3, "us": 1e6, "usec": 1e6, "ns": 1e9, "s": 1.0, "sec": 1.0, "cts": 1e3}
_UNIT_OF_TIME = re.compile(r"(ms|msec|us|usec|µs|ns|s|sec)\W*$|^(cts)$")


def row_fixes(rows: Sequence[Mapping[str, object]], start: datetime) -> list[Fix]:
    """The fixes of rows, but for those that are marked as none; ``start`` is what seconds are counted from.

    Raises ValueError if the unit of latitude and longitude is unknown.
    """
    named = [[(str(name), value) for name, value in row.items() if value not in (None, "")] for row in rows]
    columns = [_Row.of(values) for values in named]
    angle = _angle(columns)
    counted = _counting(columns, start)
    return [fix for row in columns for fix in row.fix(start, angle, counted)]


@dataclass(frozen=True, slots=True)
class _Row:
    times: tuple[tuple[str, object], ...]
    date: object
    seconds: object
    latitude: tuple[str, float] | None
    longitude: tuple[str, float] | None
    has_fix: bool

    @classmethod
    def of(cls, values: Sequence[tuple[str, object]]) -> "_Row":
        bare = [(_bare(name), name, value) for name, value in values]

        def all_of(names: re.Pattern[str]) -> list[tuple[str, object]]:
            return [(name, value) for letters, name, value in bare if names.fullmatch(letters)]

        def first(names: re.Pattern[str]) -> object:
            return next((value for _, value in all_of(names)), None)

        def angle(names: re.Pattern[str], sides: re.Pattern[str], negative: str) -> tuple[str, float] | None:
            side = str(first(sides) or "").strip().upper()[:1]
            values = ((name, _degrees(value)) for name, value in all_of(names))
            found = next(((name, value) for name, value in values if value is not None), None)
            return found and (found[0], -abs(found[1]) if side == negative else found[1])

        return cls(
            tuple(all_of(_TIME)),
            first(_DATE),
            first(_SECONDS),
            angle(_LATITUDE, _NORTH_SOUTH, "S"),
            angle(_LONGITUDE, _EAST_WEST, "W"),
            not any(_NO_FIX.fullmatch(str(value)) for _, value in all_of(_HAS_FIX)),
        )

    def fix(self, start: datetime, angle: Callable[[str, float], float], counted: "_Counting") -> Iterator[Fix]:
        if self.has_fix and self.latitude and self.longitude:
            yield from fix_of(self._moment(start, counted), angle(*self.latitude), angle(*self.longitude))

    def _moment(self, start: datetime, counted: "_Counting") -> datetime | None:
        values = [value for _, value in self.times if value != self.date]
        moments = (
            *(moment_in(value) for _, value in self.times),
            *(moment_on(self.date, value, start) for value in values if self.date is not None),
            *(clock_near(value, start) for value in values if self.date is None),
        )
        moment = next((moment for moment in moments if moment), None)
        seconds = as_number(self.seconds)
        if moment or seconds is not None:
            return moment or _after(start, seconds or 0.0)
        count = _counted(self)
        # Digits beside a date are a time of day.
        return counted(*count) if count and (self.date is None or _told_parts(count[0])) else None


_Counting = Callable[[str, float], datetime | None]
"""The moment of a count, by the name of its column."""


def _after(start: datetime, seconds: float) -> datetime | None:
    return start + timedelta(seconds=seconds) if abs(seconds) < _LONGEST else None


def _counted(row: _Row) -> tuple[str, float] | None:
    """The column and value of a row that counts time from the beginning."""
    numbers = ((name, as_number(value)) for name, value in row.times)
    return next(((name, number) for name, number in numbers if number is not None and number >= 0), None)


def _told_parts(name: str) -> float | None:
    unit = _UNIT_OF_TIME.search(name.lower())
    behind = unit and re.search(r"[\W_]", name[: unit.start()] or name)
    return _PARTS_OF_SECONDS.get((unit[1] or unit[2]).replace("µ", "u")) if unit and (behind or unit[2]) else None


def _counting(rows: Sequence[_Row], start: datetime) -> _Counting:
    """How rows count time: by days as spreadsheets do, or by seconds from the beginning or parts of them. The steps
    tell, for receivers give a fix up to 20 times a second."""
    counts = [counted[1] for row in rows if (counted := _counted(row))]
    steps = sorted(after - before for before, after in pairwise(counts) if after > before)
    step = steps[len(steps) // 2] if steps else 0.0
    if 0 < step < _DAY_STEP and all(_SPREADSHEET_DAYS[0] <= count < _SPREADSHEET_DAYS[1] for count in counts):
        return lambda _, count: _SPREADSHEET + timedelta(seconds=round(count * 86_400, 3))
    by_step = next((parts for most, parts in ((20, 1.0), (2e4, 1e3), (2e7, 1e6)) if step <= most), 1e9)
    return lambda name, count: _after(start, count / (_told_parts(name) or by_step))


def _angle(rows: Sequence[_Row]) -> Callable[[str, float], float]:
    """The function that converts a value of a column to degrees: by the name of the column, or by the range of all."""
    pairs = [(row.latitude, row.longitude) for row in rows if row.latitude and row.longitude]
    sizes = [(abs(north[1]), abs(east[1])) for north, east in pairs if north and east]
    beyond = [(north, east) for north, east in sizes if north > 90 or east > 180]
    by_range: Callable[[float], float] = float
    if pairs and len(beyond) > _OUTLIERS * len(pairs) and not any(_by_name(north[0]) for north, _ in pairs if north):
        by_range = _by_range(beyond)

    def degrees(name: str, value: float) -> float:
        return (_by_name(name) or by_range)(value)

    return degrees


def _by_name(name: str) -> Callable[[float], float] | None:
    return next((convert for names, convert in _ANGLES if names.search(name.lower())), None)


def _by_range(beyond: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    most_north, most_east = max(north for north, _ in beyond), max(east for _, east in beyond)
    if most_north <= 9000 and most_east <= 18000 and all(value % 100 < 60 for pair in beyond for value in pair):
        return _of_minutes
    if (most_east > 180e6 or most_north > 90e6) and most_north <= 90e7 and most_east <= 180e7:
        return _ANGLES[0][1]
    raise ValueError("latitude and longitude are in a unit that neither their names nor their range tell")


def _of_minutes(value: float) -> float:
    """Convert degrees times 100 plus minutes, as receivers write them, to degrees."""
    size = abs(value)
    return math.copysign(size // 100 + size % 100 / 60, value)


def _bare(name: str) -> str:
    """A column's name in lower case letters, without units: ``GPS9 (Lat.) [deg]`` is ``gpslat``."""
    name = re.sub(r"^(\w+\.)+(?=\w)", "", name.lower())  # of ROS: field.latitude
    return re.sub(r"[^a-z]", "", re.sub(r"\[.*?\]|1?_?e-?_?[67]", "", name))


def fix_of(moment: datetime | None, latitude: object, longitude: object) -> Iterator[Fix]:
    """The fix of a moment and degrees (numbers or text). Nothing if one of them is missing or impossible."""
    north, east = as_number(latitude), as_number(longitude)
    # Receivers without a fix write zeros: nobody drives in the Gulf of Guinea.
    if moment is None or north is None or east is None or (north == 0 and east == 0):
        return
    if abs(north) <= 90 and abs(east) <= 180:
        yield Fix(moment, north, east)


def _degrees(value: object) -> float | None:
    """A number, or text as ``48,5``, ``N 48.5`` or ``48°30'00"N``."""
    number = as_number(value)
    if number is not None or not isinstance(value, str):
        return number
    if _COMMA.match(value):
        return float(value.replace(",", "."))
    sided = _SIDED.match(value.strip())
    if not sided:
        return None
    before, whole, minutes, seconds, behind = sided.groups()
    parts = [as_number((part or "0").replace(",", ".")) or 0.0 for part in (whole, minutes, seconds)]
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -degrees if (before or behind or "").upper() in ("S", "W") else degrees
