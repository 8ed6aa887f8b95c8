"""Damage of all kinds to real footage: bytes flipped, cut, swapped, blanked. Nothing of it may stop a scan.

Decoders are C: in a process of its own, so that one that crashes fails a test and does not end the suite.
"""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tasks.samples import write_tar

ROOT = Path(__file__).parents[3]
FEW, MANY = 20, 500
KINDS = ("flipped", "cut", "swapped", "blanked")


def damage(data: bytes, kind: str, chance: random.Random) -> bytes:
    """The file after an accident, the same for the same seed. Headers are hit as often as all the rest."""
    broken, size = bytearray(data), len(data)

    def place(length: int) -> int:
        return chance.randrange(max(1, (min(size, 2048) if chance.random() < 0.5 else size) - length))

    match kind:
        case "flipped":
            for _ in range(chance.choice((1, 10, 100, 1000))):
                broken[place(1)] ^= 1 << chance.randrange(8)
        case "cut":
            return data[: chance.randrange(size)]
        case "swapped":
            length = chance.choice((4, 64, 4096, size // 10))
            one, other = place(length), place(length)
            broken[one : one + length], broken[other : other + length] = (
                broken[other : other + length],
                broken[one : one + length],
            )
        case "blanked":
            length = chance.choice((16, 4096, size // 10))
            start = place(length)
            broken[start : start + length] = bytes(length)
    return bytes(broken)


def damaged_archive(root: Path, shared_data: Path, count: int) -> int:
    """Damaged copies of real clips (three in ten), photos, and tars of photos: how many sources."""
    clip = (shared_data / "dashcam" / "test_video.mp4").read_bytes()
    photos = [path.read_bytes() for path in sorted((shared_data / "roadanomaly-open" / "frames").glob("*.jpg"))]
    photos = sorted(photos, key=len)[:12]
    whole_tar = write_tar(root.parent / "whole.tar", {f"{n}.jpg": photo for n, photo in enumerate(photos[:2])})
    for number in range(count):
        chance, kind = random.Random(number), KINDS[number % len(KINDS)]
        name = f"{number:03d}-{kind}"
        drive = root / f"drive-{number // 50}"
        match number // len(KINDS) % 10:
            case 0 | 5 | 8:
                path, data = drive / f"{name}.mp4", clip
            case 1 | 6:
                path, data = drive / f"{name}.tar", whole_tar.read_bytes()
            case _:
                path, data = drive / name / "photo.jpg", photos[number % len(photos)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damage(data, kind, chance))
        os.utime(path, (1_795_350_000, 1_795_350_000))
    return count


SCAN = """
import json, sys, time
import cv2
from tasks.tables import Tables
from tasks.footage.archive import list_sources
from tasks.scanning.plan import plan
from tasks.scanning.shard import scan_shard
from tasks.scanning.scan_record import make_scan_record
from tests.tasks.samples import BlobFinder, description

class Small(BlobFinder):
    def judge(self, frame):
        return super().judge(cv2.resize(frame, (64, 48)))

archive, tables = sys.argv[1:]
started = time.process_time()
sources = list_sources(archive).sources
print(json.dumps(["listing", time.process_time() - started]), flush=True)
for keyframes in (False, True):
    record = make_scan_record(description(), fps=2.0, keyframes=keyframes)
    for shard in plan(sources, [], 1e-6):  # a source each
        started = time.process_time()
        result = scan_shard(shard, record, Tables.at(tables), Small())
        [source] = result.sources
        print(json.dumps([source.uri, time.process_time() - started, source.outcome, source.error]), flush=True)
"""


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_every_damaged_input_has_an_outcome(tmp_path: Path, shared_data: Path, count: int) -> None:
    """Read as a whole and by its key frames."""
    sources = damaged_archive(tmp_path / "a", shared_data, count)
    scan = subprocess.Popen(
        [sys.executable, "-c", SCAN, str(tmp_path / "a"), str(tmp_path / "T")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert scan.stdout
    told, deadline = [], time.monotonic() + 550
    for line in scan.stdout:
        told.append(json.loads(line))
        assert time.monotonic() < deadline, f"hangs behind {told[-1]}"
    assert scan.wait(timeout=60) == 0, f"crashed behind {told[-1]}"
    assert len(told) == 2 * sources + 1
    assert max(seconds for _, seconds, *_ in told[1:]) < 60, "seconds of the processor, whoever else works here"
    outcomes = [outcome for _, _, outcome, _ in told[1:]]
    for read in (outcomes[:sources], outcomes[sources:]):
        assert {"ok", "failed"} <= set(read)
    for _, _, outcome, error in told[1:]:
        assert (error is None) == (outcome in ("ok", "empty"))
        assert error is None or ("\n" not in error and "Traceback" not in error)
