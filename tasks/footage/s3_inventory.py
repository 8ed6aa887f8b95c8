"""The lists that S3 Inventory writes of a bucket: a manifest, and files of CSV or Parquet that it names.

See https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import gzip
import hashlib
import io
import re
import zlib
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, ValidationError

from schemas.tables import TIMESTAMP
from tasks.errors import UsageError
from tasks.storage import Location, exists, folder_names, locate, read_file

_MANIFEST, _CHECKSUM = "manifest.json", "manifest.checksum"
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\dZ")  # the folder of a manifest
_TEXT = pa.large_string()
# Columns by their names in CSV; those in Parquet are the names here.
_COLUMNS = {
    "Bucket": ("bucket", _TEXT),
    "Key": ("key", _TEXT),
    "IsLatest": ("is_latest", pa.bool_()),
    "IsDeleteMarker": ("is_delete_marker", pa.bool_()),
    "Size": ("size", pa.int64()),
    "LastModifiedDate": ("last_modified_date", TIMESTAMP),
    "ETag": ("e_tag", _TEXT),
}


class _File(BaseModel):
    key: str
    md5: str = Field(alias="MD5checksum")


class _Manifest(BaseModel):
    written_to: str = Field(alias="destinationBucket")
    format: str = Field(alias="fileFormat")
    columns: str = Field(alias="fileSchema")
    files: list[_File]


def newest_manifest(folder: Location) -> Location:
    """The manifest that was written last, of a folder in which S3 keeps one for each day or week.

    Raises UsageError if there is no such manifest.
    """
    for name in sorted(filter(_WRITTEN.fullmatch, folder_names(folder)), reverse=True):
        manifest = folder.child(f"{name}/{_MANIFEST}")
        if exists(manifest):
            return manifest
    raise UsageError(f"{folder.url} holds no inventory of S3, such as 2026-11-22T01-00Z/{_MANIFEST}.")


def read_manifest(place: Location, data: bytes, archive: Location) -> pa.Table:
    """What a manifest of S3 lists of an archive: see ``current_files``.

    Raises UsageError when it is no manifest, of another format, or one of its files is damaged; UserError when one
    cannot be read.
    """
    try:
        manifest = _Manifest.model_validate_json(data)
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"]))
        raise UsageError(f"{place.url} is no manifest of S3 Inventory: {where} {what['msg']}.") from error
    checksum = _beside(place, _CHECKSUM)
    if exists(checksum):
        _check(place, data, read_file(checksum).decode(errors="replace").strip())
    if manifest.format.upper() not in ("CSV", "PARQUET"):
        raise UsageError(f"{place.url} lists in {manifest.format}: let S3 Inventory write CSV or Parquet.")
    names = [name.strip() for name in manifest.columns.split(",")]
    parts = []
    for file in manifest.files:
        at = _data_file(place, manifest, file)
        content = read_file(at)
        _check(at, content, file.md5)
        try:
            parts.append(_csv(content, names) if manifest.format.upper() == "CSV" else read_columns(content))
        except (pa.ArrowInvalid, OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{at.url} is not what its manifest says: {str(error).splitlines()[0]}.") from error
    if not parts:
        raise UsageError(f"{place.url} names no files.")
    return current_files(pa.concat_tables(parts), place.url, archive)


def current_files(listed: pa.Table, url: str, archive: Location) -> pa.Table:
    """What an inventory of S3 lists of an archive: columns uri, size, etag and modified.

    Older versions, what was deleted, what stands for folders and what is not below the archive is left out.
    Raises UsageError when the inventory is of another bucket or lacks columns.
    """
    for name, (column, _) in _COLUMNS.items():
        if column not in listed.column_names and column in ("bucket", "key", "size", "e_tag"):
            raise UsageError(f"{url} lacks {name}: add this field to the inventory's configuration.")
    bucket, _, prefix = archive.path.partition("/")
    others = pc.unique(listed["bucket"].filter(pc.not_equal(listed["bucket"], bucket)))
    if len(others):
        raise UsageError(f"{url} lists the bucket {others[0]}, and the archive is {archive.url}.")
    kept = pc.starts_with(listed["key"], f"{prefix.rstrip('/')}/" if prefix else "")
    kept = pc.and_(kept, pc.invert(pc.ends_with(listed["key"], "/")))
    for column, wanted in (("is_latest", True), ("is_delete_marker", False)):
        if column in listed.column_names:
            kept = pc.and_(kept, pc.equal(listed[column].fill_null(wanted), wanted))
    files = listed.filter(kept)
    root = archive.url.rstrip("/")
    below = pc.utf8_slice_codeunits(files["key"], len(prefix.rstrip("/")) + 1 if prefix else 0)
    modified = files["last_modified_date"] if "last_modified_date" in files.column_names else None
    return pa.table(
        {
            "uri": pc.binary_join_element_wise(pa.scalar(f"{root}/", _TEXT), below, pa.scalar("", _TEXT)),
            "size": files["size"],
            "etag": files["e_tag"],
            "modified": pa.nulls(len(files), TIMESTAMP) if modified is None else modified,
        }
    )


def read_columns(data: bytes) -> pa.Table:
    """The columns that matter, of a file of S3 Inventory in Parquet."""
    file = pq.ParquetFile(io.BytesIO(data))
    known = dict(_COLUMNS.values())
    table = file.read(columns=[name for name in file.schema_arrow.names if name in known])
    return table.cast(pa.schema([(name, known[name]) for name in table.column_names]), safe=False)


def _csv(data: bytes, names: list[str]) -> pa.Table:
    """A file without a header, packed or not. Keys are written as in the query of a URL."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    known = {name: _COLUMNS[name] for name in names if name in _COLUMNS}
    table = pyarrow.csv.read_csv(
        io.BytesIO(data),
        pyarrow.csv.ReadOptions(column_names=names),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: kind for name, (_, kind) in known.items()},
            include_columns=list(known),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    ).rename_columns([column for column, _ in known.values()])
    if "key" in table.column_names:
        keys = pa.array(map(_decoded, table["key"].to_pylist()), _TEXT)
        table = table.set_column(table.column_names.index("key"), "key", keys)
    return table


def _decoded(key: str | None) -> str:
    return unquote_plus(key or "")


def _data_file(place: Location, manifest: _Manifest, file: _File) -> Location:
    """A file that a manifest names: in its bucket, or where both were copied, in ``data`` beside the manifest's folder
    or beside the manifest."""
    if place.url.startswith("s3"):
        return locate(f"s3://{manifest.written_to.rpartition(':')[2]}/{file.key}")
    name = file.key.rpartition("/")[2]
    copied = locate(f"{place.url.rpartition('/')[0].rpartition('/')[0]}/data/{name}")
    return copied if exists(copied) else _beside(place, name)


def _beside(place: Location, name: str) -> Location:
    return locate(f"{place.url.rpartition('/')[0]}/{name}")


def _check(place: Location, data: bytes, md5: str) -> None:
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise UsageError(f"{place.url} is damaged: it does not have the MD5 sum that S3 wrote for it.")
