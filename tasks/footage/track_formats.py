"""Positions as receivers (NMEA 0183) and drones (subtitles) write them."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import reduce
from operator import xor

_SENTENCE = re.compile(r"\$([A-Z]{2}(RMC|GGA|ZDA),[^$*\r\n]*)(?:\*([0-9A-Fa-f]{2}))?")
_CLOCK = re.compile(r"(\d\d)(\d\d)(\d\d(?:\.\d+)?)")
_ANGLE = re.compile(r"(\d{2,3})(\d\d(?:\.\d+)?)")
_BEGINS = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})\s*-->")
_LATITUDE = re.compile(r"(?i)\blat(?:itude)?\s*[:=]\s*([-+]?\d+\.\d+)")
_LONGITUDE = re.compile(r"(?i)\blon(?:g|gt?itude)?\s*[:=]\s*([-+]?\d+\.\d+)")
_SIDED = re.compile(r"\b([NS])\s*[: ]?\s*(\d+\.\d+)°?[\s,]+([EW])\s*[: ]?\s*(\d+\.\d+)")
_PAIR = re.compile(r"(?i)\bgps\s*[:(]+\s*([-+]?\d+\.\d+)\s*,\s*([-+]?\d+\.\d+)")  # longitude first


def nmea_fixes(data: bytes, near: datetime) -> Iterator[tuple[datetime, float, float]]:
    """UTC time, latitude and longitude in degrees of every valid RMC sentence. Where there is none, those of GGA, whose
    day ZDA tells, or else it is that nearest to ``near``. What stands before the ``$`` and all other sentences are
    ignored, also damaged ones: those with a wrong checksum in a file whose others are right.
    """
    sentences = list(_SENTENCE.finditer(data.decode("ascii", "replace")))
    checked = [_is_right(match) for match in sentences if match[3]]
    strict = 2 * sum(checked) > len(checked)
    told = [(match[2], match[1].split(",")) for match in sentences if not (strict and match[3]) or _is_right(match)]
    recommended = [fix for kind, fields in told if kind == "RMC" and (fix := _rmc(fields))]
    yield from recommended or _gga_fixes(told, near)


def _is_right(sentence: re.Match[str]) -> bool:
    return reduce(xor, sentence[1].encode(), 0) == int(sentence[3], 16)


def _rmc(fields: list[str]) -> tuple[datetime, float, float] | None:
    """RMC,hhmmss.ss,A,ddmm.mmmm,N,dddmm.mmmm,E,knots,course,ddmmyy: A is a valid fix."""
    if len(fields) < 10 or fields[2] != "A":
        return None
    day = fields[9]
    moment = _at(f"20{day[4:]}-{day[2:4]}-{day[:2]}", fields[1])
    place = _place(fields[3:7])
    return (moment, *place) if moment and place else None


def _gga_fixes(told: Iterable[tuple[str, list[str]]], near: datetime) -> Iterator[tuple[datetime, float, float]]:
    """GGA,hhmmss.ss,ddmm.mmmm,N,dddmm.mmmm,E,quality (0: no fix); ZDA,hhmmss.ss,dd,mm,yyyy."""
    day = ""
    for kind, fields in told:
        if kind == "ZDA" and len(fields) >= 5:
            day = f"{fields[4]}-{fields[3]}-{fields[2]}"
        if kind != "GGA" or len(fields) < 7 or fields[6] in ("", "0"):
            continue
        days = [day] if day else [f"{near + timedelta(days=days):%Y-%m-%d}" for days in (-1, 0, 1)]
        moments = [moment for date in days if (moment := _at(date, fields[1]))]
        if moments and (place := _place(fields[2:6])):
            yield (min(moments, key=lambda moment: abs(moment - near)), *place)


def _at(day: str, clock: str) -> datetime | None:
    match = _CLOCK.fullmatch(clock)
    try:
        moment = datetime.fromisoformat(f"{day}T00:00+00:00")
        return match and moment + timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=float(match[3]))
    except ValueError:  # a sentence with a fault in it
        return None


def _place(fields: list[str]) -> tuple[float, float] | None:
    north, half, east, side = fields
    latitude, longitude = _ANGLE.fullmatch(north), _ANGLE.fullmatch(east)
    if not latitude or not longitude or float(latitude[2]) >= 60 or float(longitude[2]) >= 60:
        return None
    if half not in ("N", "S") or side not in ("E", "W"):
        return None
    degrees = [int(angle[1]) + float(angle[2]) / 60 for angle in (latitude, longitude)]
    return degrees[0] * (1 if half == "N" else -1), degrees[1] * (1 if side == "E" else -1)


def subtitle_fixes(data: bytes) -> Iterator[tuple[float, float, float]]:
    """Seconds from the first frame, latitude and longitude in degrees of every subtitle (SRT) that holds them."""
    for block in re.split(r"\r?\n\s*\r?\n", data.decode("utf-8-sig", "replace")):
        begins, place = _BEGINS.search(block), _subtitle_place(block)
        if begins and place:
            hours, minutes, seconds, milliseconds = map(int, begins.groups())
            yield (hours * 3600 + minutes * 60 + seconds + milliseconds / 1000, *place)


def _subtitle_place(text: str) -> tuple[float, float] | None:
    north, east = _LATITUDE.search(text), _LONGITUDE.search(text)
    if north and east:
        return float(north[1]), float(east[1])
    if pair := _PAIR.search(text):
        return float(pair[2]), float(pair[1])
    sided = _SIDED.search(text)
    if sided is None:
        return None
    half, latitude, side, longitude = sided.groups()
    return float(latitude) * (1 if half == "N" else -1), float(longitude) * (1 if side == "E" else -1)
