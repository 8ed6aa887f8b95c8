"""Sources by the million: columns of an Arrow table, which become records when they are looked at."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.records import Source, TimestampSource
from schemas.tables import TIMESTAMP

# Large strings: those of a table may be more than 2 GB together.
SOURCES = pa.schema(
    [
        ("uri", pa.large_string()),
        ("size", pa.int64()),
        ("etag", pa.large_string()),
        ("drive", pa.string()),
        ("captured", TIMESTAMP),
        ("captured_from", pa.string()),
        ("footage_seconds", pa.float64()),
        ("error", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("sidecar", pa.large_string()),
        ("track", pa.large_string()),
        ("note", pa.string()),
    ]
)

_BLOCK = 10_000


class Sources(Sequence[Source]):
    """A sequence of sources over ``table``, whose columns are those of a Source."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @classmethod
    def of(cls, sources: Iterable[Source]) -> "Sources":
        """Sources of any kind as columns; what is columns already stays as it is."""
        if isinstance(sources, cls):
            return sources
        return cls(pa.Table.from_pylist([asdict(source) for source in sources], schema=SOURCES))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> "Sources": ...
    def __getitem__(self, index: int | slice) -> "Source | Sources":
        if isinstance(index, slice):
            first, end, step = index.indices(len(self))
            if step != 1:
                return self.take(np.arange(first, end, step))
            return Sources(self.table.slice(first, max(end - first, 0)))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return next(iter(Sources(self.table.slice(index % len(self), 1))))

    def __iter__(self) -> Iterator[Source]:
        for batch in self.table.to_batches(max_chunksize=_BLOCK):
            for row in batch.to_pylist():
                row["captured"] = row["captured"].astimezone(UTC)
                row["captured_from"] = TimestampSource(row["captured_from"])
                yield Source(**row)

    def take(self, rows: npt.NDArray[np.int64]) -> "Sources":
        """The sources at these places, in this order."""
        return Sources(self.table.take(pa.array(rows)))

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of numbers or times (microseconds) as (N,) int64 or float64."""
        values = self.table[name]
        values = values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values
        numbers: npt.NDArray[Any] = values.to_numpy()
        return numbers
