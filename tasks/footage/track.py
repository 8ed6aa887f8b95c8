"""The position of a car at any moment, interpolated between known positions."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.footage.source_kind import Fix

# A receiver gives a fix a second. Over a longer gap than a tunnel's a straight line would be a guess.
_LONGEST_GAP = timedelta(seconds=60)
_BEYOND_END = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Position:
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


class Track:
    """The fixes of one drive in order of time."""

    def __init__(self, fixes: Iterable[Fix]) -> None:
        self._fixes = sorted(fixes)
        self._moments = [fix.moment for fix in self._fixes]

    @property
    def told_times(self) -> str:
        """The first and the last time of the track, as text for people."""
        return f"the positions are of {self._moments[0]:%Y-%m-%d %H:%M:%S} to {self._moments[-1]:%Y-%m-%d %H:%M:%S} UTC"

    def at(self, moment: datetime) -> Position | None:
        """The position on the straight line between two fixes. None if the nearest fixes are too far away in time."""
        after = bisect_right(self._moments, moment)
        around = self._fixes[max(after - 1, 0) : after + 1]
        if len(around) == 2 and around[1].moment - around[0].moment <= _LONGEST_GAP:
            return _between(around[0], around[1], moment)
        nearest = min(around, key=lambda fix: abs(fix.moment - moment))
        if abs(nearest.moment - moment) > _BEYOND_END:
            return None
        return Position(nearest.latitude, nearest.longitude)


def _between(before: Fix, behind: Fix, moment: datetime) -> Position:
    share = (moment - before.moment) / (behind.moment - before.moment)
    # The short way round, also over the 180th meridian.
    east = (behind.longitude - before.longitude + 180) % 360 - 180
    longitude = before.longitude + share * east
    if abs(longitude) > 180:
        longitude -= 360 if longitude > 0 else -360
    return Position(before.latitude + share * (behind.latitude - before.latitude), longitude)
