"""A month of nights over a growing archive, told by a ledger that shares no code with what it checks.

Every night brings clips, of which some are broken. The night's scan is killed once and run again. On some nights a
committed file is damaged, the clock of a machine is ahead, the tables are compacted or published again, or the model
changes. After each, the ledger says what the tables, the queue and the report must hold.
"""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import av
import fsspec
import time_machine

from demo_fleet import sample_scene
from tests.command import Run

FIRST = datetime(2026, 6, 1, 3, tzinfo=UTC)
TEMPLATES = 24
# A small network on small frames, and names without crops: the nights are about what is kept, not what is found.
METHOD = ("--model", "nano", "--no-reference", "--set", "short_side=96", "--set", "region_weight=1")
CHANGED = ("--set", "min_area=0.002")
STARTED_AT = "import sys, time_machine; time_machine.travel(float(sys.argv.pop(1))).start(); "


def write_templates(folder: Path) -> list[bytes]:
    """Clips of one second that hold one drawn scene each."""
    made = []
    for seed in range(TEMPLATES):
        path = folder / f"{seed}.mp4"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=4)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            image = av.VideoFrame.from_ndarray(sample_scene(seed, (96, 160)).image, format="rgb24")
            for _ in range(4):
                out.mux(stream.encode(image))
            out.mux(stream.encode())
        made.append(path.read_bytes())
    return made


@dataclass
class Ledger:
    """What was put into the archive, and what must follow from it."""

    good: dict[str, int] = field(default_factory=dict)
    """The template of every whole clip, by its key."""
    broken: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    """What was done and seen, for the last line."""


@dataclass
class Month:
    """An archive and its tables in a bucket, a queue and reports in a folder."""

    clipomaly: Run
    bucket: str
    folder: Path
    seed: int = 0
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.store = fsspec.filesystem("s3")
        self.templates = write_templates(self.folder)
        self.archive, self.tables = f"{self.bucket}/archive", f"{self.bucket}/tables"
        self.queue, self.reports = self.folder / "queue.db", self.folder / "reports"
        self.night = 0
        self.generation: tuple[str, ...] = ()

    # What happens to the archive and to the tables.

    def add_clips(self, count: int) -> None:
        """Of 100 clips, three cannot be read: empty, no video, or cut off."""
        for number in range(count):
            at = FIRST + timedelta(days=self.night - 1, seconds=10 * number)
            key = f"car{number % 7}/{at:%Y-%m-%d}/{at:%Y%m%d_%H%M%S}.mp4"
            template = self.chance.randrange(TEMPLATES)
            content = self.templates[template]
            if self.chance.random() < 0.03:
                content = self.chance.choice([b"", b"no video", content[: len(content) // 2]])
                self.ledger.broken.add(key)
            else:
                self.ledger.good[key] = template
            self.store.pipe_file(f"{self.archive}/{key}", content)

    def damage_a_file(self) -> None:
        """A file of rows is gone, cut off, or one of its bits is another."""
        path = self.chance.choice(sorted(self.store.glob(f"{self.tables}/frames/scan=*/dt=*/*.parquet")))
        content = bytearray(self.store.cat_file(path))
        kind = self.chance.choice(["gone", "cut off", "bit"])
        if kind == "gone":
            self.store.rm_file(path)
        elif kind == "cut off":
            self.store.pipe_file(path, bytes(content[: len(content) // 2]))
        else:
            content[len(content) // 3] ^= 4
            self.store.pipe_file(path, bytes(content))
        self.ledger.counts[f"damaged files: {kind}"] += 1

    # What is run.

    @contextmanager
    def clock(self, hours: float = 0) -> Iterator[datetime]:
        now = FIRST + timedelta(days=self.night - 1, hours=hours)
        with time_machine.travel(now, tick=True):
            yield now

    def scan_command(self) -> list[str]:
        return ["scan", self.archive, "--out", self.tables, "--shard-minutes", "0.4", *METHOD, *self.generation]

    def commits(self) -> int:
        self.store.invalidate_cache()
        return len(self.store.glob(f"{self.tables}/_commits/*/*.json"))

    def scan_and_kill(self, hours: float) -> None:
        """SIGKILL to a scan of its own process, at any moment from its start to its end."""
        before = self.commits()
        begun = str((FIRST + timedelta(days=self.night - 1, hours=hours)).timestamp())
        start = [sys.executable, "-c", STARTED_AT + "from clipomaly.cli.main import main; main()", begun]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        scan = subprocess.Popen(
            [*start, *self.scan_command()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        wanted = self.chance.choice([0, 1, 2, 5])  # shards that are done by then
        give_up = time.monotonic() + 600
        while scan.poll() is None and self.commits() - before < wanted and time.monotonic() < give_up:
            time.sleep(0.05)
        time.sleep(self.chance.random() * (0.3 if wanted else 5))
        ended = scan.poll() is not None
        if not ended:
            os.killpg(scan.pid, signal.SIGKILL)
        scan.wait()
        self.ledger.counts["scans that ended before the kill" if ended else "scans killed"] += 1

    def run(self, *command: object, code: int = 0) -> str:
        ran = self.clipomaly(*command)
        assert ran.code == code, f"night {self.night}, {command}: exit {ran.code}\n{ran.out}\n{ran.err}"
        self.ledger.counts[f"commands: {command[0]}"] += 1
        return ran.out

    def scan(self) -> None:
        self.run(*self.scan_command(), "--report", self.reports, "--queue", self.queue)

    # What must be there.

    def key_of(self, uri: str) -> str:
        assert uri.startswith(f"{self.archive}/"), uri
        return uri.removeprefix(f"{self.archive}/")

    def check_tables(self, scanned_by: str | None) -> None:
        """Every whole clip once, by the newest generation; what is seen of a scene is the same in all its clips."""
        from clipomaly import open_table

        self.store.invalidate_cache()
        frames = open_table(self.tables, "frames").to_table(["source_uri", "frame_index", "scan"]).to_pylist()
        keys = Counter((self.key_of(row["source_uri"]), row["frame_index"]) for row in frames)
        assert set(keys) == {(key, 0) for key in self.ledger.good}, "clips that are lost, or that nobody put there"
        assert max(keys.values()) == 1, "clips that are there twice"
        scans = {row["scan"] for row in frames}
        assert scanned_by is None or scans == {scanned_by}
        found: dict[str, list[object]] = {key: [] for key in self.ledger.good}
        columns = ["source_uri", "instance_id", "name", "bbox_x", "bbox_y", "area"]
        instances = open_table(self.tables, "instances").to_table(columns).to_pylist()
        assert len({row["instance_id"] for row in instances}) == len(instances), "instances that are there twice"
        for row in instances:
            found[self.key_of(row["source_uri"])].append((row["name"], row["bbox_x"], row["bbox_y"], row["area"]))
        seen: dict[int, object] = {}
        for key, template in self.ledger.good.items():
            assert seen.setdefault(template, sorted(found[key], key=str)) == sorted(found[key], key=str), key
        embeddings = open_table(self.tables, "embeddings").to_table(["instance_id"])["instance_id"].to_pylist()
        assert sorted(embeddings) == sorted(row["instance_id"] for row in instances)
        said = self.run("query", self.tables, "SELECT count(*) FROM frames")
        assert str(len(self.ledger.good)) in said, said
        self.ledger.counts["rows compared"] += len(frames) + len(instances)

    def check_status(self) -> None:
        scans = json.loads(self.run("status", self.tables, "--json"))
        assert [scan["left"] for scan in scans] == [[]] * len(scans)
        newest = max(scans, key=lambda scan: scan["frames"])
        failed = {self.key_of(source["uri"]) for source in newest["troubles"] if source["outcome"] == "failed"}
        assert failed == self.ledger.broken

    def check_queue(self) -> None:
        """Nothing comes twice, and nothing from a clip that was never read."""
        with closing(sqlite3.connect(self.queue)) as queue:
            items = queue.execute("SELECT item_id, source_uri FROM contents").fetchall()
        assert len({item for item, _ in items}) == len(items)
        assert {self.key_of(uri) for _, uri in items} <= set(self.ledger.good)
        self.ledger.counts["items in the queue"] = len(items)

    def check_report(self, new: int, broken: int) -> None:
        """The verdict counts this night's clips and its failures, and nothing is left."""
        [page] = sorted(self.reports.glob("*.html"), key=lambda path: path.stat().st_mtime)[-1:]
        text = unescape(re.sub(r"<[^>]+>", " ", page.read_text()))
        told = re.search(r"([\d,]+)(?: of ([\d,]+))? sources done, ([\d,]+) left, ([\d,]+) failed", text)
        assert told, f"night {self.night}: no verdict in {page}"
        done, planned, left, failed = (int(number.replace(",", "")) if number else None for number in told.groups())
        assert (left, failed) == (0, broken), f"night {self.night}: {told[0]}"
        assert done == (planned or done) == new, f"night {self.night}: {told[0]}, {new} came"
