"""When something was recorded: by the header of its container, the sidecar beside it, or its name."""

import json
import re
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from tasks.footage.plausible_time import AHEAD, is_ahead, moment_of, plausible
from tasks.footage.time_in_name import time_in_folders, time_in_name, time_in_path

__all__ = [
    "AHEAD",
    "Event",
    "Sidecar",
    "is_ahead",
    "moment_of",
    "plausible",
    "read_sidecar",
    "time_in_folders",
    "time_in_header",
    "time_in_name",
    "time_in_path",
]

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

    ``track`` is read by ``tasks.footage.positions``, when the source is. ``wrong`` are the fields with values that
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
