"""Items as mining makes them, on procedurally drawn roads: frames, masks and crops that belong together."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from schemas.review import Box, NameScore, ReviewItem, TrackFrame

HEIGHT, WIDTH = 540, 960
HORIZON = 230
NIGHT = datetime(2026, 11, 21, 18, 4, 5, tzinfo=UTC)
DRIVES = ("berlin-a100-07", "hamburg-ring-02", "leipzig-a14-11")

Picture = npt.NDArray[np.uint8]
Draw = Callable[[Picture, int, int, int], None]


def _cone(canvas: Picture, x: int, y: int, size: int) -> None:
    cv2.fillPoly(canvas, [np.array([[x - size // 2, y], [x + size // 2, y], [x, y - 2 * size]])], (235, 96, 32))
    for share in (0.35, 0.7):
        half = int(size * (1 - share) / 2) + 1
        level = y - int(2 * size * share)
        cv2.rectangle(canvas, (x - half, level - size // 6), (x + half, level + size // 6), (238, 238, 232), -1)
    cv2.rectangle(canvas, (x - int(0.7 * size), y), (x + int(0.7 * size), y + size // 5), (180, 66, 24), -1)


def _mattress(canvas: Picture, x: int, y: int, size: int) -> None:
    corners = np.array([[x - 2 * size, y - size], [x + size, y - int(1.4 * size)], [x + 2 * size, y], [x - size, y]])
    cv2.fillPoly(canvas, [corners], (222, 214, 200))
    side = np.array([[x - size, y], [x + 2 * size, y], [x + 2 * size, y + size // 2], [x - size, y + size // 2]])
    cv2.fillPoly(canvas, [side], (186, 176, 160))
    for step in range(1, 4):
        start, end = (
            corners[0] + (corners[1] - corners[0]) * step // 4,
            corners[3] + (corners[2] - corners[3]) * step // 4,
        )
        cv2.line(canvas, tuple(map(int, start)), tuple(map(int, end)), (196, 188, 176), 2)


def _tire(canvas: Picture, x: int, y: int, size: int) -> None:
    cv2.ellipse(canvas, (x, y - size // 2), (int(1.3 * size), int(0.8 * size)), 8, 0, 360, (38, 38, 40), -1)
    cv2.ellipse(canvas, (x, y - int(0.7 * size)), (int(0.7 * size), int(0.38 * size)), 8, 0, 360, (86, 86, 84), -1)
    cv2.ellipse(canvas, (x, y - size // 2), (int(1.3 * size), int(0.8 * size)), 8, 200, 330, (74, 74, 78), 3)


def _box(canvas: Picture, x: int, y: int, size: int) -> None:
    cv2.rectangle(canvas, (x - size, y - int(1.5 * size)), (x + size, y), (176, 132, 84), -1)
    top = np.array([[x - size, y - int(1.5 * size)], [x - size // 2, y - 2 * size], [x + int(1.4 * size), y - 2 * size],
                    [x + size, y - int(1.5 * size)]])  # fmt: skip
    cv2.fillPoly(canvas, [top], (204, 162, 112))
    cv2.rectangle(canvas, (x - size // 6, y - int(1.5 * size)), (x + size // 6, y), (198, 170, 128), -1)


KINDS: dict[str, Draw] = {"traffic cone": _cone, "mattress": _mattress, "tire": _tire, "cardboard box": _box}
OTHERS = ("bollard", "plastic bag", "ladder", "pallet", "suitcase", "rock")


@dataclass(frozen=True)
class Scene:
    """A drawn frame, (H, W, 3) uint8 RGB, and the (H, W) bool mask of its object."""

    frame: Picture
    mask: npt.NDArray[np.bool_]
    box: Box


@functools.lru_cache(maxsize=64)
def scene(kind: str, seed: int) -> Scene:
    """A road with one object on it."""
    rng = np.random.default_rng(seed)
    night = seed % 3 == 2
    frame = _road(rng, night)
    x, y = int(rng.integers(WIDTH // 3, 2 * WIDTH // 3)), int(rng.integers(HORIZON + 110, HEIGHT - 60))
    size = int(16 + 34 * (y - HORIZON) / (HEIGHT - HORIZON))
    layer = np.full((HEIGHT, WIDTH, 3), 1, np.uint8)
    KINDS[kind](layer, x, y, size)
    mask = np.any(layer != 1, axis=2)
    shadow = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(shadow, (x + size // 2, y + size // 6), (2 * size, size // 3), 0, 0, 360, 0.5, -1)
    frame = frame * (1 - cv2.GaussianBlur(shadow, (0, 0), size / 5))[..., None]
    frame = np.where(mask[..., None], layer * (0.55 if night else 1.0), frame)
    frame = frame + rng.normal(0, 5, frame.shape).astype(np.float32)
    picture = cv2.GaussianBlur(np.clip(frame, 0, 255).astype(np.uint8), (0, 0), 0.8)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top = int(columns[0]), int(rows[0])
    box = Box(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
    return Scene(np.asarray(picture, np.uint8), mask, box)


def _road(rng: np.random.Generator, night: bool) -> npt.NDArray[np.float32]:
    sky = ((18, 22, 38), (52, 52, 66)) if night else ((134, 168, 206), (214, 222, 226))
    frame = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    fade = np.linspace(0, 1, HORIZON)[:, None, None]
    frame[:HORIZON] = np.array(sky[0]) * (1 - fade) + np.array(sky[1]) * fade
    for x in range(0, WIDTH, 40):
        height = int(rng.integers(12, 60))
        tone = np.array((40, 62, 44)) * (0.4 if night else rng.uniform(0.8, 1.3))
        cv2.rectangle(frame, (x - 6, HORIZON - height), (x + 44, HORIZON), tone.tolist(), -1)
    ground = (26, 34, 26) if night else (112, 122, 84)
    frame[HORIZON:] = ground
    lane = np.array([[WIDTH // 2 - 30, HORIZON], [WIDTH // 2 + 30, HORIZON], [WIDTH + 160, HEIGHT], [-160, HEIGHT]])
    cv2.fillPoly(frame, [lane], (44, 45, 50) if night else (106, 107, 112))
    for start in np.linspace(0.08, 0.9, 6):
        top, end = HORIZON + start**1.6 * (HEIGHT - HORIZON), HORIZON + (start + 0.1) ** 1.6 * (HEIGHT - HORIZON)
        half = 1 + 7 * start
        mark = [
            [WIDTH / 2 - half, top],
            [WIDTH / 2 + half, top],
            [WIDTH / 2 + half + 2, end],
            [WIDTH / 2 - half - 2, end],
        ]
        cv2.fillPoly(frame, [np.array(mark, np.int32)], (120, 120, 116) if night else (226, 226, 220))
    grain = rng.normal(0, 7, (HEIGHT - HORIZON, WIDTH, 1)).astype(np.float32)
    frame[HORIZON:] += cv2.GaussianBlur(grain, (0, 0), 1.2)[..., None] * 2
    return frame


def jpeg(picture: Picture, quality: int = 88) -> bytes:
    """RGB picture to JPEG bytes."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()


@functools.lru_cache(maxsize=64)
def _pictures(kind: str, seed: int) -> tuple[bytes, bytes, Box, Box]:
    drawn = scene(kind, seed)
    box = drawn.box
    side = int(max(box.width * 3 / 4, box.height) * 2.4)
    height = min(side, HEIGHT)
    width = min(side * 4 // 3, WIDTH)
    x = min(max(0, box.x + box.width // 2 - width // 2), WIDTH - width)
    y = min(max(0, box.y + box.height // 2 - height // 2), HEIGHT - height)
    crop = Box(x, y, width, height)
    rle: bytes = coco_mask.encode(np.asfortranarray(drawn.mask, np.uint8))["counts"]
    pixels = cv2.resize(drawn.frame[y : y + height, x : x + width], (640, 640 * height // width))
    return rle, jpeg(np.asarray(pixels, np.uint8)), box, crop


def make_item(number: int, **changes: Any) -> ReviewItem:
    """The ``number``-th item of a night: ranks fall with the number, kinds and drives take turns."""
    kind = list(KINDS)[number % len(KINDS)]
    seed = number % 12
    rle, crop, box, crop_box = _pictures(kind, seed)
    rng = np.random.default_rng(number)
    best = float(rng.uniform(0.45, 0.9))
    others = rng.permutation(OTHERS)[:4]
    moment = NIGHT + timedelta(seconds=41 * number)
    fields: dict[str, Any] = {
        "item_id": f"item{number:06d}",
        "scan_id": "scan-1",
        "source_uri": f"s3://fleet/{DRIVES[number % 3]}/{moment:%Y%m%d_%H%M%S}.mp4",
        "drive": DRIVES[number % 3],
        "frame_index": 30 * number,
        "timestamp": moment,
        "frame_height": HEIGHT,
        "frame_width": WIDTH,
        "box": box,
        "mask_rle": rle,
        "crop_jpeg": crop,
        "crop_box": crop_box,
        "name": kind,
        "names": (
            NameScore(kind, round(best, 3)),
            *(NameScore(str(name), round(best * 0.6**place, 3)) for place, name in enumerate(others, 1)),
        ),
        "score": round(float(rng.uniform(0.5, 1.0)), 3),
        "rank": 1000.0 - number,
        "track_id": f"track{number:06d}",
        "track": tuple(
            TrackFrame(30 * number + step, moment + timedelta(seconds=step / 30), box) for step in (-30, -15, 0, 15, 30)
        )
        if number
        else (TrackFrame(0, moment, box),),
        "latitude": 52.5 + number / 1000,
        "longitude": 13.4 - number / 1000,
        "embedding": rng.normal(size=64).astype("<f2").tobytes(),
        "cluster": f"cluster-{kind}",
        "drawn_at_random": number % 5 == 0,
    }
    return ReviewItem(**(fields | changes))


def make_items(count: int, **changes: Any) -> list[ReviewItem]:
    """The first ``count`` items of a night."""
    return [make_item(number, **changes) for number in range(count)]
