"""When something was recorded: from a file's name, its container's header, or the sidecar beside it."""

import json
import posixpath
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

# Clocks that lost power count from 1904, 1970, 1980 or 2000: such times say nothing.
_EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# Local time taken for UTC is at most 14 hours ahead of it.
_AHEAD = timedelta(days=1)

# A date and a time of day, with a fraction and an offset from UTC where they are there.
_TIME_IN_NAME = re.compile(
    r"(?<!\d)(20\d\d)([-_.:]?)(\d\d)([-_.:]?)(\d\d)"
    r"((?:[T _.-]|at|\s){0,4})"
    r"(\d\d)([-_.:]?)(\d\d)\8(\d\d)"
    r"(?:[.,](\d{1,9})|(\d{3}))?(?!\d)"
    r"(?:(Z)(?![a-z])|([+-])(\d\d)(:?)(\d\d)(?!\d))?",
    re.IGNORECASE,
)
# Recorders that write the year with two digits: YYMMDD_HHMMSS and a number behind it.
_SHORT_YEAR = re.compile(r"^(?:[A-Z]{2,4})?(\d\d)(\d\d)(\d\d)[-_](\d\d)(\d\d)(\d\d)[-_]\d{3,6}(?!\d)")
# Seconds since 1970, as ten digits and perhaps a fraction, or in milliseconds, microseconds or nanoseconds.
_SINCE_1970 = re.compile(
    r"(?<![a-zA-Z0-9.])(1[4-9]\d{8}|[23]\d{9})(?:[.](\d{1,9}))?(?=$|[^a-zA-Z0-9.]|[.](?!\d))"
    r"|(?<!\d)(\d{13}|\d{16}|\d{19})(?!\d)"
)
# Segments of comma.ai's devices, of a minute each: DEVICE|DATE--TIME/SEGMENT/ or DATE--TIME--SEGMENT/.
_SEGMENT = re.compile(r"(20\d\d-\d\d-\d\d--\d\d-\d\d-\d\d)(?:--|/)(\d{1,3})$")
_FOLDERS = 2  # above a file, that may name its time
_AT_EVENT = timedelta(minutes=2)
_FARTHEST_OFFSET = 14 * 60  # minutes
_DAY_FIRST = re.compile(r"^20\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


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

    ``track`` is read by ``tasks.footage.positions``, when the source is.
    """

    captured: datetime | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    track: list[object] | None = None
    event: Event | None = None


_SIDECAR = TypeAdapter(Sidecar)
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
        sidecar = _SIDECAR.validate_python(told)
    except (ValidationError, ValueError, RecursionError):
        return None
    return replace(sidecar, captured=plausible(sidecar.captured))


def time_in_name(name: str) -> datetime | None:
    """The UTC time in a file name: ``20261122_031500``, ``2026-11-22T03-15-00.250+0100``, ``1795317300000`` …

    A count of milliseconds or less since 1970 says more than a date beside it, which is that of the whole drive.
    """
    counts = [_since_1970(match) for match in _SINCE_1970.finditer(name)]
    exact = next((moment for moment, fine in counts if moment and fine), None)
    if exact:
        return exact
    for match in _TIME_IN_NAME.finditer(name):
        if moment := _date(match):
            return moment
    if short := _SHORT_YEAR.match(name):
        year, month, day, hour, minute, second = map(int, short.groups())
        try:
            return plausible(datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC))
        except ValueError:  # digits that are no date
            return None
    return next((moment for moment, _ in counts if moment), None)


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
    return named if named and abs(written - named) > _AHEAD and not is_ahead(named, written) else None


def _date(match: re.Match[str]) -> datetime | None:
    year, first, month, second_mark, day, between, hour, _, minute, second, *rest = match.groups()
    fraction, milliseconds, utc, sign, hours, colon, minutes = rest
    if first != second_mark and not (first and not second_mark):  # 2024_0131, as some recorders write, is one
        return None
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:  # digits that are no date
        return None
    moment += timedelta(microseconds=int((fraction or milliseconds or "0").ljust(6, "0")[:6]))
    # "-0500" behind a time may be the number of the file, unless the whole is written as ISO 8601 has it.
    if sign and not utc and (sign == "+" or colon or between.upper() == "T"):
        offset = int(hours) * 60 + int(minutes)
        if offset <= _FARTHEST_OFFSET and int(minutes) % 15 == 0:
            moment -= timedelta(minutes=offset if sign == "+" else -offset)
    return plausible(moment)


def _since_1970(match: re.Match[str]) -> tuple[datetime | None, bool]:
    """The moment of a count, and whether it is finer than seconds."""
    seconds, fraction, fine = match.groups()
    if fine is None:
        return moment_of(float(f"{seconds}.{fraction or 0}")), False
    if len(fine) != 13 and _DAY_FIRST.match(fine):  # a date and a number
        return None, True
    return moment_of(int(fine)), True


def moment_of(count: float) -> datetime | None:
    """The UTC time of a count since 1970 of seconds, milliseconds, microseconds or nanoseconds, told by its size."""
    size = abs(count)
    unit = next((unit for least, unit in ((1e17, 10**9), (1e14, 10**6), (1e11, 10**3)) if size >= least), 1)
    try:
        if isinstance(count, int):
            microseconds = count * 1_000_000 // unit
            return plausible(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds))
        return plausible(datetime.fromtimestamp(0, UTC) + timedelta(seconds=count / unit))
    except (OverflowError, ValueError):
        return None


def time_in_header(text: str | None) -> datetime | None:
    """The UTC time that MediaInfo reads in a container: ``2026-11-22 03:15:00 UTC`` or ISO 8601."""
    if not text:
        return None
    try:
        return plausible(datetime.fromisoformat(text.replace("UTC", "").strip()))
    except ValueError:
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
    return plausible(written) is not None and moment - written > _AHEAD
