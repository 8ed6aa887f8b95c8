"""The README's questions over ten million instances. ``python -m benchmarks.query FOLDER``.

FOLDER keeps what is made: tables of ten million rows, a car and day a shard, as compaction leaves them. They are made
from drawn rows, or from those of an archive that is scanned with ``nano``. Names, scores, times, cars and ids
vary; masks keep their length, and differ in every third byte, so that a packer finds none twice (they decode no more).
The first day is written as a scan does and compacted, timed; the others come merged. Then each question is asked of a
raw glob and through ``open_table``, on two threads; the best, the median and the processor's seconds are told.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.drawn_rows import drawn_rows
from schemas.records import CommitRecord, CompactionRecord, Outcome, PartFile, ScanRecord, SourceOutcome, Stages
from schemas.tables import INSTANCES, Table
from tasks.model import ModelDescription
from tasks.scanning.scan_record import make_scan_record
from tasks.storage import locate, replace_file
from tasks.tables import Tables, open_table
from tasks.tables.merge import pack
from tasks.tables.parts import day_folder, with_shard
from tasks.tables.query import connect
from tasks.tables.records import publish_compaction

FIRST_DAY = datetime(2026, 10, 1, tzinfo=UTC)
NAMES = 400
DRAWN = 5_000  # rows, from which the others are made
THREADS = 2
EMBEDDING = 512  # numbers

QUESTIONS = {
    "counts by name and day": """
        SELECT name, dt, count(*) AS instances, max(anomaly_score) AS best
        FROM {instances} GROUP BY name, dt ORDER BY instances DESC
    """,
    "counts by name of one day": """
        SELECT name, count(*) AS instances FROM {instances} WHERE dt = DATE '2026-10-02' GROUP BY name ORDER BY ALL
    """,
    "top 100 by score": "SELECT * FROM {instances} ORDER BY anomaly_score DESC LIMIT 100",
    "top 100 by score, without masks": """
        SELECT name, anomaly_score, source_uri, frame_index, timestamp
        FROM {instances} ORDER BY anomaly_score DESC LIMIT 100
    """,
    "everything of one drive": "SELECT * FROM {instances} WHERE drive = 'car-042'",
}


def scan_clips(archives: Sequence[Path], folder: Path) -> pa.Table:
    """The rows of every clip, once, with the built-in model."""
    from flows.parameters import ScanParameters
    from flows.scan import run_scan

    real = folder / "real"
    for archive in archives if not real.exists() else ():
        run_scan(ScanParameters(archive=str(archive), tables=str(real), model="nano", fps=1))
    return open_table(str(real), "instances").to_table().select(INSTANCES.names)


def multiply(found: pa.Table, tables: Path, days: int, cars: int, rows: int) -> dict[str, float]:
    """Write and commit ``rows`` rows of every car on every day: what compacting the first day took, if there was
    anything to merge."""
    rng = np.random.default_rng(0)
    found = found.sort_by([("source_uri", "ascending"), ("frame_index", "ascending")]).combine_chunks()
    record = scan_record()
    Tables.at(tables).begin(record)
    compaction: dict[str, float] = {}
    for number in range(days):
        moment = FIRST_DAY + timedelta(days=number, hours=6)
        cars_of_day = _cars(found, rng, moment, cars, rows)
        if number == 0 and cars > 1:  # one shard is nothing to merge
            for shard, uri, part in cars_of_day:
                files = Tables.at(tables).write(record.scan_id, shard, [(Table.INSTANCES, moment.date(), part)])
                _commit(tables, record.scan_id, shard, uri, moment, files)
            compaction = _compact(tables)
        else:
            _write_merged(tables, record.scan_id, moment, list(cars_of_day))
    return compaction


def scan_record() -> ScanRecord:
    """A generation of no model."""
    nothing = "0" * 64
    model = ModelDescription("drawn", nothing, EMBEDDING, ("road", "thing"), nothing, 1, (("method_version", 1),))
    return make_scan_record(model, fps=1.0)


def _cars(
    found: pa.Table, rng: np.random.Generator, moment: datetime, cars: int, rows: int
) -> Iterator[tuple[str, str, pa.Table]]:
    """Shard, source and rows of each car on a day."""
    for car in range(cars):
        uri = f"s3://fleet/car-{car:03d}/{moment:%Y-%m-%dT%H-%M-%S}.mp4"
        start = int(rng.integers(len(found)))
        chosen = found.take(pa.array(np.arange(start, start + rows) % len(found)))
        yield f"{moment:%m%d}{car:08x}", uri, vary(chosen, rng, uri, f"car-{car:03d}", moment)


def _commit(tables: Path, scan_id: str, shard: str, uri: str, moment: datetime, files: tuple[PartFile, ...]) -> None:
    rows = sum(file.rows for file in files)
    outcome = SourceOutcome(uri, "1", Outcome.OK, None, rows, 0, rows)
    Tables.at(tables).write_commit(CommitRecord(scan_id, shard, moment, files, (outcome,), Stages(1, 1, 1)))


def _write_merged(tables: Path, scan_id: str, moment: datetime, cars: list[tuple[str, str, pa.Table]]) -> None:
    """As compaction leaves a day: commits of files that are gone, merged files, and the record that names them."""
    folder = day_folder(Table.INSTANCES, scan_id, moment.date())
    for shard, uri, part in cars:
        file = PartFile(Table.INSTANCES, f"{folder}/{shard}.parquet", len(part), 0, "")
        _commit(tables, scan_id, shard, uri, moment, (file,))
    files = []
    for merged in pack(with_shard(part, shard) for shard, _, part in cars):
        path = f"{folder}/merged-000001-{merged.sha256[:12]}.parquet"
        replace_file(locate(str(tables)).child(path), merged.data)
        files.append(PartFile(Table.INSTANCES, path, merged.rows, len(merged.data), merged.sha256))
    shards = tuple(shard for shard, _, _ in cars)
    record = CompactionRecord(scan_id, moment.date(), 1, datetime.now(UTC), shards, tuple(files))
    assert publish_compaction(Tables.at(tables).root, record)


def _compact(tables: Path) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    [done] = Tables.at(tables).compact(timedelta())
    return {
        "seconds": round(time.perf_counter() - wall, 1),
        "processor": round(time.process_time() - processor, 1),
        "files": done.merged,
        "into": done.into,
        "bytes": done.size,
    }


def vary(rows: pa.Table, rng: np.random.Generator, uri: str, drive: str, moment: datetime) -> pa.Table:
    """The same rows as of another car's day."""
    count = len(rows)
    frames = np.sort(rng.integers(0, count // 3 + 1, count))
    names = pa.array([f"thing {number}" for number in range(NAMES)]).take(
        pa.array(np.minimum(rng.zipf(1.3, count) - 1, NAMES - 1))
    )
    ids = pa.array([identity.hex() for identity in _split(rng.bytes(10 * count), 10)])
    scores = np.clip(rows["anomaly_score"].to_numpy() + rng.normal(0, 0.05, count), 0, 1).astype(np.float32)
    times = np.datetime64(moment.replace(tzinfo=None), "us") + frames * np.timedelta64(1_000_000, "us")
    new = {
        "instance_id": ids,
        "source_uri": pa.repeat(uri, count),
        "drive": pa.repeat(drive, count),
        "frame_index": pa.array(frames * 30),
        "timestamp": pa.array(times, INSTANCES.field("timestamp").type),
        "track_id": ids.take(pa.array(np.arange(count) // 5 * 5)),
        "name": names,
        "track_name": names,
        "anomaly_score": pa.array(scores),
        "anomaly_score_max": pa.array(np.maximum(scores, rows["anomaly_score_max"].to_numpy())),
        "mask_rle": _other_masks(rows["mask_rle"].combine_chunks(), rng),
        "latitude": pa.array(48 + rng.normal(0, 0.1, count)),
        "longitude": pa.array(11 + rng.normal(0, 0.1, count)),
    }
    return pa.Table.from_arrays([new.get(name, rows[name]) for name in INSTANCES.names], schema=INSTANCES)


def _split(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def _other_masks(masks: pa.Array, rng: np.random.Generator) -> pa.Array:
    _, offsets, data = masks.buffers()
    ends = np.frombuffer(offsets, np.int32)[masks.offset : masks.offset + len(masks) + 1]
    flat = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].copy()
    places = np.arange(int(rng.integers(3)), len(flat), 3)
    flat[places] = rng.integers(48, 112, len(places), np.uint8)
    return pa.Array.from_buffers(pa.binary(), len(masks), [None, pa.py_buffer(ends - ends[0]), pa.py_buffer(flat)])


@dataclass(frozen=True)
class Asked:
    """Seconds of one question, and how many rows it gave."""

    best: float
    median: float
    processor: float
    rows: int


def ask(run: Callable[[], int], repeats: int) -> Asked:
    """Ask it once for the caches, then ``repeats`` times."""
    rows, walls, processors = run(), [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return Asked(min(walls), statistics.median(walls), min(processors), rows)


def by_glob(tables: Path, question: str) -> int:
    """Over the files as they lie."""
    instances = f"read_parquet('{tables}/instances/scan=*/dt=*/*.parquet', hive_partitioning = true)"
    with duckdb.connect(config={"threads": THREADS}) as connection:
        return connection.sql(question.format(instances=instances)).to_arrow_table().num_rows


def by_open_table(tables: Path, question: str) -> int:
    """Over the dataset of committed rows, opening included."""
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.register("instances", open_table(str(tables), "instances"))
        return connection.sql(question.format(instances="instances")).to_arrow_table().num_rows


def by_query(tables: Path, question: str) -> int:
    """As ``clipomaly query`` does."""
    with connect(str(tables), [Table.INSTANCES]) as connection:
        connection.execute(f"SET threads = {THREADS}")
        return connection.sql(question.format(instances="instances")).to_arrow_table().num_rows


# Arrow unpacks every column of every row before it knows the best hundred: half a minute, asked only with --all.
SLOW = {("top 100 by score", "open_table")}
WAYS = {"raw glob": by_glob, "open_table": by_open_table, "clipomaly query": by_query}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--archive", type=Path, nargs="+", default=[], help="footage to scan")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--cars", type=int, default=100)
    parser.add_argument("--rows", type=int, default=3_334, help="of a car and day")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--all", action="store_true", help="also what is known to be slow")
    parser.add_argument("--quick", action="store_true", help="a hundred thousand rows, in FOLDER/quick, asked once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.days, arguments.cars, arguments.rows, arguments.repeats = 2, 50, 1_000, 1
        arguments.folder /= "quick"
    pa.set_cpu_count(THREADS)
    tables = arguments.folder / "tables"
    figures: dict[str, object] = {"duckdb": version("duckdb"), "pyarrow": version("pyarrow")}
    if not tables.exists():
        found = scan_clips(arguments.archive, arguments.folder) if arguments.archive else drawn_rows(DRAWN)
        started = time.perf_counter()
        figures["compaction of a day"] = multiply(found, tables, arguments.days, arguments.cars, arguments.rows)
        Tables.at(tables).fold(Tables.at(tables).scans()[0].scan_id)
        print(f"made in {time.perf_counter() - started:.0f} s", figures, flush=True)
    if arguments.repeats:
        figures["questions"] = measure(tables, arguments.repeats, set() if arguments.all else SLOW)
    from benchmarks.results import write_results  # imports torch, which would lie in the way of what is measured

    print(write_results("query", figures))


def measure(tables: Path, repeats: int, skipped: set[tuple[str, str]]) -> dict[str, dict[str, dict[str, float]]]:
    """Every question in every way but those."""
    told: dict[str, dict[str, dict[str, float]]] = {}
    for name, question in QUESTIONS.items():
        for way, run in WAYS.items():
            if (name, way) in skipped:
                continue
            asked = ask(partial(run, tables, question), repeats)
            print(
                f"{name}, {way}: best {asked.best:.2f} s, median {asked.median:.2f} s, "
                f"{asked.processor:.2f} s of the processor, {asked.rows} rows",
                flush=True,
            )
            told.setdefault(name, {})[way] = {
                "best": round(asked.best, 2),
                "median": round(asked.median, 2),
                "processor": round(asked.processor, 2),
                "rows": asked.rows,
            }
    return told


if __name__ == "__main__":
    main()
