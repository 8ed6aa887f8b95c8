"""Instance ids as numbers, to compare and look up millions of them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import UserError

Keys = npt.NDArray[np.uint64]

_DIGITS = 20  # of an instance_id
_ODD = np.uint64(0x9E3779B97F4A7C15)  # spreads one half of an id over 64 bits


def id_keys(ids: pa.Array) -> Keys:
    """(N,) uint64 of ids of 20 hex digits: among ten million ids, no two share one by chance. Read directly from
    memory: a million take a moment. Raises UserError for other ids."""
    wide = ids.cast(pa.large_string())
    _, offsets, text = wide.buffers()
    if not len(wide):
        return np.zeros(0, np.uint64)
    ends = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    if not np.all(np.diff(ends) == _DIGITS):
        raise UserError(f"An instance_id of these tables does not have {_DIGITS} digits. They are not of Clipomaly.")
    digits = np.frombuffer(text, np.uint8)[ends[0] : ends[-1]].reshape(len(wide), _DIGITS)
    halves = np.ascontiguousarray(digits[:, :16]).view(np.uint64)
    keys: Keys = halves[:, 0] * _ODD ^ halves[:, 1]
    return keys


def object_keys(rows: pa.Table) -> Keys:
    """(N,) uint64 of rows with ``track_id`` and ``instance_id``: instances of the same object share a key."""
    return id_keys(pc.coalesce(rows["track_id"], rows["instance_id"]).combine_chunks())
