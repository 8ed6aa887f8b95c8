"""When something was recorded: from a file's name, its container's header, or the sidecar beside it."""

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

_TIME_IN_NAME = re.compile(
    r"(?<!\d)(20\d\d)([-_.]?)(\d\d)\2(\d\d)"  # date
    r"(?:[T _.-]|at|\s){0,4}"
    r"(\d\d)([-_.:]?)(\d\d)\6(\d\d)(?!\d)",  # time of day
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What ``<name>.json`` beside a source may say of it. Degrees; a time without a zone is UTC.

    ``track`` is read by ``tasks.footage.positions``, when the source is.
    """

    captured: datetime | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    track: list[object] | None = None


_SIDECAR = TypeAdapter(Sidecar)


def read_sidecar(data: bytes) -> Sidecar | None:
    """Parse a sidecar's JSON; None when it is not one."""
    try:
        sidecar = _SIDECAR.validate_json(data)
    except ValidationError:
        return None
    return replace(sidecar, captured=plausible(sidecar.captured))


def time_in_name(name: str) -> datetime | None:
    """The UTC time in a file name: ``20261122_031500``, ``2026-11-22T03-15-00``, ``20261122031500`` …"""
    for match in _TIME_IN_NAME.finditer(name):
        year, _, month, day, hour, _, minute, second = match.groups()
        try:
            return plausible(datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC))
        except ValueError:  # digits that are no date
            continue
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
