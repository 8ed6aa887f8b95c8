"""Pictures of results for people: outlines, names and the anomaly map drawn on the frame."""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from clipomaly_core import FrameResult, Instance

Picture = npt.NDArray[np.uint8]

# Colours that stay apart on asphalt, sky and vegetation, and for most colour-blind people.
_COLOURS = (
    (255, 176, 0),
    (255, 94, 94),
    (0, 206, 209),
    (255, 109, 182),
    (160, 220, 60),
    (120, 170, 255),
    (190, 140, 255),
    (255, 235, 90),
)
_PAPER = (24, 26, 30)
_INK = (236, 238, 240)


def colour_of(name: str) -> tuple[int, int, int]:
    """An RGB colour for a name, the same in every picture."""
    return _COLOURS[hashlib.sha256(name.encode()).digest()[0] % len(_COLOURS)]


def outline(picture: Picture, mask: npt.NDArray[np.bool_], name: str, probability: float | None) -> Picture:
    """Draw one instance: its outline and a label with its name and how likely that is.

    Args:
        picture: (H, W, 3) uint8 RGB.
        mask: (H, W) bool.
        name: what to write.
        probability: of the name, in [0, 1], written behind it; None where the name is not clear. The anomaly score does
            not belong there: it says how unusual an object is, not how sure its name.

    Returns:
        A new (H, W, 3) uint8 RGB picture.
    """
    colour = colour_of(name)
    drawn = picture.copy()
    thickness = max(2, min(picture.shape[:2]) // 240)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(drawn, contours, -1, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.drawContours(drawn, contours, -1, colour, thickness, cv2.LINE_AA)
    x, y, _, height = cv2.boundingRect(mask.astype(np.uint8))
    return _label(drawn, label(name, probability), (x, y), height, colour)


def label(name: str, probability: float | None) -> str:
    """A name and how likely it is, in per cent: never 0 or 100 where it is neither."""
    if probability is None:
        return name
    return f"{name} {min(max(round(100 * probability), 1), 99) if 0 < probability < 1 else round(100 * probability)} %"


def _label(picture: Picture, text: str, corner: tuple[int, int], height: int, colour: tuple[int, int, int]) -> Picture:
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    size = max(12, min(picture.shape[:2]) // 28)
    font = ImageFont.load_default(size)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, tall = right - left + size // 2, bottom - top + size // 2
    # Above the object where there is room, else below; never over the picture's edge.
    x = int(np.clip(corner[0], 0, max(0, canvas.width - width)))
    y = corner[1] - tall - 3 if corner[1] >= tall + 3 else min(corner[1] + height + 3, canvas.height - tall)
    draw.rectangle((x, y, x + width, y + tall), fill=colour)
    draw.text((x + size // 4 - left, y + size // 4 - top), text, fill=(16, 16, 16), font=font)
    return np.asarray(canvas)


def heatmap(frame: Picture, score: npt.NDArray[np.float32]) -> Picture:
    """The anomaly map over the greyed frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        score: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB, bright where the score is high.
    """
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    levels = (np.clip(score, 0, 1) * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.addWeighted(grey, 0.35, colours, 0.65, 0))


def _probability(instance: Instance) -> float | None:
    best = instance.names[0] if instance.names else None
    return best.score if best and best.name == instance.name else None


def segment_picture(frame: Picture, result: FrameResult, title: str) -> Picture:
    """One picture for ``clipomaly segment``: found instances beside the anomaly map.

    Args:
        frame: (H, W, 3) uint8 RGB.
        result: what the model found in it.
        title: written above.

    Returns:
        (h, w, 3) uint8 RGB, each half 960 pixels wide.
    """
    found = frame
    # The surest last, so that its label lies on top.
    for instance in reversed(result.instances):
        found = outline(found, instance.mask, instance.name, _probability(instance))
    count = len(result.instances)
    summary = f"{count} instance{'' if count == 1 else 's'}" if count else "nothing unknown found"
    panels = [_scaled(found, 960), _scaled(heatmap(frame, result.anomaly_score), 960)]
    captions = [f"{title}: {summary}", f"anomaly score 0 to 1, threshold {result.threshold:g}"]
    return _grid([_captioned(panel, text) for panel, text in zip(panels, captions, strict=True)], 2)


def contact_sheet(tiles: Sequence[tuple[Picture, str]], columns: int, width: int = 420) -> Picture:
    """A grid of pictures with a caption each.

    Args:
        tiles: (H, W, 3) uint8 RGB pictures of one aspect ratio, with their captions.
        columns: tiles in a row.
        width: of a tile in pixels.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    return _grid([_captioned(_scaled(picture, width), text) for picture, text in tiles], columns)


def _scaled(picture: Picture, width: int) -> Picture:
    height = round(picture.shape[0] * width / picture.shape[1])
    shrinks = width < picture.shape[1]
    return np.asarray(
        cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    )


def _captioned(picture: Picture, text: str) -> Picture:
    size = 16
    strip = Image.new("RGB", (picture.shape[1], size * 2), _PAPER)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size)
    while draw.textlength(text, font=font) > picture.shape[1] - size and len(text) > 4:
        text = text[:-2].rstrip("…") + "…"
    draw.text((size // 2, size // 2 - 2), text, fill=_INK, font=font)
    return np.vstack([np.asarray(strip), picture])


def _grid(tiles: Sequence[Picture], columns: int) -> Picture:
    gap = 6
    height = max(tile.shape[0] for tile in tiles)
    width = max(tile.shape[1] for tile in tiles)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full(((height + gap) * rows + gap, (width + gap) * columns + gap, 3), _PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        y = gap + index // columns * (height + gap)
        x = gap + index % columns * (width + gap)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet
