"""Repairing a mask in a few strokes.

Places are given in the stored crop: (x, y) from 0 to 1 of its width and height. Everything outside of the crop stays.
"""

import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from review.errors import BadInputError
from review.masks import MOST_EDITS, MOST_POINTS, Edit, EditKind
from schemas.masks import Mask, decode_mask
from schemas.review import ReviewItem

_LARGEST_STEP = 0.02  # of the longer side of the crop: one press of grow or shrink
_SNAP_ROUNDS = 5
_SNAP_MARGIN = 0.12  # of the mask's longer side: how far an edge may lie from where it was drawn


def apply_edits(item: ReviewItem, start: bytes, edits: Sequence[Edit]) -> Mask:
    """The (frame_height, frame_width) bool mask that comes of ``start`` (``mask_rle``) by these steps.

    A box replaces the mask by what stands out within it (GrabCut, https://doi.org/10.1145/1015706.1015720, on the
    stored crop); snap moves the mask's edge to the edges of the picture by the same.

    Raises BadInputError for steps that cannot be done, and where nothing would be left.
    """
    if not 1 <= len(edits) <= MOST_EDITS:
        raise BadInputError(f"A mask is repaired in 1 to {MOST_EDITS} steps.")
    mask = decode_mask(start, item.frame_height, item.frame_width)
    view = item.crop_box
    rows, columns = slice(view.y, view.y + view.height), slice(view.x, view.x + view.width)
    part = mask[rows, columns].astype(np.uint8)
    for edit in edits:
        _check(edit)
        part = _STEPS[edit.kind](part, _pixels(edit, part.shape), item)
    mask[rows, columns] = part.astype(bool)
    if edits[0].kind in (EditKind.BOX, EditKind.KEEP):
        kept = np.zeros_like(mask)
        kept[rows, columns] = mask[rows, columns]
        mask = kept  # what is outside of the crop belongs to the parts that were not kept
    if not mask.any():
        raise BadInputError("Nothing would be left of the mask. Undo the last step, or say that it is not an object.")
    return mask


_Part = npt.NDArray[np.uint8]
_Points = npt.NDArray[np.int32]


def _check(edit: Edit) -> None:
    wanted = {EditKind.KEEP: (1, 1), EditKind.DROP: (1, 1), EditKind.BOX: (2, 2)}
    least, most = wanted.get(edit.kind, (3, MOST_POINTS) if edit.kind in (EditKind.LASSO, EditKind.ERASE) else (0, 0))
    if not least <= len(edit.points) <= most:
        raise BadInputError(f"The step {edit.kind.value!r} takes {least} to {most} places, not {len(edit.points)}.")
    if not all(0 <= value <= 1 for place in edit.points for value in place):
        raise BadInputError("A place lies outside of the picture.")


def _pixels(edit: Edit, shape: tuple[int, ...]) -> _Points:
    scale = np.array([shape[1] - 1, shape[0] - 1], np.float64)
    return np.round(np.array(edit.points, np.float64).reshape(-1, 2) * scale).astype(np.int32)


def _nearest_part(part: _Part, points: _Points) -> npt.NDArray[np.bool_]:
    count, labels = cv2.connectedComponents(part, connectivity=8)
    if count < 2:
        raise BadInputError("There is no part of the mask to choose.")
    ys, xs = np.nonzero(part)
    x, y = points[0]
    nearest = int(np.argmin((xs - x) ** 2 + (ys - y) ** 2))
    return np.asarray(labels == labels[ys[nearest], xs[nearest]], np.bool_)


def _keep(part: _Part, points: _Points, _: ReviewItem) -> _Part:
    return _nearest_part(part, points).astype(np.uint8)


def _drop(part: _Part, points: _Points, _: ReviewItem) -> _Part:
    return np.where(_nearest_part(part, points), 0, part).astype(np.uint8)


def _lasso(part: _Part, points: _Points, _: ReviewItem) -> _Part:
    return np.asarray(cv2.fillPoly(part.copy(), [points], 1), np.uint8)


def _erase(part: _Part, points: _Points, _: ReviewItem) -> _Part:
    return np.asarray(cv2.fillPoly(part.copy(), [points], 0), np.uint8)


def _grow(part: _Part, _points: _Points, _: ReviewItem) -> _Part:
    return np.asarray(cv2.dilate(part, _disc(part.shape)), np.uint8)


def _shrink(part: _Part, _points: _Points, _: ReviewItem) -> _Part:
    return np.asarray(cv2.erode(part, _disc(part.shape)), np.uint8)


def _disc(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    radius = max(1, round(_LARGEST_STEP * max(shape)))
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _box(part: _Part, points: _Points, item: ReviewItem) -> _Part:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    if right - left < 3 or bottom - top < 3:
        raise BadInputError("The box is too small to hold an object.")
    guess = np.full(part.shape, cv2.GC_BGD, np.uint8)
    guess[top : bottom + 1, left : right + 1] = cv2.GC_PR_FGD
    found = _cut(guess, item)
    if not found.any():  # nothing stands out: use the box itself
        found[top : bottom + 1, left : right + 1] = 1
    return found


def _snap(part: _Part, _points: _Points, item: ReviewItem) -> _Part:
    ys, xs = np.nonzero(part)
    if not len(xs):
        raise BadInputError("There is no mask to snap.")
    reach = max(2, round(_SNAP_MARGIN * max(np.ptp(xs), np.ptp(ys))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    sure = cv2.erode(part, disc)
    near = cv2.dilate(part, disc)
    guess = np.where(sure > 0, cv2.GC_FGD, np.where(part > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD)).astype(np.uint8)
    guess[near == 0] = cv2.GC_BGD
    found = _cut(guess, item)
    return found if found.any() else part


def _cut(guess: _Part, item: ReviewItem) -> _Part:
    """The object in the stored crop according to GrabCut, at the size of the guess."""
    with Image.open(io.BytesIO(item.crop_jpeg), formats=("JPEG",)) as picture:
        image = np.asarray(picture.convert("RGB"))
    small = cv2.resize(guess, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    if not ((small == cv2.GC_FGD) | (small == cv2.GC_PR_FGD)).any() or (small != cv2.GC_BGD).all():
        small[0, :] = small[-1, :] = small[:, 0] = small[:, -1] = cv2.GC_BGD
    cv2.setRNGSeed(0)  # the same steps give the same mask
    try:
        cv2.grabCut(
            cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
            small,
            (0, 0, 1, 1),
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            _SNAP_ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error as error:
        raise BadInputError("The picture does not show an edge there. Draw the outline by hand.") from error
    object_ = ((small == cv2.GC_FGD) | (small == cv2.GC_PR_FGD)).astype(np.uint8)
    return np.asarray(cv2.resize(object_, (guess.shape[1], guess.shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8)


_STEPS: dict[EditKind, Callable[[_Part, _Points, ReviewItem], _Part]] = {
    EditKind.KEEP: _keep,
    EditKind.DROP: _drop,
    EditKind.BOX: _box,
    EditKind.LASSO: _lasso,
    EditKind.ERASE: _erase,
    EditKind.GROW: _grow,
    EditKind.SHRINK: _shrink,
    EditKind.SNAP: _snap,
}
