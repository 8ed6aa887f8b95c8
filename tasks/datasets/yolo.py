"""YOLO for segmentation: a text file a picture, one outline a line. https://docs.ultralytics.com/datasets/segment/"""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from schemas.dataset import Split
from tasks.datasets.format import Classes, Format, Kept, Losses, OutputFile, annotated
from tasks.datasets.image_store import Content
from tasks.masks import decode_mask

# Readers refuse a dataset in which one of these folders is missing.
_REQUIRED = frozenset({Split.TRAIN, Split.VAL})
# Inside the pixel, before its middle: readers that cut decimals off and readers that round both meet the pixel.
_INSIDE = 0.25


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    numbers = {name: number for number, name in enumerate(classes.names)}
    for content in contents:
        if content.picture is None:
            continue
        frame = content.frame
        path = f"{frame.split}/{frame.frame_id}"
        lines: list[str] = []
        losses = Losses()
        for label in annotated(frame.labels):
            assert label.name is not None
            outlines, lost = _outlines(decode_mask(label.mask_rle, frame.height, frame.width))
            losses += lost
            for outline in outlines:
                points = (outline + _INSIDE) / (frame.width, frame.height)
                told = " ".join(f"{value:.7f}" for value in points.ravel())
                lines.append(f"{numbers[label.name]} {told}\n")
        yield OutputFile(
            f"images/{path}{content.picture.suffix}", content.picture.data, ((frame.frame_id, content.picture),)
        )
        # A picture of background has an empty file: a missing one would read as "not annotated".
        yield OutputFile(f"labels/{path}.txt", "".join(lines).encode(), losses=losses)


def _outlines(mask: npt.NDArray[np.bool_]) -> tuple[list[npt.NDArray[np.int32]], Losses]:
    """The outlines of a mask as (N, 2) x, y of pixels, and what they lose of it: filled, they give it back."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = np.zeros(mask.shape, np.uint8)
    outlines = []
    for contour in contours:
        points = np.asarray(contour, np.int32).reshape(-1, 2)
        cv2.fillPoly(filled, [points], (1,))
        # Of one or two pixels there are fewer than the three points that a line must have.
        outlines.append(np.concatenate([points, np.repeat(points[-1:], max(0, 3 - len(points)), axis=0)]))
    holes = int(filled.sum()) - int(mask.sum())
    return outlines, Losses(holes=int(holes > 0), hole_pixels=holes, divided=int(len(outlines) > 1))


def _closing(kept: Sequence[Kept], classes: Classes) -> Iterator[OutputFile]:
    present = {placed.frame.split for placed in kept}
    # No "path": readers then take the folder of the file itself, wherever they are started from.
    content = {
        **{split.value: f"images/{split}" for split in Split if split in present or split in _REQUIRED},
        "nc": len(classes.names),
        "names": list(classes.names),
    }
    yield OutputFile("data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
    for split in _REQUIRED - present:
        yield OutputFile(f"images/{split}/.empty", b"no drive falls into this split\n")


YOLO_SEG = Format(
    _part,
    _closing,
    (
        "an outline cannot have holes: they are filled",
        "a mask of several parts becomes an instance for each part",
    ),
    'supervision.DetectionDataset.from_yolo("images/train", "labels/train", "data.yaml", force_masks=True)',
)
