"""Group sources into shards, the same way every time."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Shard, Source
from tasks.footage.sources import Sources
from tasks.tables.commits import done_of

# So that many broken or tiny sources, which hold almost no footage, do not become one shard.
_LEAST_SECONDS = 1.0
_IDENTITY = pa.schema([("uri", pa.large_string()), ("etag", pa.large_string())])
_DAY = 86_400_000_000  # microseconds


class Plan(Sequence[Shard]):
    """Shards in order, made when they are accessed: ``sources`` in order of their shards, and where each shard
    begins."""

    def __init__(self, sources: Sources, begins: Sequence[int]) -> None:
        self.sources = sources
        self._begins = (*begins, len(sources))
        facts = _facts(sources.table)
        self.shard_ids = tuple(_hash(islice(facts, end - begin)) for begin, end in pairwise(self._begins))

    def __len__(self) -> int:
        return len(self.shard_ids)

    @overload
    def __getitem__(self, index: int) -> Shard: ...
    @overload
    def __getitem__(self, index: slice) -> list[Shard]: ...
    def __getitem__(self, index: int | slice) -> Shard | list[Shard]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        begin, end = self._begins[number : number + 2]
        return Shard(self.shard_ids[number], tuple(self.sources[begin:end]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(N,) how many sources each shard has."""
        return np.diff(self._begins)


def plan(sources: Iterable[Source], done: pa.Table | Iterable[CommitRecord], shard_minutes: float) -> Plan:
    """Cut sources that are not yet committed into shards of at most ``shard_minutes`` of footage.

    ``done`` are the committed sources of this scan_id, or the commit records themselves. The sources of one drive and
    day are taken in order of capture and cut greedily; a single longer source is a shard of its own. The order of
    ``sources`` and ``done`` does not matter.

    Raises UserError when ``shard_minutes`` is not a positive number.

    A committed source always ends the shard before it. That alone makes the plan stable: shards are runs
    of neighbours, so whichever of them are committed, every other one still starts behind the same cut and
    is filled up to the same cut; and what arrives later joins sources that nobody has scanned, never
    a shard that is done.
    """
    if not (math.isfinite(shard_minutes) and shard_minutes > 0):
        raise UserError(f"--shard-minutes must be a number above 0, not {shard_minutes}.")
    listed = Sources.of(sources)
    committed, _ = match_done(listed.table, done if isinstance(done, pa.Table) else done_of(done))
    order = pc.sort_indices(listed.table, [(name, "ascending") for name in ("drive", "captured", "uri")]).to_numpy()
    drives = pc.dictionary_encode(listed.table["drive"]).combine_chunks().indices.to_numpy()[order]
    days = listed.column("captured")[order] // _DAY
    seconds = np.maximum(listed.column("footage_seconds")[order], _LEAST_SECONDS)
    left = ~committed[order]
    return Plan(listed.take(order[left]), _cut(left, drives, days, seconds, shard_minutes * 60))


def _cut(
    left: npt.NDArray[np.bool_],
    drives: npt.NDArray[np.int32],
    days: npt.NDArray[np.generic],
    seconds: npt.NDArray[np.float64],
    limit: float,
) -> list[int]:
    """Where shards begin among the remaining sources."""
    begins: list[int] = []
    growing: tuple[int, int] | None = None  # drive and day of the shard that can still grow
    filled, count = 0.0, 0
    for is_left, drive, day, length in zip(
        left.tolist(), drives.tolist(), days.tolist(), seconds.tolist(), strict=True
    ):
        if not is_left:
            growing = None
            continue
        if growing == (drive, day) and filled + length <= limit:
            filled += length
        else:
            begins.append(count)
            filled, growing = length, (drive, day)
        count += 1
    return begins


def match_done(sources: pa.Table, done: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """(N,) which sources, by their ``uri`` and ``etag``, are committed as they are now, and (N,) the seconds of footage
    from their commits, NaN if a commit lacks it."""
    committed, told = np.zeros(len(sources), np.bool_), np.full(len(sources), np.nan)
    if not len(done):
        return committed, told
    listed = sources.select(["uri", "etag"]).cast(_IDENTITY)
    # By the URI first, which is usually only once in ``done``: a key of both would need 200 MB for a million.
    places = _places(listed["uri"], done["uri"])
    known = np.flatnonzero(places >= 0)
    same = pc.equal(listed["etag"].take(pa.array(known)), done["etag"].take(pa.array(places[known])))
    as_before = same.to_numpy()
    places[known[~as_before]] = -1
    others = listed.take(pa.array(known[~as_before]))
    again = pc.indices_nonzero(pc.is_in(done["uri"], value_set=pc.unique(others["uri"])))
    if len(again):
        found = _places(_identity(others), _identity(done.take(again)))
        places[known[~as_before][found >= 0]] = again.to_numpy()[found[found >= 0]]
    committed = places >= 0
    told[committed] = done["footage_seconds"].take(pa.array(places[committed])).to_numpy()
    return committed, told


def _places(values: pa.ChunkedArray, value_set: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """(N,) where each value is first in the set, -1 where it is not."""
    places = pc.index_in(values, value_set=value_set)
    places = places.combine_chunks() if isinstance(places, pa.ChunkedArray) else places
    found: npt.NDArray[np.int64] = places.fill_null(-1).to_numpy().astype(np.int64)
    return found


def _identity(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(table["uri"], table["etag"], pa.scalar("\n", pa.large_string()))


def shard_id(sources: Iterable[Source]) -> str:
    """12 hex digits of the SHA-256 over (uri, size, etag) of each source in order."""
    return _hash([source.uri, source.size, source.etag] for source in sources)


def _facts(table: pa.Table) -> Iterator[list[object]]:
    for batch in table.select(["uri", "size", "etag"]).to_batches(max_chunksize=10_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield list(row)


def _hash(facts: Iterable[list[object]]) -> str:
    return hashlib.sha256(json.dumps(list(facts)).encode()).hexdigest()[:12]
