"""The time and place of a photo, from its EXIF data."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import ExifTags

from tasks.footage.capture_time import plausible
from tasks.footage.images import open_image
from tasks.footage.source_kind import Told

HEAD = 256 * 1024
"""The first bytes of a photo, in which EXIF is."""

_TAKEN = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal, ExifTags.Base.SubsecTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized, ExifTags.Base.SubsecTimeDigitized),
)
_TIME = re.compile(r"\s*(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T]+(\d\d):(\d\d):(\d\d)")
_DATE = re.compile(r"\s*(\d{4})[:/.-](\d\d)[:/.-](\d\d)")
_OFFSET = re.compile(r"\s*([+-])(\d\d):?(\d\d)")
_QUARTER = timedelta(minutes=15)
_FARTHEST_ZONE = timedelta(hours=14)


def told_by_exif(data: bytes) -> Told:
    """When and where an image was taken, as far as its EXIF has it; a damaged block is ignored.

    The time is that of the exposure with its fraction. Its offset from UTC is the block's own; else that which the UTC
    time of the receiver shows, to a quarter of an hour; else it is taken for UTC.
    """
    try:
        with open_image(data) as image:
            exif = image.getexif()
            taken, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
        by_receiver = _receiver_time(gps)
        return Told(_moment(taken, by_receiver) or by_receiver, *_place(gps))
    except Exception:  # a damaged block, in whatever way: it says nothing then
        return Told()


def _moment(taken: Any, by_receiver: datetime | None) -> datetime | None:
    for time, offset, fraction in _TAKEN:
        match = _TIME.match(_text(taken.get(time)))
        if not match:
            continue
        try:
            moment = datetime.fromisoformat("{}-{}-{}T{}:{}:{}+00:00".format(*match.groups()))
        except ValueError:  # zeros of a clock that was never set
            continue
        digits = re.match(r"\d{1,9}", _text(taken.get(fraction)).strip())
        if digits:
            moment += timedelta(microseconds=int(digits[0].ljust(6, "0")[:6]))
        return plausible(
            moment - _from_utc(_text(taken.get(offset) or taken.get(ExifTags.Base.OffsetTime)), moment, by_receiver)
        )
    return None


def _from_utc(offset: str, moment: datetime, by_receiver: datetime | None) -> timedelta:
    match = _OFFSET.match(offset)
    if match:
        told = timedelta(hours=int(match[2]), minutes=int(match[3])) * (1 if match[1] == "+" else -1)
        return told if abs(told) <= _FARTHEST_ZONE else timedelta(0)
    if offset.strip().upper() == "Z" or by_receiver is None:
        return timedelta(0)
    shown = round((moment - by_receiver) / _QUARTER) * _QUARTER
    return shown if abs(shown) <= _FARTHEST_ZONE else timedelta(0)


def _receiver_time(gps: Any) -> datetime | None:
    date, time = _DATE.match(_text(gps.get(ExifTags.GPS.GPSDateStamp))), gps.get(ExifTags.GPS.GPSTimeStamp)
    if not date or time is None:
        return None
    try:
        hours, minutes, seconds = (float(part) for part in time)
        day = datetime(int(date[1]), int(date[2]), int(date[3]), tzinfo=UTC)
        return plausible(day + timedelta(hours=hours, minutes=minutes, seconds=seconds))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None


def _place(gps: Any) -> tuple[float | None, float | None]:
    if _text(gps.get(ExifTags.GPS.GPSStatus)).strip().upper() == "V":  # the receiver had no fix
        return None, None
    north = _degrees(gps.get(ExifTags.GPS.GPSLatitude), _text(gps.get(ExifTags.GPS.GPSLatitudeRef)), "NS", 90)
    east = _degrees(gps.get(ExifTags.GPS.GPSLongitude), _text(gps.get(ExifTags.GPS.GPSLongitudeRef)), "EW", 180)
    if north is None or east is None or (north == 0 and east == 0):
        return None, None
    return north, east


def _degrees(value: Any, side: str, sides: str, most: int) -> float | None:
    """Degrees, minutes and seconds as degrees. None if the hemisphere is missing, or a number is not one."""
    side = side.strip()[:1].upper()
    try:
        parts = [float(part) for part in (value if isinstance(value, Sequence) else [value])]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not side or side not in sides or not all(math.isfinite(part) and part >= 0 for part in parts):
        return None
    degrees = sum(part / 60**power for power, part in enumerate(parts[:3]))
    return None if degrees > most else -degrees if side == sides[1] else degrees


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.replace("\0", " ")
