"""Training batches from the demo fleet: windows of scenes with the truth a patch, and crops with names.

Scenes of seeds below ``HELD_OUT_SEED`` train; those from it on are for evaluation and are never seen here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from clipomaly_core.crops import context_crop, masked_crop
from training.nano.augment import nameless, photometric

HELD_OUT_SEED = 10_000_000
NAMELESS = -1
"""Label of what has no name."""
CLASSES = 19
UNKNOWN, VOID = 254, 255  # values of the demo fleet's label maps
GRID = (22, 40)
WINDOW = (11, 20)
PATCH = 16
CROP = 96
CONTEXT = 0.5
_THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)  # classes of V whose parts are cropped and named
_LEAST = 70  # pixels of 640x360 that a crop's subject has
_POOL = 2000

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truth:
    """A scene: ``image`` (H, W, 3) uint8, ``labels`` (H, W) uint8 (0…18, 254 planted, 255 void),
    ``instances`` (H, W) int32 with 0 for none, ``kinds`` from instance id to the row of its name or ``NAMELESS``.
    """

    image: Image
    labels: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.int32]
    kinds: Mapping[int, int]


Render = Callable[[int], Truth]
"""Draws the scene of a seed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees.

    windows (B, 3, 16h, 16w) uint8 at (tops, lefts) of the frame's grid; shares (B, h, w, 20) float32: the part
    of each patch that is each class of V and, last, planted, the rest being void; regions (R, h, w) float32
    coverage of each instance, with its window and kind; crops (C, 3, 96, 96) uint8 with labels: a class of V,
    19 + kind, or ``NAMELESS``.
    """

    windows: Tensor
    tops: Tensor
    lefts: Tensor
    shares: Tensor
    regions: Tensor
    region_windows: Tensor
    region_kinds: Tensor
    crops: Tensor
    crop_labels: Tensor


class Scenes:
    """Training scenes from a pool: every ``reuse``-th draw renders a new one, which pushes out the oldest."""

    def __init__(self, render: Render, first_seed: int, reuse: int, rng: np.random.Generator) -> None:
        self._render = render
        self._next = first_seed
        self._reuse = reuse
        self._rng = rng
        self._pool: list[Truth] = []
        self._drawn = 0

    def draw(self) -> Truth:
        """A new scene, or one of the pool."""
        self._drawn += 1
        if self._pool and self._drawn % self._reuse:
            return self._pool[int(self._rng.integers(len(self._pool)))]
        if self._next >= HELD_OUT_SEED:
            raise ValueError(f"Scene seeds from {HELD_OUT_SEED} on are held out.")
        scene = self._render(self._next)
        self._next += 1
        if len(self._pool) < _POOL:
            self._pool.append(scene)
        else:
            self._pool[self._next % _POOL] = scene
        return scene


class Batches(IterableDataset[Batch]):
    """An endless stream of batches that depends on the seed and where it starts.

    ``full_frames`` is shared with the process that loads: while its value is not zero, batches hold a quarter
    as many windows, each a whole frame.
    """

    def __init__(self, render: Render, seed: int, start: int, size: int, reuse: int, full_frames: Tensor) -> None:
        self._render = render
        self._seed = seed
        self._start = start
        self._size = size
        self._reuse = reuse
        self._full_frames = full_frames

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        rng = np.random.default_rng([self._seed, self._start])
        # Seeds of runs and of resumed parts are far apart, so that their scenes differ.
        scenes = Scenes(self._render, (self._seed * 97 + self._start * 7 + 1) % 9_000_000, self._reuse, rng)
        while True:
            whole = bool(self._full_frames.item())
            yield make_batch(
                [scenes.draw() for _ in range(max(1, self._size // 4) if whole else self._size)], whole, rng
            )


def make_batch(scenes: list[Truth], whole: bool, rng: np.random.Generator) -> Batch:
    """Augment scenes and cut windows and crops out of them."""
    grid = GRID if whole else WINDOW
    windows, places, shares, regions, crops = [], [], [], [], []
    for number, scene in enumerate(scenes):
        scene = _augmented(scene, rng)
        rectangle = (0.0, 0.0, float(scene.image.shape[1]), float(scene.image.shape[0]))
        if not whole:
            rectangle = _window(scene, rng)
        image, labels, instances = _cut(scene, rectangle, grid)
        windows.append(image)
        places.append((0, 0) if whole else _place(rectangle, scene.image.shape[:2]))
        shares.append(_shares(labels))
        for instance in np.unique(instances[instances > 0]):
            mask = instances == instance
            if mask.sum() >= _LEAST // 2:
                regions.append((_coverage(mask), number, scene.kinds[int(instance)]))
        crops.extend(_instance_crops(scene, rng))
        crops.extend(_class_crops(scene, rng))
    h, w = grid
    return Batch(
        windows=_pixels(windows, (PATCH * h, PATCH * w)),
        tops=torch.tensor([top for top, _ in places]),
        lefts=torch.tensor([left for _, left in places]),
        shares=torch.from_numpy(np.stack(shares)),
        regions=torch.from_numpy(np.stack([r[0] for r in regions]) if regions else np.zeros((0, h, w), np.float32)),
        region_windows=torch.tensor([r[1] for r in regions], dtype=torch.int64),
        region_kinds=torch.tensor([r[2] for r in regions], dtype=torch.int64),
        crops=_pixels([crop for crop, _ in crops], (CROP, CROP)),
        crop_labels=torch.tensor([label for _, label in crops], dtype=torch.int64),
    )


def _augmented(scene: Truth, rng: np.random.Generator) -> Truth:
    image, labels, instances, kinds = scene.image, scene.labels, scene.instances, dict(scene.kinds)
    if rng.random() < 0.5:
        image, labels, instances = (np.ascontiguousarray(a[:, ::-1]) for a in (image, labels, instances))
    if rng.random() < 0.35:
        image, mask = nameless(image, rng)
        labels, instances = labels.copy(), instances.copy()
        labels[mask] = UNKNOWN
        instances[mask] = new = int(instances.max()) + 1
        kinds[new] = NAMELESS
    return Truth(photometric(image, rng), labels, instances, kinds)


def _window(scene: Truth, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """(x, y, width, height) of a part of the frame, most often around an instance."""
    height, width = scene.image.shape[:2]
    zoom = float(np.exp(rng.uniform(np.log(0.7), np.log(1.5))))
    w, h = width * WINDOW[1] / GRID[1] / zoom, height * WINDOW[0] / GRID[0] / zoom
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    ids = np.unique(scene.instances[::4, ::4])
    ids = ids[ids > 0]
    if len(ids) and rng.random() < 0.7:
        ys, xs = np.nonzero(scene.instances[::4, ::4] == rng.choice(ids))
        pick = int(rng.integers(len(ys)))
        x = np.clip(4 * xs[pick] - w * rng.uniform(0.1, 0.9), 0, width - w)
        y = np.clip(4 * ys[pick] - h * rng.uniform(0.1, 0.9), 0, height - h)
    return float(x), float(y), w, h


def _place(rectangle: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int]:
    """The place in the grid at which a zoomed window has its centre."""
    x, y, w, h = rectangle
    top = round((y + h / 2) / size[0] * GRID[0] - WINDOW[0] / 2)
    left = round((x + w / 2) / size[1] * GRID[1] - WINDOW[1] / 2)
    return min(max(top, 0), GRID[0] - WINDOW[0]), min(max(left, 0), GRID[1] - WINDOW[1])


def _cut(
    scene: Truth, rectangle: tuple[float, float, float, float], grid: tuple[int, int]
) -> tuple[Image, npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    x, y, w, h = (round(value) for value in rectangle)
    part = (slice(y, y + h), slice(x, x + w))
    size = (PATCH * grid[1], PATCH * grid[0])
    smooth = cv2.INTER_AREA if h > size[1] else cv2.INTER_LINEAR
    image = cv2.resize(scene.image[part], size, interpolation=smooth)
    labels = cv2.resize(scene.labels[part], size, interpolation=cv2.INTER_NEAREST)
    instances = cv2.resize(scene.instances[part], size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(image, np.uint8), np.asarray(labels, np.uint8), np.asarray(instances, np.int32)


def _shares(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(16h, 16w) labels → (h, w, 20): how much of each patch is each class, and planted."""
    h, w = labels.shape[0] // PATCH, labels.shape[1] // PATCH
    classes = np.where(labels == UNKNOWN, CLASSES, np.minimum(labels, CLASSES + 1)).astype(np.int64)
    patches = np.arange(h * w).reshape(h, w).repeat(PATCH, 0).repeat(PATCH, 1)
    counts = np.bincount((patches * (CLASSES + 2) + classes).ravel(), minlength=h * w * (CLASSES + 2))
    return counts.reshape(h, w, CLASSES + 2)[..., : CLASSES + 1].astype(np.float32) / PATCH**2


def _coverage(mask: Mask) -> npt.NDArray[np.float32]:
    h, w = mask.shape[0] // PATCH, mask.shape[1] // PATCH
    return mask.reshape(h, PATCH, w, PATCH).mean((1, 3), dtype=np.float32)


def _instance_crops(scene: Truth, rng: np.random.Generator) -> list[tuple[Image, int]]:
    """Both crops of one instance, as the naming step would cut them."""
    ids = [int(i) for i in np.unique(scene.instances[::2, ::2]) if i > 0]
    rng.shuffle(ids)
    for instance in ids:
        mask = _as_found(scene.instances == instance, rng)
        if mask.sum() < _LEAST:
            continue
        kind = scene.kinds[instance]
        label = NAMELESS if kind == NAMELESS else CLASSES + kind
        bbox = _bounds(mask)
        crops = masked_crop(scene.image, mask, bbox, CROP), context_crop(scene.image, bbox, CROP, CONTEXT)
        return [(crop, label) for crop in crops]
    return []


def _class_crops(scene: Truth, rng: np.random.Generator) -> list[tuple[Image, int]]:
    """A crop of a thing of V, in a third of the scenes."""
    present = [c for c in np.unique(scene.labels[::2, ::2]) if c in _THINGS]
    if not present or rng.random() > 0.4:
        return []
    label = int(rng.choice(present))
    _, parts, stats, _ = cv2.connectedComponentsWithStats((scene.labels == label).astype(np.uint8))
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= 2 * _LEAST) + 1
    if not len(large):
        return []
    mask = parts == rng.choice(large)
    bbox = _bounds(mask)
    if rng.random() < 0.5:
        return [(masked_crop(scene.image, mask, bbox, CROP), label)]
    return [(context_crop(scene.image, bbox, CROP, CONTEXT), label)]


def _as_found(mask: Mask, rng: np.random.Generator) -> Mask:
    """The mask as it comes out of a map of quarter patches: coarse, too large or too small."""
    height, width = mask.shape
    coarse = cv2.resize(mask.astype(np.float32), (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), float(rng.uniform(0.3, 2.0)))
    level = float(rng.uniform(0.15, 0.6))
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) > level)


def _bounds(mask: Mask) -> tuple[int, int, int, int]:
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)


def _pixels(images: list[Image], size: tuple[int, int]) -> Tensor:
    stacked = np.stack(images) if images else np.zeros((0, *size, 3), np.uint8)
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))
