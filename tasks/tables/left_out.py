"""Rows in files of the tables that do not count, as a condition for pyarrow and for DuckDB."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

_SEPARATOR = "\n"  # occurs in no id and in no address of a storage


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a generation in files of these days that do not count: of whole shards, or only of superseded sources of
    a shard, as (shard, URI)."""

    scan_id: str
    days: frozenset[date]
    shards: frozenset[str]
    sources: frozenset[tuple[str, str]] | None = None

    def within(self, scan_id: str, day: date, shards: frozenset[str]) -> "LeftOut | None":
        """The part of it that may lie in a file of one generation and day with rows of these shards; None if there is
        none."""
        met = self.shards & shards
        if scan_id != self.scan_id or day not in self.days or not met:
            return None
        sources = None if self.sources is None else frozenset(item for item in self.sources if item[0] in met)
        return LeftOut(scan_id, frozenset([day]), met, sources)

    def expression(self) -> ds.Expression:
        """True for these rows, in tables that name the source.

        Scan and day follow from the folder of a file, so files of other days are read without this condition.
        """
        met = (ds.field("scan") == self.scan_id) & ds.field("dt").isin(pa.array(sorted(self.days), pa.date32()))
        met &= ds.field("shard").isin(sorted(self.shards))
        if self.sources is not None:
            key = pc.binary_join_element_wise(ds.field("shard"), ds.field("source_uri"), _SEPARATOR)
            # One look-up in a set instead of a term for each shard, because all terms would be evaluated for every
            # file.
            met &= key.isin([_SEPARATOR.join(source) for source in sorted(self.sources)])
        return met

    def sql(self) -> str:
        """The same as a condition of DuckDB."""
        days = ", ".join(f"DATE '{day}'" for day in sorted(self.days))
        met = f"scan = {_quoted(self.scan_id)} AND dt IN ({days}) AND shard IN ({_listed(self.shards)})"
        if self.sources is not None:
            keys = _listed(_SEPARATOR.join(source) for source in self.sources)
            met += f" AND shard || {_quoted(_SEPARATOR)} || source_uri IN ({keys})"
        return met


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(_quoted, sorted(values)))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
