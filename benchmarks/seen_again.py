"""Two nights of footage in which the same things are seen, with truth: of drawn roads, of photos and of real clips.

All have the form of the demo fleet: ``<drive>/<time>.mp4``, and beside the archive ``<archive>.truth`` with
``objects.parquet`` and a picture of the instances of every frame.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image as PIL

from clipomaly_core.names import lemma
from demo_fleet import HELD_OUT_KINDS, KINDS, write_archive
from tasks.footage.images import read_image

Image = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint16]

NIGHTS = ("one", "two")
AGAIN = "again"
_START = datetime(2026, 11, 1, 18, tzinfo=UTC)
_FPS = 10
_SIZE = (640, 360)
_SIGHTS = 3
"""Clips of each photo in the first night, so that a name can be corrected three times."""


@dataclass(frozen=True, slots=True)
class Footage:
    """Two archives, the lemmas by which each kind of thing in them is named right, and kinds that nobody wants."""

    one: Path
    two: Path
    accepted: Mapping[str, frozenset[str]]
    unwanted: frozenset[str] = frozenset()

    def is_right(self, name: str, kind: str) -> bool:
        """Whether a name is one of the kind's."""
        return lemma(name) in self.accepted[kind]

    def objects(self, night: Path) -> dict[int, int]:
        """The object that each thing of a night shows, by its number in the first night; empty where nobody wrote it
        down."""
        rows = pq.read_table(night.with_name(f"{night.name}.truth") / "objects.parquet").to_pylist()
        return {row["track_id"]: row["object"] for row in rows if "object" in row}


def drawn_roads(folder: Path, seed: int, kinds: int = 12, each: int = 6, seconds: float = 5.0) -> Footage:
    """Two nights of the demo fleet with the same kinds and other things of them, half of kinds that nano never saw.

    Nobody wants the last of the others.

    Args:
        folder: where the archives are written, unless they are there.
        seed: of the kinds and of the scenes.
        kinds: how many.
        each: how often each is planted in a night.
        seconds: length of a clip.
    """
    rng = np.random.default_rng(seed)
    usable = [kind.name for kind in KINDS if kind.size_m >= 0.4 and kind.motion != "fly"]
    pools = ([n for n in usable if n in HELD_OUT_KINDS], [n for n in usable if n not in HELD_OUT_KINDS])
    chosen = sorted(name for pool in pools for name in rng.permutation(pool)[: kinds // 2].tolist())
    for number, night in enumerate(NIGHTS):
        if not (folder / night).exists():
            write_archive(folder / night, seed=seed + 1000 * number, drives=3, clips=4, seconds=seconds, nights=1,
                          objects=each * len(chosen), kinds=[name for name in chosen for _ in range(each)])  # fmt: skip
    accepted = {k.name: frozenset(map(lemma, (k.name, *k.synonyms))) for k in KINDS}
    unwanted = frozenset([name for name in chosen if name not in HELD_OUT_KINDS][-1:])
    return Footage(folder / NIGHTS[0], folder / NIGHTS[1], accepted, unwanted)


def drawn_again(folder: Path, seed: int) -> Footage:
    """A night of the demo fleet, and the same things in the next: another camera films its roads, darker, with another
    section and at other moments.

    Args:
        folder: where the archives are written, unless they are there.
        seed: of the kinds, the scenes and the cuts.
    """
    first = drawn_roads(folder, seed)
    if not (folder / AGAIN).exists():
        rng = np.random.default_rng((seed, 7))
        kinds = dict(_rows(first.one.with_name(f"{first.one.name}.truth")))
        truth = _Truth(folder / AGAIN)
        for clip in sorted(first.one.rglob("*.mp4")):
            name = str(clip.relative_to(first.one).with_suffix(""))
            shots = _film_again(list(_frames(clip)), first.one.with_name(f"{first.one.name}.truth") / name, rng)
            own = sorted({int(label) for _, labels in shots for label in np.unique(labels) if label})
            renumbered = np.zeros(max(own, default=0) + 1, np.uint16)
            renumbered[own] = np.arange(1, len(own) + 1)
            numbered = [(shot, renumbered[labels]) for shot, labels in shots]
            things = {place + 1: (kinds[label], label) for place, label in enumerate(own)}
            truth.write(name, numbered, things)
        truth.close()
    return replace(first, two=folder / AGAIN)


def _rows(truth: Path) -> Iterator[tuple[int, str]]:
    for row in pq.read_table(truth / "objects.parquet", columns=["track_id", "name"]).to_pylist():
        yield row["track_id"], row["name"]


def _film_again(frames: Sequence[Image], truth: Path, rng: np.random.Generator) -> list[tuple[Image, Labels]]:
    """A clip from its third frame on, so that a scan takes other moments, at a zoom and an exposure of its own."""
    height, width = frames[0].shape[:2]
    share, exposure = rng.uniform(0.8, 0.95), rng.uniform(0.75, 0.9)
    window = round(width * share), round(height * share)
    left, top = np.rint(rng.uniform(0, 1, 2) * (width - window[0], height - window[1])).astype(int)
    cut = np.s_[top : top + window[1], left : left + window[0]]
    shots = []
    for index in range(2, len(frames)):
        labels = np.asarray(PIL.open(truth / f"{index:06d}_instances.png"), np.uint16)
        shots.append(_shot(frames[index][cut], labels[cut], exposure))
    return shots


def _shot(frame: Image, labels: Labels, exposure: float) -> tuple[Image, Labels]:
    """A part of a frame at the size of a clip."""
    exposed = np.clip(frame * exposure, 0, 255).astype(np.uint8)
    shot = cv2.resize(exposed, _SIZE, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return shot, cv2.resize(labels, _SIZE, interpolation=cv2.INTER_NEAREST).astype(np.uint16)


def photos(folder: Path, dataset: Path, names: Path, seed: int, half: str | None = None) -> Footage:
    """Cameras that pan over photos: three clips of each photo in the first night, and in the second one that is
    mirrored, darker and cut elsewhere.

    Args:
        folder: where the archives are written, unless they are there.
        dataset: ``frames/<name>.jpg`` with ``<name>.labels/labels_semantic.png``, in which 2 is the thing.
        names: YAML that says of each frame what its thing is, and of each name what else names it right.
        seed: of the cuts.
        half: only the photos at ``odd`` or ``even`` places in sorted order.
    """
    said = yaml.safe_load(names.read_text("utf-8"))
    narrower: dict[str, list[str]] = said["kinds"]
    accepted = {
        words[0]: frozenset(map(lemma, (words[0], *narrower.get(words[0], ())))) for words in said["frames"].values()
    }
    for night, sights in zip(NIGHTS, (_SIGHTS, 1), strict=True):
        if (folder / night).exists():
            continue
        rng = np.random.default_rng((seed, sights))
        truth = _Truth(folder / night)
        for number, (stem, words) in enumerate(sorted(said["frames"].items())):
            if half is not None and number % 2 != ("odd", "even").index(half):
                continue
            frame, thing = _photo(dataset / "frames", stem)
            for sight in range(sights):
                name = f"camera-{sight + 1}/{_START + timedelta(minutes=number):%Y%m%d_%H%M%S}"
                truth.write(name, _pan(frame, thing, rng, mirrored=night == NIGHTS[1]), {1: (words[0], number)})
        truth.close()
    return Footage(folder / NIGHTS[0], folder / NIGHTS[1], accepted)


def ordinary_clips(folder: Path, clips: Sequence[Path]) -> Footage:
    """Real clips of ordinary roads: their first halves are the first night, their second halves the second.

    Nothing unusual is in them, so that every find is false.
    """
    for half, night in enumerate(NIGHTS):
        if (folder / night).exists():
            continue
        truth = _Truth(folder / night)
        for number, clip in enumerate(sorted(clips)):
            frames = list(_frames(clip))
            own = frames[: len(frames) // 2] if half == 0 else frames[len(frames) // 2 :]
            empty = np.zeros(own[0].shape[:2], np.uint16)
            name = f"clip-{number + 1}/{_START + timedelta(minutes=number):%Y%m%d_%H%M%S}"
            truth.write(name, [(frame, empty) for frame in own], {})
        truth.close()
    return Footage(folder / NIGHTS[0], folder / NIGHTS[1], {})


class _Truth:
    """Writes clips at ten frames a second and the truth about them."""

    def __init__(self, root: Path) -> None:
        self._root, self._truth = root, root.with_name(root.name + ".truth")
        self._next = 0
        self._rows: list[dict[str, object]] = []

    def write(self, name: str, frames: Sequence[tuple[Image, Labels]], things: Mapping[int, tuple[str, int]]) -> None:
        """A clip; ``things`` are the kinds of the labels, from 1, and their numbers in the first night."""
        path, truth = self._root / f"{name}.mp4", self._truth / name
        path.parent.mkdir(parents=True, exist_ok=True)
        truth.mkdir(parents=True)
        height, width = frames[0][0].shape[:2]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), _FPS, (width, height))
        for index, (frame, labels) in enumerate(frames):
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
            numbered = labels + np.uint16(self._next) * (labels > 0)
            cv2.imwrite(str(truth / f"{index:06d}_instances.png"), numbered.astype(np.uint16))
        writer.release()
        self._rows += [
            {"track_id": self._next + label, "name": kind, "object": number} for label, (kind, number) in things.items()
        ]
        self._next += len(things)

    def close(self) -> None:
        """Write which thing is of which kind."""
        schema = pa.schema([("track_id", pa.int32()), ("name", pa.string()), ("object", pa.int32())])
        pq.write_table(pa.Table.from_pylist(self._rows, schema=schema), self._truth / "objects.parquet")


def _photo(folder: Path, stem: str) -> tuple[Image, Labels]:
    """A photo, and where its thing is (1)."""
    [path] = [path for path in folder.glob(f"{stem}.*") if path.is_file()]
    frame = read_image(str(path))
    thing = (read_image(str(folder / f"{stem}.labels" / "labels_semantic.png"))[..., 0] == 2).astype(np.uint16)
    if thing.shape != frame.shape[:2]:
        thing = cv2.resize(thing, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_NEAREST).astype(np.uint16)
    return frame, thing


def _pan(frame: Image, thing: Labels, rng: np.random.Generator, mirrored: bool) -> list[tuple[Image, Labels]]:
    """1.5 seconds of a camera that pans over a photo at a zoom and an exposure of their own."""
    height, width = frame.shape[:2]
    share = rng.uniform(0.75, 0.95)
    exposure = rng.uniform(0.75, 0.9) if mirrored else rng.uniform(0.9, 1.15)
    window = round(width * share), round(height * share)
    ends = rng.uniform(0, 1, (2, 2)) * (width - window[0], height - window[1])
    shots = []
    for at in np.linspace(0, 1, round(1.5 * _FPS)):
        left, top = np.rint((1 - at) * ends[0] + at * ends[1]).astype(int)
        cut = np.s_[top : top + window[1], left : left + window[0]]
        shot, labels = _shot(frame[cut], thing[cut], exposure)
        shots.append((shot[:, ::-1], labels[:, ::-1]) if mirrored else (shot, labels))
    return shots


def _frames(clip: Path) -> Iterator[Image]:
    """Frames of a clip, at about ten a second and at most 640 pixels wide."""
    video = cv2.VideoCapture(str(clip))
    step = max(1, round(video.get(cv2.CAP_PROP_FPS) / _FPS))
    for number in range(int(video.get(cv2.CAP_PROP_FRAME_COUNT))):
        read, frame = video.read()
        if not read:
            break
        if number % step == 0:
            scale = min(1.0, _SIZE[0] / frame.shape[1])
            size = round(frame.shape[1] * scale) // 2 * 2, round(frame.shape[0] * scale) // 2 * 2
            yield cv2.resize(frame, size, interpolation=cv2.INTER_AREA)[..., ::-1].astype(np.uint8)
    video.release()
