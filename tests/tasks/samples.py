"""Archives made on the spot, and a small real detector to scan them with."""

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import cv2
import fsspec
import numpy as np
import numpy.typing as npt

from clipomaly_core.types import Finish, FrameResult, Instance, NameScore
from tasks.model import ModelDescription

Rgb = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Seen:
    """What ``BlobFinder`` sees in a frame: nothing is usual to it."""

    finish: Finish
    logits: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1), np.float32))


class BlobFinder:
    """Finds bright connected regions and names them by their dominant colour: a whole method, in little."""

    vocabulary = ("road", "red thing", "green thing", "blue thing")
    dimension = 8
    ordinary_logit = 0.0

    def __init__(self, batch_size: int = 4, batches_in_flight: int = 1) -> None:
        self.batch_size, self.batches_in_flight = batch_size, batches_in_flight
        self.calls: list[int] = []

    def infer(self, frames: Sequence[Rgb], /) -> list[Finish]:
        self.calls.append(len(frames))
        return [partial(self.judge, frame) for frame in frames]

    def look(self, frames: Sequence[Rgb], /) -> list["Seen"]:
        return [Seen(finish) for finish in self.infer(frames)]

    def find(self, looks: Sequence["Seen"], usual: object = None, moments: object = None, /) -> list[Finish]:
        return [look.finish for look in looks]

    def judge(self, frame: Rgb) -> FrameResult:
        score = frame.max(axis=2).astype(np.float32) / 255
        _, components, stats, _ = cv2.connectedComponentsWithStats((score > 0.5).astype(np.uint8))
        labels = np.zeros(score.shape, np.int16)
        instances = []
        largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:5]
        for number in (n for n in largest if stats[n, cv2.CC_STAT_AREA] >= 20):
            mask = components == number
            rows, columns = np.nonzero(mask)
            mean = frame[mask].mean(axis=0)
            name = 1 + int(mean.argmax())
            labels[mask] = name
            embedding = np.zeros(self.dimension, np.float32)
            embedding[:3] = mean / np.linalg.norm(mean)
            box = (
                int(columns.min()),
                int(rows.min()),
                int(np.ptp(columns)) + 1,
                int(np.ptp(rows)) + 1,
            )
            instances.append(
                Instance(
                    name=self.vocabulary[name],
                    name_score=float(mean.max() / mean.sum()),
                    names=tuple(
                        NameScore(self.vocabulary[1 + int(i)], float(mean[i] / mean.sum()))
                        for i in np.argsort(-mean, kind="stable")
                    ),
                    name_source="dictionary",
                    mask=mask,
                    bbox=box,
                    area=int(mask.sum()),
                    score=float(score[mask].mean()),
                    score_max=float(score[mask].max()),
                    embedding=embedding,
                )
            )
        return FrameResult(score, labels, self.vocabulary, 1, 0.5, tuple(instances))


def description(**changes: object) -> ModelDescription:
    base = ModelDescription(
        model="blobs",
        weights_sha256="0" * 64,
        embedding_dimension=BlobFinder.dimension,
        vocabulary=BlobFinder.vocabulary,
        vocabulary_sha256="1" * 64,
        known_classes=1,
        options=(("method_version", 1), ("threshold", 0.5)),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def draw(number: int, size: tuple[int, int] = (64, 48), things: int = 1) -> Rgb:
    """A dark frame with bright discs whose place and colour follow from ``number``."""
    frame = np.full((size[1], size[0], 3), 20, np.uint8)
    for thing in range(things):
        centre = (8 + (number * 7 + thing * 20) % (size[0] - 16), 10 + (number * 5) % (size[1] - 20))
        colour = [40, 40, 40]
        colour[(number + thing) % 3] = 240
        cv2.circle(frame, centre, 6, colour, -1)
    return frame


def write_video(path: Path, frames: int = 20, fps: float = 10, things: int = 1, codec: str = "mp4v") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(cv2.cvtColor(draw(number, things=things), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def image_bytes(number: int, suffix: str = ".jpg", things: int = 1) -> bytes:
    encoded: bytes = cv2.imencode(suffix, cv2.cvtColor(draw(number, (96, 64), things), cv2.COLOR_RGB2BGR))[1].tobytes()
    return encoded


def write_images(folder: Path, count: int = 3, suffix: str = ".jpg", things: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:03d}{suffix}").write_bytes(image_bytes(number, suffix, things))
    return folder


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def set_creation_time(video: Path, moment: datetime) -> None:
    """Write a creation time into the movie header of an MP4."""
    data = bytearray(video.read_bytes())
    at = data.index(b"mvhd") + 8
    data[at : at + 4] = int((moment - datetime(1904, 1, 1, tzinfo=UTC)).total_seconds()).to_bytes(4, "big")
    video.write_bytes(data)


def upload(folder: Path, url: str) -> str:
    """Copy a folder into a bucket under a name: its URL there."""
    fs = fsspec.filesystem("s3")
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            fs.pipe_file(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return url
