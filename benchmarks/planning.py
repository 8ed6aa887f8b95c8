"""Planning a scan of a million clips: list, match with the commits, group into shards; and its records in the morning.

``python -m benchmarks.planning --sources 1000000``, ``--quick`` for a twentieth of it. The archive is a filesystem of
our own that lies in memory and lists like an object store, with what S3 tells of each object; it counts what is opened.
Three ways: listed by prefix with nothing committed, from an inventory with nothing committed, and listed by prefix with
all but a hundredth committed; then ``clipomaly status`` of those commits, and folding them. Each in a process of its
own, for its peak memory.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.asyn import AsyncFileSystem
from pydantic import TypeAdapter

from schemas.records import CommitRecord, Outcome, ScanRecord, SourceOutcome, Stages
from tasks.footage.archive import Sources, find_sources
from tasks.scanning.plan import Plan, plan, with_footage
from tasks.scanning.scan_record import write_plan
from tasks.scanning.status import read_status
from tasks.tables import Tables

_SCAN = "benchmark-scan"
_CLIPS = 500  # a drive
_COMMIT = TypeAdapter(CommitRecord)
_NIGHT = datetime(2026, 11, 22, 18, tzinfo=UTC)


class Fleet(AsyncFileSystem):
    """``fleet://<sources>/<drive>/<time>.mp4``: clips of a minute, listed and never written."""

    protocol = "fleet"
    cachable = False
    opened = 0

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if not path.endswith(".mp4"):
            return {"name": path, "type": "directory", "size": 0}
        return dict(self.find(path.rpartition("/")[0])[path])

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        sources, *drive = self._strip_protocol(path).split("/")
        if drive:
            return list(self.find(path).values())
        drives = range(-(-int(sources) // _CLIPS))
        return [{"name": f"{sources}/car{car:05d}", "type": "directory", "size": 0} for car in drives]

    def find(self, path: str, detail: bool = True, **_: Any) -> dict[str, dict[str, Any]]:
        sources, drive = self._strip_protocol(path).split("/")
        first = int(drive.removeprefix("car")) * _CLIPS
        return {
            name: _object(name, number)
            for number in range(first, min(first + _CLIPS, int(sources)))
            for name in [f"{sources}/{drive}/{_NIGHT + timedelta(minutes=number - first):%Y%m%d_%H%M%S}.mp4"]
        }

    def _open(self, path: str, *_: Any, **__: Any) -> Any:
        Fleet.opened += 1
        raise OSError("there is nothing inside")


def _object(name: str, number: int) -> dict[str, Any]:
    size = 40_000_000 + number * 7919 % 20_000_000
    return {
        "Key": name, "LastModified": _NIGHT, "ETag": f'"{number * 2654435761:032x}"', "Size": size,
        "StorageClass": "STANDARD", "type": "file", "size": size, "name": name,
    }  # fmt: skip


def write_inventory(path: Path, sources: int) -> None:
    """All of a fleet as Parquet."""
    rows = list(_objects(sources))
    pq.write_table(
        pa.table(
            {
                "uri": [f"fleet://{row['name']}" for row in rows],
                "size": [row["size"] for row in rows],
                "etag": [row["ETag"].strip('"') for row in rows],
                "captured": pa.nulls(len(rows), pa.timestamp("us", tz="UTC")),
            }
        ),
        path,
    )


def commit_all_but(tables: str, sources: int, share: float) -> None:
    """Commit a fleet in shards of five, a ``share`` of them left, and fold the records."""
    folder = Path(tables, "_commits", _SCAN)
    folder.mkdir(parents=True)
    rows = list(_objects(sources))
    shards = [rows[first : first + 5] for first in range(0, len(rows), 5)]
    nothing = Stages(0, 0, 0)
    kept = int(len(shards) * (1 - share))
    for number, shard in enumerate(shards[:kept]):
        outcomes = tuple(
            SourceOutcome(f"fleet://{row['name']}", row["ETag"].strip('"'), Outcome.EMPTY, None, 60, 0, 0, 60.0)
            for row in shard
        )
        record = CommitRecord(_SCAN, f"{number:012x}", _NIGHT, (), outcomes, nothing)
        (folder / f"{number:012x}.json").write_bytes(_COMMIT.dump_json(record))  # a scan waits for the disk each time
    Tables.at(tables).fold(_SCAN)


def _objects(sources: int) -> Iterator[dict[str, Any]]:
    fleet = Fleet()
    for drive in fleet.ls(f"fleet://{sources}"):
        yield from fleet.find(drive["name"]).values()


def measure(archive: str, inventory: str | None, tables: str) -> dict[str, object]:
    """Seconds of each step by the clock and of the processor, peak memory of this process in MiB, and what came out."""
    fsspec.register_implementation("fleet", Fleet, clobber=True)
    seconds: dict[str, float] = {}
    processor: dict[str, float] = {}
    before = _peak()

    def timed(name: str, step: Callable[[], Any]) -> Any:
        started, busy = time.perf_counter(), time.process_time()
        made = step()
        seconds[name] = round(time.perf_counter() - started, 2)
        processor[name] = round(time.process_time() - busy, 2)
        return made

    listing = timed("list", lambda: find_sources(archive, inventory=inventory))
    done = timed("read commits", lambda: Tables.at(tables).done(_SCAN))
    sources = timed("estimate footage", lambda: with_footage(Sources.of(listing.sources), done))
    planned: Plan = timed("match and group", lambda: plan(sources, done, 5.0))
    timed("write the plan", lambda: write_plan(Tables.at(tables), _SCAN, archive, planned))
    return {
        "sources": len(listing.sources), "committed": len(done), "shards": len(planned),
        "seconds": round(sum(seconds.values()), 1), "steps": seconds,
        "processor_seconds": round(sum(processor.values()), 1), "processor_steps": processor,
        "peak_mib": _peak(), "before_mib": before, "opened": Fleet.opened, "torch": "torch" in sys.modules,
    }  # fmt: skip


def measure_records(tables: str) -> dict[str, object]:
    """The same of what is done with the commit records of a night: folding them again, and telling the status."""
    record = ScanRecord(_SCAN, 4, "none", "", 1, (), "", 0, 1.0, {}, "", _NIGHT)
    Tables.at(tables).begin(record)
    before, figures = _peak(), dict[str, object]()
    for name, step in {
        "status": lambda: _told_by_status(Tables.at(tables)),
        "fold": lambda: Tables.at(tables).fold(_SCAN),
    }.items():
        started, busy = time.perf_counter(), time.process_time()
        told = step()
        seconds, processor = time.perf_counter() - started, time.process_time() - busy
        figures[name] = {
            "seconds": round(seconds, 1), "processor_seconds": round(processor, 1), "peak_mib": _peak(), "told": told
        }  # fmt: skip
    return figures | {"before_mib": before}


def _told_by_status(tables: Tables) -> tuple[int, int]:
    """How many shards were committed, and how many sources are left."""
    status = read_status(tables)[0]
    return status.shards.total(), sum(left.sources for left in status.left)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()  # what getrusage tells is that of the parent, too
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="50,000 sources: less than a minute")
    arguments = parser.parse_args()
    count = 50_000 if arguments.quick else arguments.sources
    with tempfile.TemporaryDirectory() as folder:
        inventory, done = f"{folder}/inventory.parquet", f"{folder}/done"
        write_inventory(Path(inventory), count)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(commit_all_but, (done, count, 0.01))
        ways = {
            "by prefix": (f"fleet://{count}", None, f"{folder}/a"),
            "inventory": (f"fleet://{count}", inventory, f"{folder}/b"),
            "99 % committed": (f"fleet://{count}", None, done),
        }
        figures = {}
        for name, way in ways.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                figures[name] = pool.apply(measure, way)
            print(f"{name}: {json.dumps(figures[name])}", flush=True)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures["records"] = pool.apply(measure_records, (done,))
        print(f"records: {json.dumps(figures['records'])}", flush=True)
    from benchmarks.results import write_results  # PyTorch, which planning does without

    print(write_results("planning", figures))


if __name__ == "__main__":
    main()
