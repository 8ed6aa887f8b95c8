"""Times in tracks as loggers, receivers and spreadsheets write them."""

import math
import re
from datetime import datetime, timedelta

from tasks.footage.capture_time import moment_of, plausible

_SLASHED = re.compile(r"^(\d{1,2})/(\d{1,2})/(20\d\d)")
_HALF_DAY = re.compile(r"(?i)\b(\d{1,2}):(\d\d:\d\d(?:\.\d+)?)\s*([ap])\.?m\b\.?")
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d")
_CLOCK_ALONE = re.compile(r"^\d{1,2}:\d\d:\d\d(\.\d+)?Z?$")
_DAY_FIRST = re.compile(r"^(\d\d)\.(\d\d)\.(\d{4})")
_YEAR_FIRST = re.compile(r"^(\d{4})[/:.](\d\d)[/:.](\d\d)")
_DIGITS_OF_CLOCK = re.compile(r"^(\d{5,6})(\.\d+)?$")
# The week of GPS begins again after so many: a receiver that does not know how often is 20 years behind.
_ROLLOVER = timedelta(weeks=1024)
_NEAR = timedelta(days=2)


def as_number(value: object) -> float | None:
    """A finite number, or text that is one; else None."""
    try:
        found = float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
    return found if found is not None and math.isfinite(found) else None


def moment_in(value: object) -> datetime | None:
    """The UTC time of ISO 8601 or the like, or of a count since 1970 whose size shows its unit."""
    count = as_number(value)
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


def moment_on(date: object, clock: object, near: datetime) -> datetime | None:
    """The UTC time of a day and a time of day in columns of their own, also as bare digits: ``221126`` and ``031500``
    as receivers write them, ``20261122``. Of six digits the day is read that is nearer to ``near``."""
    time = str(clock).strip()
    if digits := _DIGITS_OF_CLOCK.match(time):
        whole = digits[1].zfill(6)
        time = f"{whole[:2]}:{whole[2:4]}:{whole[4:]}{digits[2] or ''}"
    if not _TIME_OF_DAY.match(time):
        return None
    moments = [moment for day in _days(str(date).strip()) if (moment := moment_in(f"{day} {time}"))]
    return min(moments, key=lambda moment: abs(moment - near), default=None)


def _days(text: str) -> list[str]:
    if not text.isascii() or not text.isdigit():
        return [text]
    if len(text) == 8:
        return [f"{text[:4]}-{text[4:6]}-{text[6:]}", f"{text[4:]}-{text[2:4]}-{text[:2]}"]
    text = text.zfill(6)
    if len(text) != 6:
        return []
    return [f"20{text[4:]}-{text[2:4]}-{text[:2]}", f"20{text[:2]}-{text[2:4]}-{text[4:]}"]


def clock_near(clock: object, near: datetime) -> datetime | None:
    """The UTC time of a time of day alone, on the day on which it is nearest to a moment."""
    text = str(clock).strip()
    if not _CLOCK_ALONE.match(text):
        return None
    moments = (moment_in(f"{near + timedelta(days=days):%Y-%m-%d} {text.zfill(8)}") for days in (-1, 0, 1))
    return min((moment for moment in moments if moment), key=lambda moment: abs(moment - near), default=None)


def without_rollover(moment: datetime, near: datetime) -> datetime:
    """Correct the time of a receiver that is 1,024 weeks behind. Other times are returned as they are."""
    moved = moment + _ROLLOVER
    return moved if abs(moved - near) <= _NEAR else moment


def _in_order(date: re.Match[str]) -> str:
    """11/22/2026 and 22/11/2026 as ISO 8601. 11/12/2026 is returned as it is, because the month is ambiguous."""
    first, second = int(date[1]), int(date[2])
    if first <= 12 < second:
        return f"{date[3]}-{first:02d}-{second:02d}"
    return f"{date[3]}-{second:02d}-{first:02d}" if second <= 12 < first else date[0]


def _of_whole_day(time: re.Match[str]) -> str:
    return f"{int(time[1]) % 12 + (12 if time[3].upper() == 'P' else 0):02d}:{time[2]}"
