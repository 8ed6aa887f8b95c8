"""An inventory: a file that lists an archive, so that the archive need not be listed.

CSV with a header, packed by gzip or not, or Parquet. Columns: ``uri``, ``size`` (bytes), ``etag`` (as the store tells
it) and, if it is known, ``captured`` (ISO 8601, UTC where no zone is given; may be empty). Others are ignored. What S3
Inventory writes is one too: its manifest, the folder of its manifests, or one of its Parquet files.
"""

import gzip
import io
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from schemas.tables import TIMESTAMP
from tasks.errors import UsageError
from tasks.footage.s3_inventory import current_files, newest_manifest, read_columns, read_manifest
from tasks.storage import Location, is_folder, lists_by_prefix, locate, read_file

INVENTORY = pa.schema(
    [
        ("name", pa.large_string()),
        ("size", pa.int64()),
        ("etag", pa.large_string()),
        ("captured", TIMESTAMP),
        ("modified", TIMESTAMP),
    ]
)

_NEEDED = ("uri", "size", "etag")
_WHOLE_NUMBER = r"^\d{1,18}$"


def read_inventory(url: str, archive: Location) -> pa.Table:
    """Read an inventory of an archive: a table of ``INVENTORY``, ``name`` relative to the archive.

    Raises UsageError, naming the row (counted from 1, the header left out), where one is no source of the archive, is
    there twice or has no size or etag; UserError when the file cannot be read.
    """
    place = locate(url)
    if is_folder(place):
        place = newest_manifest(place)
    data = read_file(place)
    try:
        if data.lstrip()[:1] == b"{":
            return _Checked(place.url, read_manifest(place, data, archive)).names_below(archive)
        if data[:3] == b"ORC":
            raise UsageError(f"The inventory {place.url} is in ORC: let S3 Inventory write CSV or Parquet.")
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        table = _parquet(data, place.url, archive) if data[:4] == b"PAR1" else _csv(data, place.url)
    except (pa.ArrowInvalid, pa.ArrowKeyError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(
            f"The inventory {place.url} is neither CSV nor Parquet: {str(error).splitlines()[0]}."
        ) from error
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise UsageError(f"The inventory {place.url} has no column {missing[0]}: it needs {', '.join(_NEEDED)}.")
    return _Checked(place.url, table).names_below(archive)


def _parquet(data: bytes, url: str, archive: Location) -> pa.Table:
    file = pq.ParquetFile(io.BytesIO(data))
    if {"bucket", "key"} <= set(file.schema_arrow.names):
        return current_files(read_columns(data), url, archive)
    wanted = [name for name in (*_NEEDED, "captured") if name in file.schema_arrow.names]
    return file.read(columns=wanted)


def _csv(data: bytes, url: str) -> pa.Table:
    torn: list[pyarrow.csv.InvalidRow] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    text = {name: pa.large_string() for name in (*_NEEDED, "captured")}
    table = pyarrow.csv.read_csv(
        io.BytesIO(data),
        pyarrow.csv.ReadOptions(use_threads=False),  # else rows have no numbers
        pyarrow.csv.ParseOptions(invalid_row_handler=note),
        pyarrow.csv.ConvertOptions(column_types=text),
    )
    if torn:
        first = torn[0]
        columns = f"{first.actual_columns} columns, where the header has {first.expected_columns}"
        raise UsageError(f"The inventory {url}, row {first.number - 1}: {columns}.")
    return table


class _Checked:
    """The rows of an inventory, each column checked before it is believed."""

    def __init__(self, url: str, table: pa.Table) -> None:
        self._url = url
        self._table = table.combine_chunks()

    def names_below(self, archive: Location) -> pa.Table:
        uris = self._text("uri", "no uri")
        root = f"{archive.url.rstrip('/')}/"
        self._refuse(pc.invert(pc.starts_with(uris, root)), uris, f"is not below the archive {archive.url}")
        names = pc.utf8_slice_codeunits(uris, len(root))
        # "a/../b.mp4" is a key like others, but elsewhere a way out of the archive.
        no_file = r"^$|/$" if lists_by_prefix(archive.fs) else r"^$|/$|(^|/)\.\.?(/|$)"
        self._refuse(pc.match_substring_regex(names, no_file), uris, "is no file")
        table = pa.table([names, self._sizes(), self._etags(), self._captured(), self._modified()], schema=INVENTORY)
        order = pc.sort_indices(table, [("name", "ascending")])
        ordered = pc.take(names, order)
        again = pc.equal(ordered.slice(1), ordered.slice(0, max(len(ordered) - 1, 0)))
        second = pc.index(again, True).as_py()
        if second >= 0:
            row = max(order[second].as_py(), order[second + 1].as_py())
            raise self._bad(row, f"{uris[row].as_py()} is listed twice")
        return table

    def _sizes(self) -> Any:
        column = self._column("size")
        if pa.types.is_integer(column.type):
            self._refuse_null(column, "no size")
            self._refuse(pc.less(column, 0), column, "is no size in bytes")
            return column.cast(pa.int64())
        text = self._text("size", "no size")
        self._refuse(pc.invert(pc.match_substring_regex(text, _WHOLE_NUMBER)), text, "is no size in bytes")
        return text.cast(pa.int64())

    def _etags(self) -> Any:
        return pc.utf8_trim(self._text("etag", "no etag"), '"')

    def _modified(self) -> Any:
        known = "modified" in self._table.column_names and pa.types.is_timestamp(self._column("modified").type)
        return self._column("modified").cast(TIMESTAMP) if known else pa.nulls(len(self._table), TIMESTAMP)

    def _captured(self) -> Any:
        if "captured" not in self._table.column_names:
            return pa.nulls(len(self._table), TIMESTAMP)
        column = self._column("captured")
        if pa.types.is_timestamp(column.type):
            return column.cast(TIMESTAMP, safe=False)
        text = column.cast(pa.large_string())
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)
        whole = pc.replace_substring_regex(text, r"^(\d{4}-\d\d-\d\d)$", r"\1T00:00Z")
        whole = pc.replace_substring_regex(whole, r"^(\S+[T ]\d\d:\d\d(:\d\d(\.\d+)?)?)$", r"\1Z")
        try:
            return whole.cast(TIMESTAMP)
        except pa.ArrowInvalid:  # one by one, to find which
            for row, moment in enumerate(whole):
                try:
                    moment.cast(TIMESTAMP)
                except pa.ArrowInvalid as error:
                    raise self._bad(row, f"{text[row].as_py()} is no time (ISO 8601)") from error
            raise

    def _column(self, name: str) -> Any:
        column = self._table[name]
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def _text(self, name: str, missing: str) -> Any:
        try:
            text = self._column(name).cast(pa.large_string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UsageError(f"The inventory {self._url}: its column {name} is no text.") from error
        self._refuse_null(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text), missing)
        return text

    def _refuse_null(self, column: Any, missing: str) -> None:
        row = pc.index(pc.is_null(column), True).as_py()
        if row >= 0:
            raise self._bad(row, missing)

    def _refuse(self, bad: Any, shown: Any, why: str) -> None:
        row = pc.index(bad, True).as_py()
        if row >= 0:
            raise self._bad(row, f"{shown[row].as_py()} {why}")

    def _bad(self, row: int, why: str) -> UsageError:
        return UsageError(f"The inventory {self._url}, row {row + 1}: {why}.")
