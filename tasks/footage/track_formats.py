"""Positions as receivers (NMEA 0183) and drones (subtitles) write them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

# $GPRMC,hhmmss.ss,A,ddmm.mmmm,N,dddmm.mmmm,E,knots,course,ddmmyy: A is a valid fix.
_RMC = re.compile(
    r"\$..RMC,(\d\d)(\d\d)(\d\d(?:\.\d+)?),A,(\d\d)(\d\d\.\d+),([NS]),(\d{3})(\d\d\.\d+),([EW]),[^,]*,[^,]*,(\d\d)(\d\d)(\d\d)"
)
_BEGINS = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})\s*-->")
_LATITUDE = re.compile(r"(?i)\blatitude\s*[:=]\s*([-+]?\d+\.\d+)")
_LONGITUDE = re.compile(r"(?i)\blongt?itude\s*[:=]\s*([-+]?\d+\.\d+)")
_PAIR = re.compile(r"(?i)\bgps\s*[:(]+\s*([-+]?\d+\.\d+)\s*,\s*([-+]?\d+\.\d+)")  # longitude first


def nmea_fixes(data: bytes) -> Iterator[tuple[datetime, float, float]]:
    """UTC time, latitude and longitude in degrees of every valid RMC sentence; what stands before the ``$`` and all
    other sentences are ignored."""
    for match in _RMC.finditer(data.decode("ascii", "replace")):
        hour, minute, second, north, north_minutes, half, east, east_minutes, side, day, month, year = match.groups()
        try:
            moment = datetime(2000 + int(year), int(month), int(day), int(hour), int(minute), tzinfo=UTC)
        except ValueError:  # a sentence with a fault in it
            continue
        latitude = int(north) + float(north_minutes) / 60
        longitude = int(east) + float(east_minutes) / 60
        yield (
            moment + timedelta(seconds=float(second)),
            latitude if half == "N" else -latitude,
            longitude if side == "E" else -longitude,
        )


def subtitle_fixes(data: bytes) -> Iterator[tuple[float, float, float]]:
    """Seconds from the first frame, latitude and longitude in degrees of every subtitle (SRT) that tells them."""
    for block in re.split(r"\r?\n\s*\r?\n", data.decode("utf-8-sig", "replace")):
        begins = _BEGINS.search(block)
        north, east, pair = _LATITUDE.search(block), _LONGITUDE.search(block), _PAIR.search(block)
        if not begins or not (pair or (north and east)):
            continue
        hours, minutes, seconds, milliseconds = map(int, begins.groups())
        start = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
        if north and east:
            yield start, float(north[1]), float(east[1])
        elif pair:
            yield start, float(pair[2]), float(pair[1])
