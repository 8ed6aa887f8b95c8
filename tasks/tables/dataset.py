"""The committed rows of a table as one pyarrow dataset, or as files that an engine reads itself."""

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.dataset as ds

from schemas.tables import FRAMES, INSTANCES, SHARD, Table
from tasks.storage import Location, is_local
from tasks.tables.files import SelectedFile
from tasks.tables.row_reader import arrow_filesystem
from tasks.tables.selection import Selection, select


def open_rows(
    root: Location, table: str, scan_id: str | None = None, besides: Container[tuple[str, date]] = ()
) -> ds.Dataset:
    """The committed rows of a table; see ``tasks.tables.open_table``. Merged files of the generations and days
    ``besides`` are left out."""
    return filtered(root, without_merged(select(root, table, scan_id), besides))


def without_merged(selection: Selection, days: Container[tuple[str, date]]) -> Selection:
    """A selection without the merged files of some generations' days."""
    files = [item for item in selection.files if item.shard_id is not None or (item.scan_id, item.day) not in days]
    return replace(selection, files=tuple(files))


def filtered(root: Location, selection: Selection) -> ds.Dataset:
    """The rows of a selection that count."""
    dataset = whole_files(root, selection)
    for rows in selection.left_out:
        left_out = rows.expression()
        if selection.table is Table.EMBEDDINGS and rows.sources is not None:
            # Embeddings carry no source. The id covers the generation and the etag: it names one row of the table.
            instances = whole_files(root, select(root, Table.INSTANCES, rows.scan_id))
            ids = instances.to_table(columns=["instance_id"], filter=left_out)["instance_id"]
            left_out = ds.field("instance_id").isin(ids.combine_chunks())
        dataset = dataset.filter(~left_out)
    return dataset


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Parquet files on a local disk, absolute paths, and a condition in SQL for the rows in them that count.

    ``schema`` is that of ``open_table``: ``scan`` and ``dt`` come from the folders of a file, and files of an older
    schema version lack the newer columns.
    """

    paths: tuple[str, ...]
    schema: pa.Schema
    condition: str | None
    is_of_one_schema: bool


def local_files(root: Location, table: str) -> LocalFiles | None:
    """The rows of ``open_rows`` as files, for an engine that reads Parquet itself. None if it cannot read them itself:
    tables that are not on a local disk or are empty, and embeddings, whose type differs.

    Raises UserError as ``open_table`` does.
    """
    selection = select(root, table, None)
    if not selection.files or not is_local(root.fs) or selection.table is Table.EMBEDDINGS:
        return None
    return LocalFiles(
        paths=tuple(root.child(item.file.path).path for item in selection.files),
        schema=row_schema(selection),
        condition=" AND ".join(f"NOT ({rows.sql()})" for rows in selection.left_out) or None,
        is_of_one_schema=selection.is_of_one_schema,
    )


def row_schema(selection: Selection) -> pa.Schema:
    """The columns of ``open_table``."""
    match selection.table:
        case Table.INSTANCES:
            files = INSTANCES
        case Table.FRAMES:
            files = FRAMES
        case Table.EMBEDDINGS:
            embedding = pa.list_(pa.float32(), selection.embedding_dimension)
            files = pa.schema([("instance_id", pa.string()), ("embedding", embedding)])
    folders = [pa.field("scan", pa.string()), pa.field("dt", pa.date32())]
    return pa.schema([*files, *folders, SHARD])


def whole_files(root: Location, selection: Selection) -> ds.Dataset:
    """All rows of the selected files, also those that do not count."""
    parquet = ds.ParquetFileFormat()
    filesystem = arrow_filesystem(root)
    fragments = [
        parquet.make_fragment(root.child(item.file.path).path, filesystem, _known_of(item), file_size=item.file.size)
        for item in selection.files
    ]
    return ds.FileSystemDataset(fragments, row_schema(selection), parquet, filesystem)


def _known_of(item: SelectedFile) -> ds.Expression:
    """What is known about the rows of a file without reading it."""
    known = (ds.field("scan") == item.scan_id) & (ds.field("dt") == pa.scalar(item.day))
    return known if item.shard_id is None else known & (ds.field("shard") == item.shard_id)
