"""Group sources into shards, the same way every time; first, estimate how long they are without opening them.

The estimate is made from their size, and the length of a few of each kind.
"""

import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Shard, Source
from tasks.addresses import places_in_chains
from tasks.footage.archive import Sources
from tasks.footage.frames import KINDS, open_source
from tasks.tables.commits import done_of, match_done

# So that many broken or tiny sources, which hold almost no footage, do not become one shard.
_LEAST_SECONDS = 1.0
_DAY = 86_400_000_000  # microseconds
_SAMPLE = 256  # of each kind of file: all of a small archive
_THREADS = 8
_BYTES_A_SECOND = 1_000_000.0  # for a kind of which no file could be opened: 8 Mbit/s


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


def shard_id(sources: Iterable[Source]) -> str:
    """12 hex digits of the SHA-256 over (uri, size, etag) of each source in order."""
    return _hash([source.uri, source.size, source.etag] for source in sources)


def _facts(table: pa.Table) -> Iterator[list[object]]:
    for batch in table.select(["uri", "size", "etag"]).to_batches(max_chunksize=10_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield list(row)


def _hash(facts: Iterable[list[object]]) -> str:
    return hashlib.sha256(json.dumps(list(facts)).encode()).hexdigest()[:12]


def with_footage(sources: Sources, done: pa.Table) -> Sources:
    """Sources with ``footage_seconds`` to plan with: exact where few are of a kind, else estimated.

    Of each suffix 256 files, chosen by a hash of their URI, tell how long they are: those that are committed (``done``,
    see ``read_done``) by their commit, the others by opening them. The size of all others is divided by the bytes a
    second of these. The sample does not depend on what is committed, so a scan that was cut off plans the same shards
    again. Committed sources are never opened; their length here has no meaning.

    Raises UserError when the storage is out of reach.
    """
    committed, told = match_done(sources.table, done)
    seconds = sources.column("footage_seconds").astype(np.float64)
    sizes = sources.column("size")
    for kind in _kinds(sources):
        if committed[kind].all():
            continue
        sample = kind[np.argsort(_marks(sources.take(kind)), kind="stable")[:_SAMPLE]]
        with ThreadPoolExecutor(_THREADS) as pool:
            opened = list(pool.map(open_source, sources.take(sample[~committed[sample]])))
        seconds[kind] = np.nan
        seconds[sample] = told[sample]
        seconds[sample[~committed[sample]]] = [source.footage_seconds for source in opened]
        good = sample[seconds[sample] > 0]
        rate = float(sizes[good].sum()) / math.fsum(seconds[good]) if len(good) else _BYTES_A_SECOND
        unknown = kind[np.isnan(seconds[kind])]
        seconds[unknown] = sizes[unknown] / rate
    column = sources.table.schema.get_field_index("footage_seconds")
    return Sources(sources.table.set_column(column, "footage_seconds", pa.array(seconds)))


def expected_frames(sources: Sources, fps: float) -> int:
    """About how many frames a scan at ``fps`` takes from these sources."""
    suffixes = "|".join(re.escape(suffix) for suffix, kind in KINDS.items() if kind.sampled)
    sampled = pc.match_substring_regex(places_in_chains(sources.table["uri"]), f"(?i)({suffixes})$").to_numpy()
    seconds = sources.column("footage_seconds")
    return int(np.ceil(np.where(sampled, seconds * fps, seconds)).sum())


def _kinds(sources: Sources) -> Iterator[npt.NDArray[np.int64]]:
    """The places of the sources of each suffix, without folders, whose content is listed."""
    names = places_in_chains(sources.table["uri"])
    suffix = pc.utf8_lower(pc.replace_substring_regex(names, r"^.*\.", ""))
    files = pc.if_else(pc.ends_with(names, "/"), None, suffix)
    codes = pc.dictionary_encode(files).combine_chunks()
    for code in range(len(codes.dictionary)):
        yield np.flatnonzero(pc.equal(codes.indices, code).fill_null(False).to_numpy(zero_copy_only=False))


def _marks(sources: Sources) -> npt.NDArray[np.int64]:
    uris = (uri for chunk in sources.table["uri"].chunks for uri in chunk)
    return np.fromiter((zlib.crc32(uri.as_buffer()) for uri in uris), np.int64, len(sources))
