"""What the cores beside an accelerator have to do for each scanned frame of 720p footage.

``python -m benchmarks parts``: CPU milliseconds a frame at one frame a second of video, on one core, of decoding and
conversion to RGB (H.264 at 30 frames a second with a key frame every second and every four, encoded here), of masks at
the frame's size, and of rows and part files. From them: how much footage sixteen cores can bring to an accelerator.
Exact sampling is a mean over phases: how far the samples are behind the key frames.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.footage import frames_of
from benchmarks.results import Figures, calibrate
from clipomaly_core import Clipomaly, FrameResult
from tasks.footage.archive import list_sources
from tasks.footage.frames import read_frames
from tasks.footage.source_video import video_frames
from tasks.scanning.rows import ShardRows
from tasks.tables import Tables

CORES = 16
_RATE = 30
_SECONDS = 8
_GROUPS = (1, 4)
_PHASES = (0, 7, 15, 22)


def measure(
    archive: Path | None = None,
    repeats: int = 3,
    frames: int = 38,
    groups: Sequence[int] = _GROUPS,
    phases: Sequence[int] = _PHASES,
) -> Figures:
    """CPU milliseconds a scanned frame of each part, and what 16 cores do.

    Args:
        archive: a folder of clips, one of which has so many frames; drawn scenes when left out.
        repeats: the least of so many runs counts.
        frames: different frames, shown to and fro.
        groups: seconds from key frame to key frame.
        phases: numbers of the first frame that is taken.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            pictures = [frame.numpy() for frame in frames_of(archive, frames)]
            clip = Path(folder) / "archive" / "drive" / "20261122_080000.mp4"
            clip.parent.mkdir(parents=True)
            exact = {}
            for group in reversed(groups):
                _encode(pictures, clip, group)
                exact[group] = _exact(str(clip), repeats, phases)
            [source] = list_sources(str(clip.parent.parent)).sources
            keys = _least(lambda: list(read_frames(source, 1.0, keyframes=True)), repeats) / _SECONDS
            shown = [(frame, frame.image) for frame in read_frames(source, 1.0) if frame.image is not None]
            masks, results = _masks([image for _, image in shown])

            def write() -> None:
                rows = ShardRows("scan", results[0].instances[0].embedding.size if results[0].instances else 128)
                for (frame, _), result in zip(shown, results, strict=True):
                    rows.add(source, frame, None, result)
                Tables.at(f"{folder}/tables").write("scan", "shard", rows.tables())

            writing = _least(write, repeats) / len(shown)
    finally:
        cv2.setNumThreads(threads)
    rest = masks + writing
    return {
        **{f"exact, key frames every {group} s, CPU ms a frame": 1000 * exact[group] for group in groups},
        "key frames only, CPU ms a frame": 1000 * keys,
        "masks at 720p, CPU ms a frame": 1000 * masks,
        "rows and part files, CPU ms a frame": 1000 * writing,
        "instances a frame": sum(len(result.instances) for result in results) / len(results),
        **{f"hours an hour, {CORES} cores, exact, every {group} s": CORES / (exact[group] + rest) for group in groups},
        f"hours an hour, {CORES} cores, key frames only": CORES / (keys + rest),
    }


def _least(work: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the best run, of all threads."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
        calibrate()
    return best


def _exact(clip: str, repeats: int, phases: Sequence[int]) -> float:
    """CPU seconds a frame that is taken, a mean over the phases."""
    seconds, taken = 0.0, 0
    for phase in phases:
        wanted = range(phase, _RATE * _SECONDS, _RATE)
        seconds += _least(partial(_take, clip, wanted), repeats)
        taken += len(wanted)
    return seconds / taken


def _take(clip: str, wanted: range) -> None:
    for _ in video_frames(clip, wanted):
        pass


def _encode(pictures: list[npt.NDArray[np.uint8]], path: Path, group: int) -> None:
    there_and_back = pictures + pictures[-2:0:-1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"g": str(group * _RATE), "crf": "23"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number in range(_RATE * _SECONDS):
            picture = there_and_back[number % len(there_and_back)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _masks(images: list[npt.NDArray[np.uint8]]) -> tuple[float, list[FrameResult]]:
    """CPU seconds a frame of what follows names, and what was found."""
    finishes = Clipomaly.load("nano", device="cpu").infer(images)
    started = time.process_time()
    results = [finish() for finish in finishes]
    return (time.process_time() - started) / len(images), results
