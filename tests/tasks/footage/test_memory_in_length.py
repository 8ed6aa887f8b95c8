"""Memory does not grow with the length of a video: measured in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tasks.footage.numbered import add_numbered, numbered, repack

ROOT = Path(__file__).parents[3]
SIZE = (640, 384)
READ = """
import json, resource, sys
from tasks.footage.archive import list_sources
from tasks.footage.frames import read_frames

[source] = list_sources(sys.argv[1]).sources
count = sum(frame.image is not None for frame in read_frames(source, 1.0, sys.argv[2] == "True"))
print(json.dumps([count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def video(path: Path, seconds: int) -> Path:
    import av

    with av.open(str(path), "w") as file:
        # A key frame a second: a group of pictures is what has to be held.
        add_numbered(
            file,
            "libx264",
            {"g": "10", "preset": "ultrafast"},
            range(0, seconds * 1000, 100),
            picture=lambda number: numbered(number, SIZE),
        )
    return path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("keyframes", [False, True])
def test_eight_times_the_length_takes_no_more_memory(tmp_path: Path, suffix: str, keyframes: bool) -> None:
    peaks = {}
    for seconds in (20, 160):
        made = video(tmp_path / f"{seconds}.mp4", seconds)
        (tmp_path / str(seconds)).mkdir()
        repack(made, tmp_path / str(seconds) / f"a.{suffix}")
        command = [sys.executable, "-c", READ, str(tmp_path / str(seconds)), str(keyframes)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
        count, peaks[seconds] = json.loads(told.stdout)
        assert count == seconds
    # In kB. A picture is 737 kB as RGB: 1,400 more of them would be 1 GB, and the index of the packets is small.
    assert peaks[160] - peaks[20] < 20_000
