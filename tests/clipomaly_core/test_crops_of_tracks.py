"""An object of neighbouring frames is named by its largest sighting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from clipomaly_core import Clipomaly
from clipomaly_core.crops import Moment
from clipomaly_core.options import default_options

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOMENTS = [Moment("front", index, NOON + timedelta(seconds=index)) for index in range(2)]


@pytest.fixture(scope="module")
def model():
    """Crops alone name, and no known class takes a region."""
    options = replace(
        default_options("nano"),
        short_side=128,
        crop_sightings=1,
        region_weight=0.0,
        reassign_known_margin=0.0,
        name_cosine=-1.0,
        certain_threshold=0.5,
    )
    return Clipomaly.load("nano", device="cpu", options=options)


def looks_of(model):
    """Two frames with a square, larger in the second, of other colours there."""
    looks = []
    for number, half in enumerate((24, 36)):
        image = np.full((256, 384, 3), 90, np.uint8)
        noise = np.random.default_rng(number).integers(0, 256, (2 * half, 2 * half, 3), np.uint8)
        image[128 - half : 128 + half, 192 - half : 192 + half] = noise
        [look] = model.look([image])
        rows, columns = look.logits.shape
        there = np.zeros((rows, columns), bool)
        y, x = (half * rows // 256, half * columns // 384)
        there[rows // 2 - y : rows // 2 + y, columns // 2 - x : columns // 2 + x] = True
        logits = np.where(there, 20.0, -20.0).astype(np.float32)
        # The same features everywhere: the two squares look alike, and only crops can tell their names apart.
        looks.append(replace(look, logits=logits, features=look.features[:1, :1].expand_as(look.features)))
    return looks


def names_of(model, moments):
    found = [finish() for finish in model.find(looks_of(model), None, moments)]
    return [[(name.name, round(name.score, 4)) for name in one.names] for each in found for one in each.instances]


def test_the_largest_sighting_names_the_others(model):
    alone = names_of(model, None)
    together = names_of(model, MOMENTS)
    assert len(alone) == len(together) == 2
    assert alone[0] != alone[1]
    assert together[0] == together[1] == alone[1]


def test_cameras_are_told_apart(model):
    assert names_of(model, [MOMENTS[0], replace(MOMENTS[1], camera="rear")]) == names_of(model, None)
