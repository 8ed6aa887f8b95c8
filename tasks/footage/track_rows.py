"""The fixes in rows of named columns, as CSV and JSON have them. Names or ranges tell the units."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tasks.footage.capture_time import moment_of, plausible
from tasks.footage.source_kind import Fix

_LONGEST = 10 * 24 * 3600.0  # seconds from the first frame
_OUTLIERS = 0.5  # the share of rows that must be beyond degrees before another unit is thought of

# By what is left of a column's name when units and all but letters are gone.
_TIME = re.compile(r"(gps|utc|unix|epoch)?(time|timestamp|datetime|utc|date|cts)(utc|ms|msec|ns|us|usec|s|sec|unix)?")
_DATE = re.compile(r"(gps|utc)?date")
_SECONDS = re.compile(r"(seconds|offset|elapsed)(elapsed|s)?")
_UNITS = "(deg|degrees|dd|rad|radians|ddmm|nmea|micro|microdeg|microdegrees)?"
_LATITUDE = re.compile(rf"(gps|position)?(latitude|lat){_UNITS}")
_LONGITUDE = re.compile(rf"(gps|position)?(longitude|long|lon|lng){_UNITS}")
_NORTH_SOUTH = re.compile(r"ns|(gps)?(latitude|lat)(ref|hemisphere|direction|dir|ns)")
_EAST_WEST = re.compile(r"ew|(gps)?(longitude|long|lon|lng)(ref|hemisphere|direction|dir|ew)")
_SLASHED = re.compile(r"^(\d{1,2})/(\d{1,2})/(20\d\d)")
_HALF_DAY = re.compile(r"(?i)\b(\d{1,2}):(\d\d:\d\d(?:\.\d+)?)\s*([ap])\.?m\b\.?")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d")
_DAY_FIRST = re.compile(r"^(\d\d)\.(\d\d)\.(\d{4})")
_YEAR_FIRST = re.compile(r"^(\d{4})[/:.](\d\d)[/:.](\d\d)")
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
    """The fixes of rows; ``start`` is what seconds are counted from.

    Raises ValueError where latitude and longitude are in a unit that nothing tells.
    """
    named = [[(str(name), value) for name, value in row.items() if value not in (None, "")] for row in rows]
    columns = [_Row.of(values) for values in named]
    angle = _angle(columns)
    elapsed = _parts_of_seconds(columns)
    return [fix for row in columns for fix in row.fix(start, angle, elapsed)]


@dataclass(frozen=True, slots=True)
class _Row:
    times: tuple[tuple[str, object], ...]
    date: object
    seconds: object
    latitude: tuple[str, float] | None
    longitude: tuple[str, float] | None

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
        )

    def fix(self, start: datetime, angle: Callable[[str, float], float], elapsed: float) -> Iterator[Fix]:
        if self.latitude and self.longitude:
            yield from fix_of(self._moment(start, elapsed), angle(*self.latitude), angle(*self.longitude))

    def _moment(self, start: datetime, elapsed: float) -> datetime | None:
        moment = next((moment for _, value in self.times if (moment := moment_in(value))), None)
        if moment is None and self.date is not None:
            clocks = (str(value).strip() for _, value in self.times if _TIME_OF_DAY.match(str(value).strip()))
            moment = next((moment_in(f"{self.date} {clock}") for clock in clocks), None)
        seconds = _number(self.seconds)
        if seconds is None and (counted := _counted(self)) is not None:
            seconds = counted[1] / (_told_parts(counted[0]) or elapsed)
        if moment is None and seconds is not None and abs(seconds) < _LONGEST:
            moment = start + timedelta(seconds=seconds)
        return moment


def _counted(row: _Row) -> tuple[str, float] | None:
    """The time of a row that is a plain count from the beginning."""
    numbers = ((name, _number(value)) for name, value in row.times)
    return next(((name, number) for name, number in numbers if number is not None and number >= 0), None)


def _told_parts(name: str) -> float | None:
    unit = _UNIT_OF_TIME.search(name.lower())
    behind = unit and re.search(r"[\W_]", name[: unit.start()] or name)
    return _PARTS_OF_SECONDS.get((unit[1] or unit[2]).replace("µ", "u")) if unit and (behind or unit[2]) else None


def _parts_of_seconds(rows: Sequence[_Row]) -> float:
    """How many of the units in which rows count time make a second: receivers give a fix up to 20 times a second."""
    counts = [counted[1] for row in rows if (counted := _counted(row))]
    steps = sorted(after - before for before, after in pairwise(counts) if after > before)
    step = steps[len(steps) // 2] if steps else 0.0
    return next((parts for most, parts in ((20, 1.0), (2e4, 1e3), (2e7, 1e6)) if step <= most), 1e9)


def _angle(rows: Sequence[_Row]) -> Callable[[str, float], float]:
    """What makes degrees of the values of a column by its name, or by the range of all."""
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
    """Degrees times 100 and minutes, as receivers write them."""
    size = abs(value)
    return math.copysign(size // 100 + size % 100 / 60, value)


def _bare(name: str) -> str:
    """A column's name in lower case letters, without units: ``GPS9 (Lat.) [deg]`` is ``gpslat``."""
    return re.sub(r"[^a-z]", "", re.sub(r"\[.*?\]|1?_?e-?_?[67]", "", name.lower()))


def fix_of(moment: datetime | None, latitude: object, longitude: object) -> Iterator[Fix]:
    """The fix of a moment and degrees (numbers or text); none where one of them is none or cannot be."""
    north, east = _number(latitude), _number(longitude)
    # Receivers without a fix write zeros: nobody drives in the Gulf of Guinea.
    if moment is None or north is None or east is None or (north == 0 and east == 0):
        return
    if abs(north) <= 90 and abs(east) <= 180:
        yield Fix(moment, north, east)


def moment_in(value: object) -> datetime | None:
    """The UTC time of ISO 8601 or the like, or of a count since 1970 whose unit its size tells."""
    count = _number(value)
    if count is not None:
        return moment_of(int(value)) if str(value).strip().isdigit() else moment_of(count)  # type: ignore[call-overload]
    text = _DAY_FIRST.sub(r"\3-\2-\1", _YEAR_FIRST.sub(r"\1-\2-\3", str(value or "").strip()))
    text = _HALF_DAY.sub(_of_whole_day, _SLASHED.sub(_in_order, text))
    if not _TIME_OF_DAY.search(text):
        return None  # a day alone
    try:
        return plausible(datetime.fromisoformat(re.sub(r"(?i)\s*(utc|gmt)$", "Z", text)))
    except (ValueError, OverflowError):
        return None


def _in_order(date: re.Match[str]) -> str:
    """11/22/2026 and 22/11/2026; 11/12/2026 stays, for nothing tells which is the month."""
    first, second = int(date[1]), int(date[2])
    if first <= 12 < second:
        return f"{date[3]}-{first:02d}-{second:02d}"
    return f"{date[3]}-{second:02d}-{first:02d}" if second <= 12 < first else date[0]


def _of_whole_day(time: re.Match[str]) -> str:
    return f"{int(time[1]) % 12 + (12 if time[3].upper() == 'P' else 0):02d}:{time[2]}"


def _degrees(value: object) -> float | None:
    """A number, or text as ``48,5``, ``N 48.5`` or ``48°30'00"N``."""
    number = _number(value)
    if number is not None or not isinstance(value, str):
        return number
    if _COMMA.match(value):
        return float(value.replace(",", "."))
    sided = _SIDED.match(value.strip())
    if not sided:
        return None
    before, whole, minutes, seconds, behind = sided.groups()
    parts = [_number((part or "0").replace(",", ".")) or 0.0 for part in (whole, minutes, seconds)]
    degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -degrees if (before or behind or "").upper() in ("S", "W") else degrees


def _number(value: object) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None
