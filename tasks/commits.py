"""What is done: scan records, and the commit records that make a shard's rows count.

A shard is done when, and only when, its commit record exists. The checkpoint of a generation repeats its
commit records in one Parquet file: reading it and the records after it is enough.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, ScanRecord
from schemas.tables import TIMESTAMP
from tasks.storage import Location, create_file, exists, file_names, locate, read_file, replace_file

_READING_THREADS = 16

_SCAN = TypeAdapter(ScanRecord)
_COMMIT = TypeAdapter(CommitRecord)

_CHECKPOINT = pa.schema(
    [
        ("scan_id", pa.string()),
        ("shard_id", pa.string()),
        ("committed", TIMESTAMP),
        (
            "files",
            pa.list_(
                pa.struct(
                    [
                        ("table", pa.string()),
                        ("path", pa.string()),
                        ("rows", pa.int64()),
                        ("size", pa.int64()),
                        ("sha256", pa.string()),
                    ]
                )
            ),
        ),
        (
            "sources",
            pa.list_(
                pa.struct(
                    [
                        ("uri", pa.string()),
                        ("etag", pa.string()),
                        ("outcome", pa.string()),
                        ("error", pa.string()),
                        ("frames", pa.int64()),
                        ("failed_frames", pa.int64()),
                        ("instances", pa.int64()),
                    ]
                )
            ),
        ),
        (
            "seconds",
            pa.struct([("reading", pa.float64()), ("inferring", pa.float64()), ("writing", pa.float64())]),
        ),
        ("notes", pa.list_(pa.string())),
    ]
)


def write_scan_record(tables_url: str, record: ScanRecord) -> None:
    """Write ``_scans/<scan_id>.json`` unless it is there. Raises UserError when it cannot be written."""
    create_file(_scans(locate(tables_url)).child(f"{record.scan_id}.json"), _SCAN.dump_json(record, indent=1))


def read_scan_records(tables_url: str) -> list[ScanRecord]:
    """Every generation of these tables, oldest first; none where nothing was ever scanned."""
    folder = _scans(locate(tables_url))
    records = []
    for name in file_names(folder, ".json"):
        place = folder.child(name)
        try:
            records.append(_SCAN.validate_json(read_file(place)))
        except ValidationError as error:
            raise UserError(f"{place.url} is no scan record. Remove it if it is not of Clipomaly.") from error
    return sorted(records, key=lambda record: (record.created, record.scan_id))


def is_committed(tables_url: str, scan_id: str, shard_id: str) -> bool:
    """Whether a shard of a generation is done."""
    return exists(_commit(locate(tables_url), scan_id, shard_id))


def read_commit(tables_url: str, scan_id: str, shard_id: str) -> CommitRecord:
    """One commit record. Raises UserError when it cannot be read."""
    return _parse_commit(_commit(locate(tables_url), scan_id, shard_id))


def write_commit(tables_url: str, record: CommitRecord) -> bool:
    """Publish a shard, after its part files; False when it was committed already and stays as it was."""
    place = _commit(locate(tables_url), record.scan_id, record.shard_id)
    return create_file(place, _COMMIT.dump_json(record, indent=1))


def read_commits(tables_url: str, scan_id: str) -> list[CommitRecord]:
    """All commit records of a generation, by shard_id: from its checkpoint, and one by one what is newer.

    Raises UserError when one cannot be read.
    """
    tables = locate(tables_url)
    folder = tables.child(f"_commits/{scan_id}")
    committed = [name.removesuffix(".json") for name in file_names(folder, ".json")]
    checkpoint = _read_checkpoint(_checkpoint(tables, scan_id)) if committed else {}
    newer = [shard_id for shard_id in committed if shard_id not in checkpoint]
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        read = pool.map(lambda shard_id: _parse_commit(folder.child(f"{shard_id}.json")), newer)
        records = checkpoint | {record.shard_id: record for record in read}
    return [records[shard_id] for shard_id in committed]


def fold_commits(tables_url: str, scan_id: str) -> int:
    """Fold the commit records of a generation into ``_checkpoints/<scan_id>.parquet``: how many it holds.

    The file is replaced whole; a record that is committed meanwhile is read one by one until the next time.
    """
    records = read_commits(tables_url, scan_id)
    if records:
        buffer = io.BytesIO()
        table = pa.Table.from_pylist([asdict(record) for record in records], schema=_CHECKPOINT)
        pq.write_table(table, buffer, compression="zstd")
        replace_file(_checkpoint(locate(tables_url), scan_id), buffer.getvalue())
    return len(records)


def _read_checkpoint(place: Location) -> dict[str, CommitRecord]:
    if not exists(place):
        return {}
    try:
        rows = pq.read_table(io.BytesIO(read_file(place))).to_pylist()
    except pa.ArrowInvalid as error:
        raise UserError(f"{place.url} is damaged. Remove it: it is made again from the commits.") from error
    return {str(row["shard_id"]): _COMMIT.validate_python(row) for row in rows}


def _parse_commit(place: Location) -> CommitRecord:
    try:
        return _COMMIT.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is damaged. Remove it: the next scan does its shard again.") from error


def _scans(tables: Location) -> Location:
    return tables.child("_scans")


def _commit(tables: Location, scan_id: str, shard_id: str) -> Location:
    return tables.child(f"_commits/{scan_id}/{shard_id}.json")


def _checkpoint(tables: Location, scan_id: str) -> Location:
    return tables.child(f"_checkpoints/{scan_id}.parquet")
