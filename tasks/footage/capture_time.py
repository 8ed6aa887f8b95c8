"""When something was recorded: by its container's header or the sidecar beside it, and which times can be."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

# Clocks that lost power count from 1904, 1970, 1980 or 2000: such times say nothing.
_EARLIEST = datetime(2001, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""Further ahead a clock must be wrong: local time taken for UTC is at most 14 hours ahead of it."""

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
