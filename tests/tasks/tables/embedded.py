"""Tables with embeddings of known directions, without a scan and a model."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.records import CommitRecord, Outcome, ScanRecord, SourceOutcome, Stages
from schemas.tables import INSTANCES, Table, embeddings_schema
from tasks.model import ModelDescription
from tasks.scanning.scan_record import make_scan_record
from tasks.tables import Tables

DIMENSION = 32
FIRST_DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("sofa", "deer", "cone", "tyre")


def scan_record(fps: float = 1.0, weights: str = "1") -> ScanRecord:
    """A generation; another frame rate makes another one of the same model."""
    model = ModelDescription("drawn", weights * 64, DIMENSION, ("road", "thing"), "0" * 64, 1, (("method_version", 1),))
    return make_scan_record(model, fps=fps)


def directions(rng: np.random.Generator, count: int) -> npt.NDArray[np.float32]:
    """Embeddings around four names' directions, which are the same for every generator."""
    centres = np.random.default_rng(7).normal(size=(len(NAMES), DIMENSION))
    found = centres[np.arange(count) // 3 % len(NAMES)] + rng.normal(size=(count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def add_source(
    tables: Tables, record: ScanRecord, drive: str, day: int = 0, rows: int = 600, etag: str = "1", minute: int = 0
) -> str:
    """Commit a source with ``rows`` instances of as many thirds of objects; returns its URI."""
    uri = f"s3://fleet/{drive}/{day}.mp4"
    shard = f"{abs(hash((drive, day, etag))) % 16**12:016x}"
    moment = FIRST_DAY + timedelta(days=day)
    rng = np.random.default_rng([day, *drive.encode(), *etag.encode(), *record.scan_id.encode()])
    ids = [rng.bytes(10).hex() for _ in range(rows)]
    vectors = directions(rng, rows).astype(np.float16)
    columns = {
        "instance_id": pa.array(ids),
        "source_uri": pa.repeat(uri, rows),
        "drive": pa.repeat(drive, rows),
        "frame_index": pa.array(range(rows)),
        "timestamp": pa.array([moment + timedelta(seconds=row) for row in range(rows)]),
        "track_id": pa.array([ids[row // 3 * 3] for row in range(rows)]),
        "name": pa.array([NAMES[row // 3 % len(NAMES)] for row in range(rows)]),
    }
    defaults = {pa.string(): "", pa.binary(): b"x", pa.int32(): 1, pa.int64(): 1, pa.float32(): 0.5}
    instances = [
        columns[field.name]
        if field.name in columns
        else pa.nulls(rows, field.type)
        if field.nullable
        else pa.repeat(pa.scalar(defaults[field.type], field.type), rows)
        for field in INSTANCES
    ]
    embeddings = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)
    schema = embeddings_schema(DIMENSION)
    parts: Sequence[tuple[Table, pa.Table]] = (
        (Table.INSTANCES, pa.table(instances, names=INSTANCES.names).cast(INSTANCES)),
        (Table.EMBEDDINGS, pa.table([columns["instance_id"], embeddings], names=schema.names).cast(schema)),
    )
    tables.begin(record)
    files = tables.write(record.scan_id, shard, [(table, moment.date(), part) for table, part in parts])
    outcome = SourceOutcome(uri, etag, Outcome.OK, None, rows, 0, rows)
    committed = FIRST_DAY + timedelta(days=30, minutes=minute)
    tables.write_commit(CommitRecord(record.scan_id, shard, committed, files, (outcome,), Stages(1, 1, 1), run=minute))
    return uri
