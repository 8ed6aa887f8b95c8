"""What S3 Inventory writes of a bucket is an inventory, in each of its forms."""

import csv
import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import fsspec
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from clipomaly_core.errors import UserError
from tasks.errors import UsageError
from tasks.footage.archive import find_sources

WRITTEN = datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)
SCHEMA = (
    "Bucket", "Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate", "ETag", "StorageClass"
)  # fmt: skip
PARQUET = (
    "bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "last_modified_date", "e_tag",
    "storage_class",
)  # fmt: skip
KEYS = ("fleet/car1/a b+c%20d.mp4", "fleet/car1/a b+c%20d.json", "fleet/car2//é::1.mp4", "fleet/car 3/x/../2.mp4")
Row = tuple[Any, ...]


def rows_of(bucket: str) -> list[Row]:
    """A versioned bucket: files of an archive and of others, an old version, a deleted file, a folder's marker."""

    def row(key: str, latest: bool = True, deleted: bool = False, size: int | None = 7) -> Row:
        etag = None if deleted else hashlib.md5(f"{key}{latest}".encode()).hexdigest()
        return (bucket, key, "v1", latest, deleted, size, WRITTEN, etag, "STANDARD")

    return [
        *map(row, KEYS),
        row(KEYS[0], latest=False),
        row("fleet/gone.mp4", deleted=True, size=None),
        row("fleet/gone.mp4", latest=False),
        row("fleet/car1/", size=0),
        row("fleet-of-others/1.mp4"),
        row("1.mp4"),
    ]


def as_csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for bucket, key, version, latest, deleted, size, written, etag, storage in rows:
        flags = ("true" if latest else "false", "true" if deleted else "false")
        size, etag = ("" if size is None else size), etag or ""
        moment = f"{written:%Y-%m-%dT%H:%M:%S}.000Z"
        writer.writerow([bucket, quote_plus(key, safe="/"), version, *flags, size, moment, etag, storage])
    return gzip.compress(text.getvalue().encode())


def as_table(rows: Sequence[Row]) -> pa.Table:
    table = pa.table(dict(zip(PARQUET, zip(*rows, strict=True), strict=True)))
    at = PARQUET.index("last_modified_date")
    return table.set_column(at, PARQUET[at], table[at].cast(pa.timestamp("ms")))


def as_parquet(rows: Sequence[Row]) -> bytes:
    file = io.BytesIO()
    pq.write_table(as_table(rows), file)
    return file.getvalue()


def write_inventory(s3: str, form: str, files: Sequence[bytes], day: datetime = WRITTEN, **changes: Any) -> str:
    """An inventory as S3 writes it, into ``lists/night/all``: the URL of its manifest."""
    bucket, store = s3.removeprefix("s3://"), fsspec.filesystem("s3")
    named = []
    for number, data in enumerate(files):
        key = f"lists/night/all/data/{day:%d}-{number}.{form.lower()}"
        store.pipe_file(f"{bucket}/{key}", data)
        named.append({"key": key, "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest()})
    schema = ", ".join(SCHEMA) if form == "CSV" else "message s3.inventory { required binary bucket (UTF8); }"
    manifest = json.dumps(
        {
            "sourceBucket": bucket,
            "destinationBucket": f"arn:aws:s3:::{bucket}",
            "version": "2016-11-30",
            "creationTimestamp": "1795300000000",
            "fileFormat": form,
            "fileSchema": schema,
            "files": named,
            **changes,
        }
    ).encode()
    folder = f"{s3}/lists/night/all/{day:%Y-%m-%dT%H-%MZ}"
    store.pipe_file(f"{folder}/manifest.json", manifest)
    store.pipe_file(f"{folder}/manifest.checksum", hashlib.md5(manifest).hexdigest().encode())
    return f"{folder}/manifest.json"


def found(s3: str, inventory: str) -> dict[str, str | None]:
    """The keys of the sources, with those of their sidecars."""
    sources = find_sources(f"{s3}/fleet", inventory=inventory).sources
    assert all(source.size == 7 and source.etag and source.captured == WRITTEN for source in sources)
    start = len(f"{s3}/")
    return {source.uri[start:]: source.sidecar and source.sidecar[start:] for source in sources}


EXPECTED = {KEYS[0]: KEYS[1], KEYS[2]: None, KEYS[3]: None}


@pytest.mark.parametrize(("form", "write"), [("CSV", as_csv), ("Parquet", as_parquet)])
def test_current_files_of_the_archive_are_listed(s3: str, form: str, write: Any) -> None:
    rows = rows_of(s3.removeprefix("s3://"))
    assert found(s3, write_inventory(s3, form, [write(rows[:3]), write(rows[3:])])) == EXPECTED


def test_a_folder_of_inventories_is_the_newest(s3: str, tmp_path: Path) -> None:
    rows = rows_of(s3.removeprefix("s3://"))
    write_inventory(s3, "CSV", [as_csv(rows[:1])], WRITTEN - timedelta(days=1))
    manifest = write_inventory(s3, "CSV", [as_csv(rows)])
    assert found(s3, f"{s3}/lists/night/all") == EXPECTED
    # Copied to a disk, with its folders or all into one.
    store = fsspec.filesystem("s3")
    store.get(f"{s3}/lists/night/all/", f"{tmp_path}/all/", recursive=True)
    assert found(s3, str(tmp_path / "all")) == EXPECTED
    shutil.copytree(tmp_path / "all" / "data", tmp_path / "one")
    store.get_file(manifest, str(tmp_path / "one" / "manifest.json"))
    assert found(s3, str(tmp_path / "one" / "manifest.json")) == EXPECTED
    with pytest.raises(UsageError, match="holds no inventory of S3"):
        find_sources(f"{s3}/fleet", inventory=f"{s3}/lists/night")


def test_one_parquet_file_of_s3_is_an_inventory(s3: str, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(as_parquet(rows_of(s3.removeprefix("s3://"))))
    assert found(s3, str(tmp_path / "x.parquet")) == EXPECTED


def test_our_own_csv_packed(s3: str, tmp_path: Path) -> None:
    (tmp_path / "i.csv.gz").write_bytes(gzip.compress(f"uri,size,etag\n{s3}/fleet/1.mp4,7,x\n".encode()))
    [source] = find_sources(f"{s3}/fleet", inventory=str(tmp_path / "i.csv.gz")).sources
    assert source.uri == f"{s3}/fleet/1.mp4"


def test_inventories_that_cannot_be_used(s3: str, tmp_path: Path) -> None:
    def refused(inventory: str, archive: str = f"{s3}/fleet") -> str:
        with pytest.raises(UserError) as error:
            find_sources(archive, inventory=inventory)
        assert "\n" not in str(error.value)
        return str(error.value)

    store, rows = fsspec.filesystem("s3"), rows_of(s3.removeprefix("s3://"))
    assert "lists in ORC: let S3 Inventory write CSV or Parquet" in refused(write_inventory(s3, "ORC", [b"ORC"]))
    pa.orc.write_table(as_table(rows), str(tmp_path / "x.orc"))
    assert "is in ORC" in refused(str(tmp_path / "x.orc"))
    manifest = write_inventory(s3, "CSV", [as_csv(rows)])
    assert f"lists the bucket {s3[5:]}, and the archive is" in refused(manifest, "s3://another/fleet")
    short = [column for column in SCHEMA if column != "ETag"]
    assert "names no files" in refused(write_inventory(s3, "CSV", []))
    assert "lacks ETag" in refused(write_inventory(s3, "CSV", [as_csv(rows)], fileSchema=", ".join([*short, "Other"])))
    manifest = write_inventory(s3, "CSV", [as_csv(rows)])
    store.pipe_file(f"{s3}/lists/night/all/data/20-0.csv", as_csv(rows[:2]))
    assert "20-0.csv is damaged" in refused(manifest)
    store.pipe_file(manifest, store.cat_file(manifest) + b" ")
    assert "manifest.json is damaged" in refused(manifest)
    (tmp_path / "manifest.json").write_text('{"files": []}')
    assert "is no manifest of S3 Inventory: destinationBucket" in refused(str(tmp_path / "manifest.json"))
