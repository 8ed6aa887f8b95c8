"""What a listing shows of a file, whatever its storage calls it."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_YEAR_9999 = 253_370_764_800


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it: ``name`` relative to what was listed, ``size`` in bytes; ``captured`` where an
    inventory tells when its first frame was."""

    name: str
    size: int
    etag: str
    modified: datetime
    captured: datetime | None = None


def entry(name: str, info: dict[str, Any], times: tuple[str, ...] = ()) -> Entry:
    """Read what a filesystem says of a file. The etag is the store's own, or size and modification time. The time is
    the first of ``times`` that is told, or else that of the modification."""
    modified = _modified(info, times)
    size = int(info.get("size") or 0)
    etag = str(info.get("ETag") or info.get("etag") or info.get("blob_id") or "").strip('"')
    if "CRC" in info:  # in a ZIP file, whose times are too coarse to tell a change
        etag = f"{size:x}-{info['CRC']:08x}"
    return Entry(name, size, etag or f"{size:x}-{round(modified.timestamp() * 1e6):x}", modified)


def _modified(info: dict[str, Any], times: tuple[str, ...]) -> datetime:
    for key in (*times, "mtime", "LastModified", "last_modified", "updated", "created", "Last-Modified"):
        value = info.get(key)
        if isinstance(value, int | float):
            # Some cameras write what no calendar has: such a time says as little as none.
            return datetime.fromtimestamp(value, UTC) if 0 <= value < _YEAR_9999 else datetime.fromtimestamp(0, UTC)
        if isinstance(value, str):
            value = parsedate_to_datetime(value) if key == "Last-Modified" else datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    with suppress(TypeError, ValueError):  # of a ZIP file: year to second, or digits that are no date
        return datetime(*info.get("date_time", ())).replace(tzinfo=UTC)
    return datetime.fromtimestamp(0, UTC)
