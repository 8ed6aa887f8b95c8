"""Group sources into shards, the same way every time."""

import hashlib
import json
import math
from collections.abc import Iterable

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Shard, Source

# So that a heap of broken or tiny sources, which hold next to no footage, does not become one shard.
_LEAST_SECONDS = 1.0


def plan(sources: Iterable[Source], commits: Iterable[CommitRecord], shard_minutes: float) -> list[Shard]:
    """Cut sources that are not yet committed into shards of at most ``shard_minutes`` of footage.

    ``commits`` are those of this scan_id. The sources of one drive and day are taken in order of capture
    and cut greedily; a single longer source is a shard of its own. The order of ``sources`` and ``commits``
    does not matter.

    Raises UserError when ``shard_minutes`` is not a positive number.

    A committed source always ends the shard before it. That alone makes the plan stable: shards are runs
    of neighbours, so whichever of them are committed, every other one still starts behind the same cut and
    is filled up to the same cut; and what arrives later joins sources that nobody has scanned, never
    a shard that is done.
    """
    if not (math.isfinite(shard_minutes) and shard_minutes > 0):
        raise UserError(f"--shard-minutes must be a number above 0, not {shard_minutes}.")
    limit = shard_minutes * 60
    committed = {(source.uri, source.etag) for commit in commits for source in commit.sources}
    groups: list[list[Source]] = []
    growing: tuple[str, str] | None = None  # drive and day of the group that may still grow
    filled = 0.0
    for source in sorted(sources, key=lambda s: (s.drive, s.day, s.captured, s.uri)):
        if (source.uri, source.etag) in committed:
            growing = None
            continue
        seconds = max(source.footage_seconds, _LEAST_SECONDS)
        if growing == (source.drive, source.day) and filled + seconds <= limit:
            groups[-1].append(source)
            filled += seconds
        else:
            groups.append([source])
            filled = seconds
            growing = (source.drive, source.day)
    return [Shard(shard_id(group), tuple(group)) for group in groups]


def shard_id(sources: Iterable[Source]) -> str:
    """12 hex digits of the SHA-256 over (uri, size, etag) of each source in order."""
    facts = [[source.uri, source.size, source.etag] for source in sources]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
