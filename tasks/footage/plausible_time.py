"""Which times are plausible, and times from counts since 1970."""

from datetime import UTC, datetime, timedelta

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
