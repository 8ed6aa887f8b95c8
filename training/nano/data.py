"""Training batches from the demo fleet: windows of scenes with the truth a patch, and crops with names.

Scenes of seeds below ``HELD_OUT_SEED`` train; those from it on are for evaluation and are never seen here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import count

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from clipomaly_core.crops import context_crop, masked_crop
from training.nano.augment import nameless, photometric

HELD_OUT_SEED = 10_000_000
NAMELESS = -1
"""Label of what has no name."""
CLASSES = 19
UNKNOWN, VOID = 254, 255  # values of the demo fleet's label maps
GRID = (22, 40)
WINDOW = (11, 20)
FRAME = (28, 50)
"""Patches of a whole frame, between the two sizes that a scan looks in; ``GRID`` is what the position embedding has."""
PATCH = 16
CROP = 96
CONTEXT = 0.5
_THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)  # classes of V whose parts are cropped and named
_LEAST = 70  # pixels of 640x360 that a crop's subject has
_POOL = 600
_APART = 250_000  # scenes: more than a worker draws
_NAMED = 3  # planted objects of a scene that are cropped
_CLASSED = 1.6  # crops of a class of V a scene, on average
_FOCUS = (0.5, 0.25)  # shares of the windows around an instance, and around a thing of V

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truth:
    """A scene: ``image`` (H, W, 3) uint8, ``labels`` (H, W) uint8 (0…18, 254 planted, 255 void),
    ``instances`` (H, W) uint8 with 0 for none, ``kinds`` from instance id to the row of its name or ``NAMELESS``.
    """

    image: Image
    labels: npt.NDArray[np.uint8]
    instances: npt.NDArray[np.uint8]
    kinds: Mapping[int, int]


Render = Callable[[int], Truth]
"""Draws the scene of a seed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees.

    windows (B, 3, 16h, 16w) uint8 of the part (left, top, width, height) of the frame, as places (B, 4) float32 in
    [0, 1] tell; shares (B, h, w, 20) float32: the part of each patch that is each class of V and, last, planted, the
    rest being void; regions (R, h, w) float32 coverage of each instance, with its window and kind; crops
    (C, 3, 96, 96) uint8 with labels: a class of V, 19 + kind, or ``NAMELESS``.
    """

    windows: Tensor
    places: Tensor
    shares: Tensor
    regions: Tensor
    region_windows: Tensor
    region_kinds: Tensor
    crops: Tensor
    crop_labels: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


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
    """An endless stream of batches that depends on the seed, where it starts, and how many workers draw it by turns.

    From batch number ``whole_from`` on, counted from ``start``, batches hold a third as many windows, each a whole
    frame.
    """

    def __init__(self, render: Render, seed: int, start: int, size: int, reuse: int, whole_from: int) -> None:
        self._render = render
        self._seed = seed
        self._start = start
        self._size = size
        self._reuse = reuse
        self._whole_from = whole_from

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        turn, turns = (worker.id, worker.num_workers) if worker else (0, 1)
        rng = np.random.default_rng([self._seed, self._start, turn])
        # Seeds of runs, of resumed parts and of workers are far apart, so that their scenes differ.
        first = (self._seed * 97 + self._start * 7 + turn * _APART + 1) % 9_000_000
        scenes = Scenes(self._render, first, self._reuse, rng)
        for number in count(self._start + turn, turns):
            whole = number >= self._whole_from
            yield make_batch(
                [scenes.draw() for _ in range(max(1, self._size // 3) if whole else self._size)], whole, rng
            )


def make_batch(scenes: list[Truth], whole: bool, rng: np.random.Generator) -> Batch:
    """Augment scenes and cut windows and crops out of them."""
    grid = FRAME if whole else WINDOW
    windows, places, shares, regions, crops = [], [], [], [], []
    for number, scene in enumerate(scenes):
        scene = _augmented(scene, rng)
        height, width = scene.image.shape[:2]
        rectangle = (0, 0, width, height) if whole else _window(scene, rng)
        image, labels, instances = _cut(scene, rectangle, grid)
        windows.append(image)
        places.append(np.array(rectangle, np.float32) / (width, height, width, height))
        shares.append(_shares(labels))
        for instance in np.flatnonzero(np.bincount(instances.ravel())[1:] >= _LEAST // 2) + 1:
            regions.append((_coverage(instances == instance), number, scene.kinds[int(instance)]))
        crops.extend(_instance_crops(scene, rng))
        crops.extend(_class_crops(scene, rng))
    h, w = grid
    return Batch(
        windows=_pixels(windows, (PATCH * h, PATCH * w)),
        places=torch.from_numpy(np.stack(places).astype(np.float32)),
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


def _window(scene: Truth, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """(x, y, width, height) of a part of the frame, most often around an instance."""
    height, width = scene.image.shape[:2]
    zoom = float(np.exp(rng.uniform(np.log(0.75), np.log(1.75))))
    w, h = round(width * WINDOW[1] / GRID[1] / zoom), round(height * WINDOW[0] / GRID[0] / zoom)
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    around = rng.random()
    seen = scene.instances[::4, ::4]
    if around < _FOCUS[0]:
        ids = np.flatnonzero(np.bincount(seen.ravel())[1:]) + 1
        wanted = seen == rng.choice(ids) if len(ids) else seen > 0
    else:  # what V has that is not flat and large: its lights, wheels and shadows are what is taken for unknown
        wanted = np.isin(scene.labels[::4, ::4], _THINGS) & (around < sum(_FOCUS))
    ys, xs = np.nonzero(wanted)
    if len(ys):
        pick = int(rng.integers(len(ys)))
        x = int(np.clip(4 * xs[pick] - w * rng.uniform(0.1, 0.9), 0, width - w))
        y = int(np.clip(4 * ys[pick] - h * rng.uniform(0.1, 0.9), 0, height - h))
    return x, y, w, h


def _cut(
    scene: Truth, rectangle: tuple[int, int, int, int], grid: tuple[int, int]
) -> tuple[Image, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    x, y, w, h = rectangle
    part = (slice(y, y + h), slice(x, x + w))
    size = (PATCH * grid[1], PATCH * grid[0])
    smooth = cv2.INTER_AREA if h > size[1] else cv2.INTER_LINEAR
    image = cv2.resize(scene.image[part], size, interpolation=smooth)
    labels = cv2.resize(scene.labels[part], size, interpolation=cv2.INTER_NEAREST)
    instances = cv2.resize(scene.instances[part], size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(image, np.uint8), np.asarray(labels, np.uint8), np.asarray(instances, np.uint8)


def _shares(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(16h, 16w) labels → (h, w, 20): how much of each patch is each class, and planted."""
    h, w = labels.shape[0] // PATCH, labels.shape[1] // PATCH
    classes = np.where(labels == UNKNOWN, CLASSES, np.minimum(labels, CLASSES + 1)).astype(np.int64)
    patches = np.arange(h * w).reshape(h, w).repeat(PATCH, 0).repeat(PATCH, 1)
    counts = np.bincount((patches * (CLASSES + 2) + classes).ravel(), minlength=h * w * (CLASSES + 2))
    return (counts.reshape(h, w, CLASSES + 2)[..., : CLASSES + 1] / PATCH**2).astype(np.float32)


def _coverage(mask: Mask) -> npt.NDArray[np.float32]:
    h, w = mask.shape[0] // PATCH, mask.shape[1] // PATCH
    return mask.reshape(h, PATCH, w, PATCH).mean((1, 3), dtype=np.float32)


def _instance_crops(scene: Truth, rng: np.random.Generator) -> list[tuple[Image, int]]:
    """Both crops of some instances, as the naming step would cut them."""
    ids = np.flatnonzero(np.bincount(scene.instances.ravel())[1:] >= _LEAST) + 1
    crops: list[tuple[Image, int]] = []
    for instance in rng.permutation(ids)[:_NAMED].tolist():
        piece, mask, bbox = _as_found(scene.image, scene.instances == instance, rng)
        if mask.any():
            kind = scene.kinds[instance]
            label = NAMELESS if kind == NAMELESS else CLASSES + kind
            crops.append((masked_crop(piece, mask, bbox, CROP), label))
            crops.append((context_crop(piece, bbox, CROP, CONTEXT), label))
    return crops


def _class_crops(scene: Truth, rng: np.random.Generator) -> list[tuple[Image, int]]:
    """Crops that belong to known classes although they were taken for unknown: things, pieces of surfaces, and blots
    that lie anywhere on what is known, as false finds do."""
    present = np.unique(scene.labels[::4, ::4])
    present = present[present < CLASSES]
    crops: list[tuple[Image, int]] = []
    if not len(present):
        return crops
    things = present[np.isin(present, _THINGS)]
    for _ in range(rng.poisson(_CLASSED)):
        label = int(rng.choice(things if len(things) and rng.random() < 0.6 else present))
        mask = scene.labels == label
        if rng.random() < 0.5:
            mask = _blot(mask, rng)
            counts = np.bincount(scene.labels[mask], minlength=256)
            label = int(counts[:CLASSES].argmax())
            if 2 * counts[label] < counts.sum() or counts[UNKNOWN]:
                continue
        elif label in _THINGS:
            _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
            large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= 2 * _LEAST) + 1
            if not len(large):
                continue
            mask = parts == rng.choice(large)
        else:
            mask &= _blot(mask, rng)
        piece, mask, bbox = _as_found(scene.image, mask, rng)
        if not mask.any():
            continue
        if rng.random() < 0.5:
            crops.append((masked_crop(piece, mask, bbox, CROP), label))
        else:
            crops.append((context_crop(piece, bbox, CROP, CONTEXT), label))
    return crops


def _blot(mask: Mask, rng: np.random.Generator) -> Mask:
    """An ellipse around some place of the mask."""
    ys, xs = np.nonzero(mask[::4, ::4])
    pick = int(rng.integers(len(ys))) if len(ys) else 0
    centre = (4 * int(xs[pick]), 4 * int(ys[pick])) if len(ys) else (0, 0)
    half = np.exp(rng.uniform(np.log(6), np.log(60), 2)).astype(int)
    blot = np.zeros(mask.shape, np.uint8)
    cv2.ellipse(blot, centre, (int(half[0]), int(half[1])), float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return blot.view(np.bool_)


def _as_found(image: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask, tuple[int, int, int, int]]:
    """The piece of the image around a mask, and the mask and its bounds there as they come out of a map of quarter
    patches: coarse, too large or too small, with bays and bulges."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    border = 16 + max(w, h)  # more than the context crop takes
    height, width = mask.shape
    part = (
        slice(max(0, y - border), min(height, y + h + border)),
        slice(max(0, x - border), min(width, x + w + border)),
    )
    piece, whole = image[part], mask[part].astype(np.float32)
    size = (max(1, whole.shape[1] // 4), max(1, whole.shape[0] // 4))
    coarse = cv2.GaussianBlur(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), (0, 0), float(rng.uniform(0.3, 2)))
    if rng.random() < 0.6:
        bumps = rng.normal(0, float(rng.uniform(0.05, 0.3)), (2 + size[1] // 4, 2 + size[0] // 4)).astype(np.float32)
        coarse = coarse + cv2.resize(bumps, size, interpolation=cv2.INTER_LINEAR) * (coarse > 0.02)
    level = float(rng.uniform(0.15, 0.6))
    found = cv2.resize(coarse, (whole.shape[1], whole.shape[0]), interpolation=cv2.INTER_LINEAR) > level
    # A scan takes what hangs together.
    _, parts, stats, _ = cv2.connectedComponentsWithStats(found.view(np.uint8), connectivity=8)
    if len(stats) > 1:
        found = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return piece, np.asarray(found), cv2.boundingRect(found.view(np.uint8))  # type: ignore[return-value]


def _pixels(images: list[Image], size: tuple[int, int]) -> Tensor:
    stacked = np.stack(images) if images else np.zeros((0, *size, 3), np.uint8)
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))
