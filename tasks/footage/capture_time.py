"""When something was recorded: by the header of its container, the sidecar beside it, or its name."""

import json
import posixpath
import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from tasks.footage.image_files import is_image

# Clocks that lost power count from 1904, 1970, 1980 or 2000: such times are wrong.
_EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""Further ahead a clock must be wrong: local time taken for UTC is at most 14 hours ahead of it."""


def moment_of(count: float) -> datetime | None:
    """The UTC time of a count since 1970; its size shows whether it is of seconds, milli-, micro- or nanoseconds."""
    size = abs(count)
    unit = next((unit for least, unit in ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3)) if size >= least), 1)
    try:
        if isinstance(count, int):
            microseconds = count * 1_000_000 // unit
            return plausible(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds))
        return plausible(datetime.fromtimestamp(0, UTC) + timedelta(seconds=count / unit))
    except (OverflowError, ValueError):
        return None


def plausible(moment: datetime | None) -> datetime | None:
    """The moment in UTC (taken for UTC when it has no zone), or None where no dashcam can have been on."""
    if moment is None:
        return None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment if _EARLIEST <= moment < _LATEST else None


def is_ahead(moment: datetime, written: datetime) -> bool:
    """Whether a camera's time is so much later than its file was ``written`` that its clock must be wrong.

    Compared with the file and not with today, so that every run says the same.
    """
    return plausible(written) is not None and moment - written > AHEAD


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = "|".join(f"{month}[a-z]*" for month in _MONTHS)

_BETWEEN = r"(?P<between>(?:[T _.,-]|at|\s){0,4})"
# A time of day with seconds, a fraction, AM or PM, and an offset from UTC.
_CLOCK = (
    r"(?P<hour>\d\d|\d(?=[.:]\d\d[.:]\d\d\s?[AP]M))(?P<mark>[-_.:]?|h|\u6642|\u65f6)(?P<minute>\d\d)"
    r"(?:(?P=mark)|m|\u5206)(?P<second>\d\d)(?:s(?![a-z])|\u79d2)?"
    r"(?:[.,](?P<fraction>\d{1,9})|(?P<milliseconds>\d{3}))?(?!\d)(?:\s?(?P<half>[AP])M(?![a-z]))?"
    r"(?:(?P<utc>Z)(?![a-z])|(?P<zone>[ _-]?(?:UTC|GMT))?(?P<sign>[+-])(?P<hours>\d\d?)"
    r"(?:(?P<colon>[:_-]?)(?P<minutes>\d\d))?(?!\d))?"
)
_YEAR_FIRST = (
    r"(?<!\d)(?P<year>20\d\d)(?P<first>[-_.:]?|\u5e74)(?P<month>\d\d)(?P<second_mark>[-_.:]?|\u6708)"
    r"(?P<day>\d\d)\u65e5?"
)
_YEAR_LAST = r"(?<!\d)(?P<one>\d\d)(?P<first>[-_.]?)(?P<two>\d\d)(?P=first)(?P<year>20\d\d)"
_MONTH_NAMED = (
    rf"(?<![a-z\d])(?:(?P<day>\d\d?)[-_ ]?(?P<name>{_MONTH})|(?P<name_first>{_MONTH})[-_ ](?P<day_behind>\d\d?))[-_, ]*"
    r"(?P<year>20\d\d)"
)
_DATES_AND_TIMES = tuple(
    re.compile(date + _BETWEEN + _CLOCK, re.IGNORECASE) for date in (_YEAR_FIRST, _YEAR_LAST, _MONTH_NAMED)
)
# Recorders that write the year with two digits: YYMMDD_HHMMSS, and the number of the file or letters behind it.
_SHORT_YEAR = re.compile(
    r"^(?:[A-Z]{2,4})?(\d\d)(\d\d)(\d\d)[-_](\d\d)(\d\d)(\d\d)(?:[-_]\d{3,6}(?!\d)|[-_]?[A-Z]{0,2}(?:\.|$))"
)
# Seconds since 1970, as ten digits and perhaps a fraction, or in milliseconds, microseconds or nanoseconds.
_SINCE_1970 = re.compile(
    r"(?<![a-zA-Z0-9.])(1[4-9]\d{8}|[23]\d{9})(?:[.](\d{1,9}))?(?=$|[^a-zA-Z0-9.]|[.](?!\d))"
    r"|(?<!\d)(\d{13}|\d{16}|\d{19})(?!\d)"
)
# Segments of comma.ai's devices, of a minute each: DEVICE|DATE--TIME/SEGMENT/ or DATE--TIME--SEGMENT/.
_SEGMENT = re.compile(r"(20\d\d-\d\d-\d\d--\d\d-\d\d-\d\d)(?:--|/)(\d{1,3})$")
_FOLDERS = 2  # above a file, that may name its time
# A day as a folder, or as three in each other; perhaps with the hour, in it or as the next.
_DAY_FOLDER = re.compile(
    r"(?:^|/)(20\d\d)(?:[-_./Y]?)(\d\d)(?:[-_./M]?)(\d\d)(?:D?(?P<in_it>\d\d)H?)?(?=/)"
    r"(?:/(?P<next>\d\d)(?=/))?"
)
_MARKED_CLOCK = re.compile(r"^(\d\d)([-_.:h])(\d\d)(?:\2|m)(\d\d)s?(?!\d)", re.IGNORECASE)
_IN_HOUR = re.compile(r"^(\d\d)(?:[-_.:M](\d\d)S?)?(?![\dA-Z])", re.IGNORECASE)
_FARTHEST_OFFSET = 14 * 60  # minutes
_DAY_FIRST = re.compile(r"^20\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


def time_in_name(name: str) -> datetime | None:
    """The UTC time in a file name: ``20261122_031500``, ``2026-11-22T03-15-00.250+0100``, ``1795317300000`` …

    A count of milliseconds or less since 1970 says more than a date beside it, which is that of the whole drive.
    """
    name = re.sub("%3A", ":", name, flags=re.IGNORECASE)  # of systems that allow no colon
    counts = [_since_1970(match) for match in _SINCE_1970.finditer(name)]
    exact = next((moment for moment, fine in counts if moment and fine), None)
    if exact:
        return exact
    for pattern in _DATES_AND_TIMES:
        for match in pattern.finditer(name):
            if moment := _moment(match):
                return moment
    if short := _SHORT_YEAR.match(name):
        year, month, day, hour, minute, second = map(int, short.groups())
        return _checked(2000 + year, month, day, hour, minute, second)
    return next((moment for moment, _ in counts if moment), None)


def time_in_path(path: str) -> datetime | None:
    """The UTC time in the name of a file; else its time of day there and its day in the folders above, as monitoring
    cameras have it: ``2026-11-22/03-15-00.mp4``, ``2026/11/22/03/15.00.mp4``. A bare number counts files, but for two
    digits of a video in the folder of an hour.
    """
    name = posixpath.basename(path)
    if moment := time_in_name(name):
        return moment
    for match in reversed(list(_DAY_FOLDER.finditer(path[: len(path) - len(name)]))):
        day = int(match[1]), int(match[2]), int(match[3])
        hour = match["in_it"] or match["next"]
        if clock := _MARKED_CLOCK.match(name):
            return _checked(*day, int(clock[1]), int(clock[3]), int(clock[4]))
        within = _IN_HOUR.match(name)
        if hour and within and (within[2] or not is_image(name)):
            return _checked(*day, int(hour), int(within[1]), int(within[2] or 0))
    return None


def time_in_folders(path: str, written: datetime) -> datetime | None:
    """The UTC time that the folders of a file name: that of the first file in them. None where the file was ``written``
    within a day of that, which then says more of this one.
    """
    folder = posixpath.dirname(path.rstrip("/"))
    if segment := _SEGMENT.search(folder):
        start = time_in_name(segment[1])
        return start and start + timedelta(minutes=int(segment[2]))
    names = [name for name in folder.split("/") if name][-_FOLDERS:]
    named = next((moment for name in reversed(names) if (moment := time_in_name(name))), None)
    return named if named and abs(written - named) > AHEAD and not is_ahead(named, written) else None


def _checked(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime | None:
    try:
        return plausible(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:  # digits that are no date
        return None


def _moment(match: re.Match[str]) -> datetime | None:
    told = match.groupdict()
    date = _date(told)
    hour = int(told["hour"])
    if told["half"]:
        hour = hour % 12 + (12 if told["half"].upper() == "P" else 0)
    moment = date and _checked(*date, hour, int(told["minute"]), int(told["second"]))
    if moment is None:
        return None
    moment += timedelta(microseconds=int((told["fraction"] or told["milliseconds"] or "0").ljust(6, "0")[:6]))
    return plausible(moment - timedelta(minutes=_offset(told)))


def _date(told: dict[str, str | None]) -> tuple[int, int, int] | None:
    """Year, month and day; None if the order of the numbers is not clear."""
    year = int(told["year"] or 0)
    if "name" in told:
        name = (told["name"] or told["name_first"] or "")[:3].lower()
        return year, _MONTHS.index(name) + 1, int(told["day"] or told["day_behind"] or 0)
    if "one" in told:
        one, two = int(told["one"] or 0), int(told["two"] or 0)
        if one <= 12 < two:
            return year, one, two
        return (year, two, one) if one > 12 or told["first"] == "." else None
    first, second = told["first"], told["second_mark"]
    # 2024_0131, as some recorders write, is one.
    if first != second and not (first and not second) and not (first == "\u5e74" and second == "\u6708"):
        return None
    return year, int(told["month"] or 0), int(told["day"] or 0)


def _offset(told: dict[str, str | None]) -> int:
    """Minutes from UTC. "-0500" behind a time may be the number of the file, unless the whole is written as ISO 8601
    has it."""
    sign, minutes = told["sign"], told["minutes"]
    if not sign or told["utc"]:
        return 0
    iso = minutes is not None and (told["colon"] == ":" or (told["between"] or "").upper() == "T")
    if not (told["zone"] or iso or (sign == "+" and len(told["hours"] or "") == 2)):
        return 0
    offset = int(told["hours"] or 0) * 60 + int(minutes or 0)
    if offset > _FARTHEST_OFFSET or int(minutes or 0) % 15:
        return 0
    return offset if sign == "+" else -offset


def _since_1970(match: re.Match[str]) -> tuple[datetime | None, bool]:
    """The moment of a count, and whether it is finer than seconds."""
    seconds, fraction, fine = match.groups()
    if fine is None:
        return moment_of(float(f"{seconds}.{fraction or 0}")), False
    if len(fine) != 13 and _DAY_FIRST.match(fine):  # a date and a number
        return None, True
    return moment_of(int(fine)), True


_TIME_OF_DAY = re.compile(r"\d:\d\d")
_DATE = re.compile(r"^(\d{4})[:/](\d\d)[:/](\d\d)")
_AT_EVENT = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Event:
    """What Tesla's ``event.json`` says of an event: ``timestamp`` in local time, and why the clips were saved."""

    timestamp: datetime | None
    reason: str

    def tells_place(self, captured: datetime) -> bool:
        """Whether a clip that begins at ``captured`` was recorded where the event was: near it in time, or parked."""
        moment = plausible(self.timestamp)
        return self.reason.startswith("sentry") or (moment is not None and abs(moment - captured) <= _AT_EVENT)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What ``<name>.json`` beside a source may say of it. Degrees; a time without a zone is UTC.

    ``track`` is read by ``tasks.footage.frames``, when the source is. ``wrong`` are the fields with values that
    cannot be; if half of a place is wrong, all of it is left out.
    """

    captured: datetime | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    track: list[object] | None = None
    event: Event | None = None
    wrong: tuple[str, ...] = ()


_SIDECAR = TypeAdapter(Sidecar)
_SIDECAR_FIELDS = {field.name for field in fields(Sidecar)} - {"wrong"}
_PLACE = {"latitude", "longitude"}
# Names of the same in what data sets (BDD100K) and recorders (Tesla's event.json) write.
_OTHER_NAMES = {
    "startTime": "captured",
    "locations": "track",
    "gps": "track",
    "est_lat": "latitude",
    "est_lon": "longitude",
}


def read_sidecar(data: bytes) -> Sidecar | None:
    """Parse a sidecar's JSON; None when it is not one. Counts since 1970 may be of milliseconds and less."""
    try:
        told = json.loads(data)
        if isinstance(told, dict):
            told = {_OTHER_NAMES.get(name, name): value for name, value in told.items() if value is not None}
            if {"latitude", "longitude", "reason", "timestamp"} <= told.keys():
                told["event"] = {"timestamp": told["timestamp"], "reason": told["reason"]}
            captured = told.get("captured")
            if isinstance(captured, int | float) and not isinstance(captured, bool):
                told["captured"] = moment_of(captured)
        sidecar = _validated(told)
    except (ValidationError, ValueError, RecursionError):
        return None
    return replace(sidecar, captured=plausible(sidecar.captured))


def _validated(told: object) -> Sidecar:
    """A sidecar of the valid values; ValidationError if there are none. A ``wrong`` of the file is ignored."""
    if isinstance(told, dict):
        told = {name: value for name, value in told.items() if name != "wrong"}
    try:
        return _SIDECAR.validate_python(told)
    except ValidationError as error:
        wrong = {str(first["loc"][0]) for first in error.errors() if first["loc"]}
        if not isinstance(told, dict) or not wrong:
            raise
        lost = wrong | (_PLACE if wrong & _PLACE else set())
        left = {name: value for name, value in told.items() if name not in lost}
        if not left.keys() & _SIDECAR_FIELDS:
            raise
        return replace(_SIDECAR.validate_python(left), wrong=tuple(sorted(wrong)))


def time_in_header(text: str | None) -> datetime | None:
    """The UTC time that MediaInfo reads in a container: ``2026-11-22 03:15:00 UTC``, ISO 8601, or as C writes it
    (``Sun Nov 22 03:15:00 2026``); of several the first. A day alone is none.
    """
    text = (text or "").split(" / ")[0].replace("UTC", "").strip()
    if not _TIME_OF_DAY.search(text):
        return None
    text = _DATE.sub(r"\1-\2-\3", text)
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text.title(), "%a %b %d %H:%M:%S %Y")):
        try:
            return plausible(read(text))
        except ValueError:
            continue
    return None
