"""Part files: one Parquet file with the rows of one shard and capture day, and its place."""

import hashlib
import io
from collections.abc import Iterable
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from clipomaly_core.errors import UserError
from schemas.records import PartFile
from schemas.tables import SHARD, Table, written_schema
from tasks.storage import Location, replace_file

# In these columns each value is different, so a dictionary or statistics would only cost space.
_INCOMPRESSIBLE = ("mask_rle", "embedding")

# Columns that people look single values up in, with how many different values a row group has at most, about. Rows lie
# by source, but a date in its name puts a source between those of other days: bounds do not tell which day has it.
_LOOKED_UP = {"instance_id": 1 << 20, "source_uri": 1024}
_FALSE_POSITIVES = 0.01


def write_parts(
    root: Location, scan_id: str, shard_id: str, parts: Iterable[tuple[Table, date, pa.Table]]
) -> tuple[PartFile, ...]:
    """Write a shard's part files to ``<table>/scan=<scan_id>/dt=<date>/<shard_id>.parquet``.

    The same rows give the same bytes at the same path; what a crashed run left there is replaced. Rows
    count only once the shard is committed. Raises UserError when they cannot be written.
    """
    written = []
    for table, day, rows in parts:
        path = f"{day_folder(table, scan_id, day)}/{shard_id}.parquet"
        data = _parquet(with_shard(rows, shard_id))
        replace_file(root.child(path), data)
        digest = hashlib.sha256(data).hexdigest()
        written.append(PartFile(table.value, path, rows.num_rows, len(data), digest))
    return tuple(written)


def day_folder(table: Table, scan_id: str, day: date) -> str:
    """Where the files of a generation's capture day lie, relative to the tables' root."""
    return f"{table}/scan={scan_id}/dt={day.isoformat()}"


def with_shard(rows: pa.Table, shard_id: str) -> pa.Table:
    """Rows of a shard with the column ``shard``, which files of schema versions before 3 lack."""
    if SHARD.name in rows.column_names:
        return rows
    return rows.append_column(SHARD, pa.repeat(shard_id, len(rows)))


def upgraded(table: Table, rows: pa.Table) -> pa.Table:
    """Rows of any schema version, with their shard, as rows of the newest version: columns that are missing are
    null. Raises UserError for rows of a version that is newer than this code."""
    dimension = rows.schema.field("embedding").type.list_size if table is Table.EMBEDDINGS else 0
    schema = written_schema(table, dimension).append(SHARD)
    if unknown := [name for name in rows.column_names if name not in schema.names]:
        raise UserError(
            f"Files of {table} were upgraded by a newer version of Clipomaly, which knows the column {unknown[0]}. "
            "Compact them with that version."
        )
    columns = [
        rows[field.name] if field.name in rows.column_names else pa.nulls(len(rows), field.type) for field in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def _parquet(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with parquet_writer(buffer, rows.schema, len(rows)) as writer:
        writer.write_table(rows)
    return buffer.getvalue()


def parquet_writer(buffer: io.BytesIO, schema: pa.Schema, group_rows: int) -> pq.ParquetWriter:
    """Writes files of the tables: the same row groups give the same bytes. ``group_rows`` is about how many rows a row
    group has: Bloom filters are made for so many."""
    columns = [path for path in _leaf_columns(schema) if path.split(".")[0] not in _INCOMPRESSIBLE]
    blooms = {
        name: {"ndv": max(1, min(group_rows, distinct)), "fpp": _FALSE_POSITIVES}
        for name, distinct in _LOOKED_UP.items()
        if name in schema.names
    }
    return pq.ParquetWriter(
        buffer,
        schema,
        compression="zstd",
        use_dictionary=columns,
        write_statistics=columns,
        bloom_filter_options=blooms,
        write_page_index=True,
    )


def _leaf_columns(schema: pa.Schema) -> list[str]:
    """Parquet paths of the leaves of a schema, as in ``names.list.element.name``."""
    leaves = pq.ParquetFile(_empty_file(schema)).schema
    return [leaves.column(number).path for number in range(len(leaves))]


def _empty_file(schema: pa.Schema) -> io.BytesIO:
    buffer = io.BytesIO()
    pq.write_table(schema.empty_table(), buffer)
    return buffer
