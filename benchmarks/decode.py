"""What it costs to take one frame a second out of H.264 video: our reader and others, for the same frames.

``python -m benchmarks.decode`` encodes clips of drawn noise (720p, 30 frames a second, about 8 Mbit/s) with key frames
at several distances, without and with B-frames, and takes the same frames with each reader in turn: ours, OpenCV (grab
every frame, retrieve those that are wanted), PyAV (decode every frame), torchcodec and decord where they are installed.
Frames are taken at several phases, from in step with the key frames to just before the next one. It prints CPU seconds,
means over the phases and rounds, and writes them with a plot into ``build/benchmarks``.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.results import RESULTS, Figures, Goal, write_results
from tasks.footage.source_video import video_frames

matplotlib.use("Agg")
from matplotlib import pyplot as plt

RATE, SECONDS, SIZE = 30, 16, (1280, 720)
PHASES = (0, 7, 15, 22)
"""Which frame is the first that is wanted; from there every ``RATE``-th."""

Rgb = np.ndarray
Reader = Callable[[str, Sequence[int]], Iterable[Rgb]]


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames from key frame to key frame, and B-frames between two others."""

    group: int
    between: int

    def __str__(self) -> str:
        return f"{self.group / RATE:g} s{', B-frames' if self.between else ''}"

    def goal(self) -> Goal | None:
        """How many times less than OpenCV it is to cost."""
        return Goal(at_least=3) if self.group <= RATE else Goal(at_least=1.2) if self.group <= 4 * RATE else None


CLIPS = [Clip(group, between) for between in (0, 2) for group in (15, 30, 120, 240)]
BEST = Goal(at_most=1.1)


def ours(path: str, wanted: Sequence[int]) -> Iterator[Rgb]:
    """The reader of a scan."""
    for frame in video_frames(path, wanted):
        assert isinstance(frame, np.ndarray)
        yield frame


def opencv(path: str, wanted: Sequence[int]) -> Iterator[Rgb]:
    """Decode every frame, convert those that are wanted."""
    capture, numbers = cv2.VideoCapture(path), set(wanted)
    for number in range(wanted[-1] + 1):
        capture.grab()
        if number in numbers:
            yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
    capture.release()


def pyav(path: str, wanted: Sequence[int]) -> Iterator[Rgb]:
    """Decode every frame, convert those that are wanted."""
    numbers = set(wanted)
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in numbers:
                yield frame.to_ndarray(format="rgb24")
            if number == wanted[-1]:
                return


def torchcodec(path: str, wanted: Sequence[int]) -> Iterator[Rgb]:
    """Its exact mode, with one thread."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, num_ffmpeg_threads=1, dimension_order="NHWC")
    yield from decoder.get_frames_at(list(wanted)).data.numpy()


def decord(path: str, wanted: Sequence[int]) -> Iterator[Rgb]:
    """With one thread."""
    import decord

    yield from decord.VideoReader(path, num_threads=1).get_batch(list(wanted)).asnumpy()


READERS: dict[str, Reader] = {"Clipomaly": ours, "OpenCV": opencv, "PyAV": pyav}
READERS |= {one.__name__: one for one in (torchcodec, decord) if find_spec(one.__name__)}


def encode(clip: Clip, path: Path) -> None:
    """A texture that moves, with grain."""
    chance, (width, height) = np.random.default_rng(1), SIZE
    coarse = chance.integers(0, 256, (height // 4, width // 2, 3), np.uint8)
    texture = cv2.resize(coarse, (2 * width, height), interpolation=cv2.INTER_CUBIC)
    grain = chance.integers(0, 24, (8, height, width, 3), np.uint8)
    options = {"g": str(clip.group), "keyint_min": str(clip.group), "sc_threshold": "0", "preset": "veryfast"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options | {"bf": str(clip.between)})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 8_000_000
        for number in range(RATE * SECONDS):
            left = 3 * number % width
            picture = cv2.add(texture[:, left : left + width], grain[number % len(grain)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture, np.uint8), format="rgb24")))
        container.mux(stream.encode())


def measure(clips: Sequence[Clip], rounds: int) -> dict[str, dict[str, float]]:
    """Mean CPU seconds over the phases, by clip and reader: of each phase the median of the rounds.

    Raises SystemExit where a reader gives other pictures than ours.
    """
    means: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            path = Path(folder, "clip.mp4")
            encode(clip, path)
            compare(str(path))
            taken = [_phase(str(path), list(range(phase, RATE * SECONDS, RATE)), rounds) for phase in PHASES]
            means[str(clip)] = {name: statistics.mean(phase[name] for phase in taken) for name in READERS}
            print(clip, {name: round(seconds, 3) for name, seconds in means[str(clip)].items()}, flush=True)
    return means


def _phase(path: str, wanted: Sequence[int], rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in READERS}
    for _ in range(rounds):
        for name, read in READERS.items():
            started = time.process_time()
            count = sum(1 for _ in read(path, wanted))
            seconds[name].append(time.process_time() - started)
            assert count == len(wanted), name
    return {name: statistics.median(of_one) for name, of_one in seconds.items()}


def compare(path: str) -> None:
    """Colours may be converted otherwise; another frame is another picture."""
    wanted = [0, 7, 31]
    for name, read in READERS.items():
        for one, other in zip(ours(path, wanted), read(path, wanted), strict=True):
            difference = float(np.abs(one.astype(int) - other).mean())
            if difference > 4:
                raise SystemExit(f"{name} gives other pictures than Clipomaly: they differ by {difference:.1f}")


def compared(means: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """How many times less than OpenCV our reader costs, and how many times as much as the best of the others."""
    return {
        name: {
            "times less than OpenCV": row["OpenCV"] / row["Clipomaly"],
            "times the best other": row["Clipomaly"] / min(row[other] for other in row if other != "Clipomaly"),
        }
        for name, row in means.items()
    }


def show(clips: Sequence[Clip], means: Mapping[str, Mapping[str, float]]) -> None:
    """One line a clip, with the goals."""
    table = Table("key frames every", *READERS, "less than OpenCV", "goal", "times the best other", "goal", box=None)
    ratios = compared(means)
    for clip in clips:
        ratio, goal = ratios[str(clip)], clip.goal()
        less, best = ratio["times less than OpenCV"], ratio["times the best other"]
        table.add_row(
            str(clip),
            *(f"{means[str(clip)][reader]:.2f} s" for reader in READERS),
            f"{less:.2f}",
            f"{goal}: {'met' if goal.met(less) else 'missed'}" if goal else "",
            f"{best:.2f}",
            f"{BEST}: {'met' if BEST.met(best) else 'missed'}",
        )
    Console(soft_wrap=True, highlight=False).print(table)


def draw(means: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Bars of CPU milliseconds for each frame that was taken."""
    figure, axes = plt.subplots(figsize=(1.6 + 1.2 * len(means), 3.4), layout="constrained")
    width = 0.8 / len(READERS)
    for place, reader in enumerate(READERS):
        bars = [1000 * row[reader] / SECONDS for row in means.values()]
        axes.bar(np.arange(len(bars)) + (place - (len(READERS) - 1) / 2) * width, bars, width, label=reader)
    axes.set_xticks(range(len(means)), [name.replace(", ", "\n") for name in means])
    axes.set_xlabel("from key frame to key frame")
    axes.set_ylabel("CPU ms a frame that is taken")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of key frames every second")
    arguments = parser.parse_args()
    clips = [clip for clip in CLIPS if clip.group == RATE] if arguments.quick else CLIPS
    cv2.setNumThreads(1)
    means = measure(clips, 1 if arguments.quick else arguments.rounds)
    show(clips, means)
    figures: Figures = {"CPU seconds": means, "ratios": compared(means)}
    print(write_results("decode", figures))
    draw(means, RESULTS / "decode.png")


if __name__ == "__main__":
    main()
