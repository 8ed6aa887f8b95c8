"""Shared by all annotation tools: pictures to export, and labels to import."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from review.errors import BadInputError, ConflictError, UnknownItemError
from review.pictures import FrameGoneError, Pictures, crop_size
from review.queue import Queue
from schemas.masks import Mask, decode_mask
from schemas.review import JUDGED, OPEN, QueuedItem, Verdict

LARGEST_FILE = 1024 * 1024 * 1024
# Labels that mean a verdict and not a name.
VERDICT_LABELS = {verdict.value: verdict for verdict in (Verdict.NOT_AN_OBJECT, Verdict.UNSURE)}

_SUBPIXELS = 4


@dataclass(frozen=True, slots=True)
class HandedOut:
    """One item on its way out: its picture ``<item_id>.jpg`` and the mask on that picture.

    The picture is the whole frame where the archive has it, else the stored crop. ``label`` is the decided
    name, the verdict where it names nothing, or the suggestion while nothing is decided.
    """

    queued: QueuedItem
    file_name: str
    mask: Mask
    label: str
    whole_frame: bool

    @property
    def judged(self) -> bool:
        """Whether a person gave ``label``."""
        return self.queued.status.state.is_judged

    @property
    def item_id(self) -> str:
        """The id of the item."""
        return self.queued.item.item_id


@dataclass(frozen=True, slots=True)
class Label:
    """The label of an item in an annotation tool; empty if it has none."""

    item_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Imported:
    """``problems`` has one line for each entry that was not imported. No existing decision was changed."""

    decided: int
    unchanged: int
    problems: tuple[str, ...]


@contextmanager
def hand_out(
    queue: Queue, images: Path, pictures: Pictures, *, judged: bool, actor: str
) -> Iterator[Iterator[HandedOut]]:
    """The judged items (or those still open), to be written within the block.

    Each item's picture is written into the folder ``images`` when the item is reached. Judged items that were
    reached are marked as exported when the block ends well. Raises BadInputError when the folder cannot be made.
    """
    try:
        images.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"{images} cannot be made: {error.strerror}. Name another folder.") from error
    handed_over = []

    def items() -> Iterator[HandedOut]:
        for queued in queue.walk(JUDGED if judged else OPEN):
            one = _with_picture(queued, images, pictures)
            if judged:
                handed_over.append(one.item_id)
            yield one

    yield items()
    queue.mark_exported(handed_over, actor=actor)


def take_in(
    queue: Queue, path: Path, file_name: str, labels_of: Callable[[object, Path], Iterator[Label]], reviewer: str
) -> Imported:
    """Make decisions of the labels in a JSON file, or in ``file_name`` of a folder. Existing decisions stay, and are
    reported if the file has another label. Raises BadInputError if the file cannot be read.
    """
    path = path / file_name if path.is_dir() else path
    decided = unchanged = 0
    labels, wrong = _one_each(labels_of(_read_json(path), path))
    for label in labels:
        try:
            status = queue.item(label.item_id).status
            stands = status.name or (status.verdict.value if status.verdict else "")
            if status.state.is_judged and label.label.casefold() == stands.casefold():
                unchanged += 1
                continue
            verdict = VERDICT_LABELS.get(label.label.casefold(), Verdict.RELABEL)
            queue.decide(reviewer, label.item_id, verdict, label.label if verdict is Verdict.RELABEL else None)
            decided += 1
        except (UnknownItemError, ConflictError, BadInputError) as error:
            wrong.append(f"{label.item_id[:64]}: {error}")
    return Imported(decided, unchanged, tuple(wrong))


def polygons(mask: Mask) -> list[npt.NDArray[np.float64]]:
    """The outlines of a mask as (N, 2) arrays of x, y in pixels, along the pixels' outer edges.

    Holes are filled: neither COCO nor Label Studio polygons can have any.
    """
    fine = np.pad(mask, 1).astype(np.uint8).repeat(_SUBPIXELS, 0).repeat(_SUBPIXELS, 1)
    outlines, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    height, width = mask.shape
    found: list[npt.NDArray[np.float64]] = []
    for outline in outlines:
        simple = cv2.approxPolyDP(outline, _SUBPIXELS / 4, closed=True).reshape(-1, 2)
        if len(simple) >= 3:
            points = (simple.astype(np.float64) + 0.5) / _SUBPIXELS - 1
            found.append(np.clip(points, 0, (width, height)))
    return found


def _with_picture(queued: QueuedItem, images: Path, pictures: Pictures) -> HandedOut:
    item, status = queued.item, queued.status
    try:
        picture, whole = pictures.full_frame(item), True
    except FrameGoneError:
        picture, whole = item.crop_jpeg, False
    file_name = f"{item.item_id}.jpg"
    (images / file_name).write_bytes(picture)
    label = status.name or (status.verdict.value if status.verdict else item.name)
    return HandedOut(queued, file_name, _mask_on(queued, whole), label, whole)


def _one_each(found: Iterable[Label]) -> tuple[list[Label], list[str]]:
    """An item with several labels in a tool, or with none, has no label, and is reported as a problem."""
    by_item: dict[str, set[str]] = {}
    for annotation in found:
        by_item.setdefault(annotation.item_id, set()).add(annotation.label)
    labels, problems = [], []
    for item_id, names in by_item.items():
        said = names - {""}
        if len(said) == 1:
            labels.append(Label(item_id, *said))
        elif said:
            told = ", ".join(sorted(said))[:200]
            problems.append(f"{item_id[:64]}: it has {len(said)} different labels ({told})")
        else:
            problems.append(f"{item_id[:64]}: it was submitted without a label")
    return labels, problems


def _read_json(path: Path) -> object:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadInputError(f"{path} is larger than {LARGEST_FILE // 2**20} MiB.")
        content: object = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is no JSON file: {error}.") from error
    return content


def _mask_on(queued: QueuedItem, whole: bool) -> Mask:
    item = queued.item
    mask = decode_mask(queued.mask_rle, item.frame_height, item.frame_width)
    if whole:
        return mask
    view = item.crop_box
    height, width = crop_size(item)
    part = mask[view.y : view.y + view.height, view.x : view.x + view.width].astype(np.uint8)
    return np.asarray(cv2.resize(part * 255, (width, height)) > 127, np.bool_)
