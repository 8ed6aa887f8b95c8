"""Estimate the length of sources without opening them: from their size, and the length of a few of each kind."""

import math
import re
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.addresses import places_in_chains
from tasks.footage.kinds import KINDS
from tasks.footage.opening import open_source
from tasks.footage.sources import Sources
from tasks.scanning.plan import match_done

_SAMPLE = 256  # of each kind of file: all of a small archive
_THREADS = 8
_BYTES_A_SECOND = 1_000_000.0  # for a kind of which no file could be opened: 8 Mbit/s


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
