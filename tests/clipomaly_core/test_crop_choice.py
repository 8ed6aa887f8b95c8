"""Which regions get crops: the largest sightings of an object, and no more than a frame is worth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch

from clipomaly_core.crops import Moment, RegionSeen, choose_crops
from clipomaly_core.errors import UsageError
from clipomaly_core.options import Options
from clipomaly_core.regions import Region

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LOOKS = torch.eye(6)


def seen(frame: int, who: int, side: int, peak: float = 5.0) -> RegionSeen:
    """A square of ``side`` cells that looks like ``who``, each of them at its own place."""
    mask = np.zeros((90, 160), bool)
    left = 22 * who + 4
    mask[40 : 40 + side, left : left + side] = True
    return RegionSeen(frame, Region(mask, (left, 40, side, side), side * side, peak), LOOKS[who])


def moments(count: int, camera: str = "front") -> list[Moment | None]:
    return [Moment(camera, index, NOON + timedelta(seconds=index)) for index in range(count)]


def test_an_object_is_cropped_where_it_is_largest() -> None:
    sightings = [seen(frame, 1, side) for frame, side in enumerate((6, 8, 7, 9))]
    choice = choose_crops(sightings, moments(4), [10.0] * 4, 2)
    assert choice.cropped == (1, 3)
    given = choice.give(torch.stack([LOOKS[2], LOOKS[3]]), LOOKS[[1, 1, 1, 1]])
    torch.testing.assert_close(given[1], LOOKS[2])
    torch.testing.assert_close(given[3], LOOKS[3])
    both = (LOOKS[2] + LOOKS[3]) / 2**0.5
    torch.testing.assert_close(given[[0, 2]], both.expand(2, -1))


def test_other_objects_other_cameras_and_frames_alone_share_nothing() -> None:
    pair = [seen(0, 1, 6), seen(1, 1, 8)]
    assert choose_crops(pair, moments(2), [10.0] * 2, 1).cropped == (1,)
    assert choose_crops([pair[0], seen(1, 4, 8)], moments(2), [10.0] * 2, 1).cropped == (0, 1)
    apart = [*moments(1), replace(moments(2, "rear")[1] or Moment("", 0, NOON), frame_index=1)]
    assert choose_crops(pair, apart, [10.0] * 2, 1).cropped == (0, 1)
    assert choose_crops(pair, [None, None], [10.0] * 2, 1).cropped == (0, 1)
    assert choose_crops(pair, moments(2), [10.0] * 2, None).cropped == (0, 1)


def test_where_regions_are_many_the_most_anomalous_are_cropped_and_each_object_once_first() -> None:
    crowd = [seen(0, who, 6, peak=float(who)) for who in range(6)]
    choice = choose_crops(crowd, [None], [2.5], 2)
    assert choice.cropped == (4, 5)
    given = choice.give(torch.stack([LOOKS[0], LOOKS[1]]), torch.stack([one.embedding for one in crowd]))
    torch.testing.assert_close(given[:4], LOOKS[:4])  # without crops, a region's own embedding stands for them
    crowd = [seen(0, 1, 6), seen(0, 4, 6, peak=1.0), seen(1, 1, 8)]
    assert choose_crops(crowd, moments(2), [1.0, 1.0], 2).cropped == (1, 2)
    assert choose_crops(crowd, moments(2), [3.0, 3.0], 2).cropped == (1, 2)  # room, but not for a second of the same
    assert choose_crops(crowd, moments(2), [6.0, 6.0], 2).cropped == (0, 1, 2)


def test_no_crops_at_all_is_said_otherwise() -> None:
    with pytest.raises(UsageError, match="crop_share"):
        Options(crop_share=0)
    with pytest.raises(UsageError, match="crop_sightings"):
        Options(crop_sightings=0)
