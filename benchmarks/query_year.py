"""Opening a year of a fleet by its records alone. ``python -m benchmarks.query_year FOLDER``.

FOLDER gets tables with the records of a year of 100 cars, a shard each a day, compacted: commits, checkpoint,
compactions, and merged files that have only their size (they take no place on a disk that knows sparse files). What is
timed is what a reader does before it reads a row: ``open_table``, and the files for SQL.
"""

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.query import FIRST_DAY, scan_record
from schemas.records import CommitRecord, CompactionRecord, Outcome, PartFile, SourceOutcome, Stages
from schemas.tables import Table
from tasks.tables import Tables, open_table
from tasks.tables.dataset import local_files
from tasks.tables.parts import day_folder
from tasks.tables.records import publish_compaction

_MERGED_BYTES = 70_000_000


def write_year(tables: Path, days: int, cars: int, rows: int) -> None:
    """The records of ``days`` days and ``cars`` cars with ``rows`` instances each, and files of nothing."""
    there, record = Tables.at(tables), scan_record()
    there.begin(record)
    for number in range(days):
        moment = FIRST_DAY + timedelta(days=number, hours=6)
        day, shards = moment.date(), []
        for car in range(cars):
            shards.append(shard := f"{number:04x}{car:08x}")
            uri = f"s3://fleet/car-{car:03d}/{moment:%Y-%m-%dT%H-%M-%S}.mp4"
            outcome = SourceOutcome(uri, "1", Outcome.OK, None, rows, 0, rows)
            parts = tuple(
                PartFile(table, f"{day_folder(table, record.scan_id, day)}/{shard}.parquet", rows, 700_000, "0" * 64)
                for table in Table
            )
            there.write_commit(CommitRecord(record.scan_id, shard, moment, parts, (outcome,), Stages(1, 1, 1), run=1))
        files = []
        for table in Table:
            path = f"{day_folder(table, record.scan_id, day)}/merged-000001-{number:012x}.parquet"
            (tables / path).parent.mkdir(parents=True)
            (tables / path).touch()
            os.truncate(tables / path, _MERGED_BYTES)
            files.append(PartFile(table, path, rows * cars, _MERGED_BYTES, "0" * 64))
        merged = CompactionRecord(record.scan_id, day, 1, datetime.now(UTC), tuple(shards), tuple(files))
        assert publish_compaction(there.root, merged)
    there.fold(record.scan_id)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--cars", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2_740, help="of a car and day")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    tables = arguments.folder / f"{arguments.days}-days-{arguments.cars}-cars-{arguments.rows}-rows"
    if not tables.exists():
        write_year(tables, arguments.days, arguments.cars, arguments.rows)
    root = Tables.at(tables).root
    ways = {
        "open_table": lambda: len(open_table(tables, "instances").files),
        "files for SQL": lambda: len(getattr(local_files(root, "instances"), "paths", ())),
    }
    for name, run in ways.items():
        for _ in range(arguments.repeats):
            wall, processor = time.perf_counter(), time.process_time()
            found = run()
            print(
                f"{name}: {found} files, {time.perf_counter() - wall:.2f} s, "
                f"{time.process_time() - processor:.2f} s of the processor",
                flush=True,
            )


if __name__ == "__main__":
    main()
