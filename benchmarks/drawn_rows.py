"""Rows of ``instances`` without a scan: drawn masks, everything else by chance. No model and no footage."""

import cv2
import numpy as np
import pyarrow as pa

from schemas.masks import encode_mask
from schemas.tables import INSTANCES

_HEIGHT, _WIDTH = 1080, 1920
_CORNERS = 48


def drawn_rows(count: int, seed: int = 0) -> pa.Table:
    """``count`` rows with the columns of ``INSTANCES``. Masks are rough discs in frames of 1920 x 1080 pixels, a few
    hundred bytes long as those of real things are."""
    rng = np.random.default_rng(seed)
    masks, boxes = zip(*(_mask(rng) for _ in range(count)), strict=True)
    x, y, width, height, area = (pa.array(values) for values in np.array(boxes).T)
    scores = rng.beta(6, 3, count).astype(np.float32)
    words = [f"thing {number}" for number in rng.integers(0, 400, 5 * count)]
    parts = iter(np.sort(rng.dirichlet(np.ones(5), count))[:, ::-1].ravel().tolist())
    names = [[{"name": word, "score": next(parts)} for word in words[5 * row : 5 * row + 5]] for row in range(count)]
    columns = {
        "instance_id": pa.array([rng.bytes(10).hex() for _ in range(count)]),
        "source_uri": pa.repeat("s3://fleet/car-000/drawn.mp4", count),
        "drive": pa.repeat("car-000", count),
        "frame_index": pa.array(np.arange(count) // 3 * 30),
        "timestamp": pa.array(np.arange(count) // 3 * 1_000_000, pa.int64()).cast(INSTANCES.field("timestamp").type),
        "timestamp_source": pa.repeat("filename", count),
        "name": pa.array([words[5 * row] for row in range(count)]),
        "name_score": pa.array([row[0]["score"] for row in names], pa.float32()),
        "names": pa.array(names, INSTANCES.field("names").type),
        "name_source": pa.repeat("dictionary", count),
        "anomaly_score": pa.array(scores),
        "anomaly_score_max": pa.array(np.minimum(scores + 0.1, 1).astype(np.float32)),
        "bbox_x": x,
        "bbox_y": y,
        "bbox_width": width,
        "bbox_height": height,
        "area": area,
        "frame_height": pa.repeat(_HEIGHT, count),
        "frame_width": pa.repeat(_WIDTH, count),
        "mask_rle": pa.array(masks, pa.binary()),
        "track_name": pa.array([words[5 * row] for row in range(count)]),
        "track_name_score": pa.array([row[0]["score"] for row in names], pa.float32()),
    }
    there = [columns.get(field.name, pa.nulls(count, field.type)).cast(field.type) for field in INSTANCES]
    return pa.Table.from_arrays(there, schema=INSTANCES)


def _mask(rng: np.random.Generator) -> tuple[bytes, list[int]]:
    radius = rng.uniform(20, 120)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radii = radius * (1 + 0.25 * rng.standard_normal(_CORNERS).cumsum() / np.sqrt(_CORNERS))
    centre = rng.uniform((150, 150), (_WIDTH - 150, _HEIGHT - 150))
    outline = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 1)
    return encode_mask(mask.astype(bool)), [*map(int, cv2.boundingRect(mask)), int(mask.sum())]
