from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from tasks.footage.archive import Sources, find_sources
from tasks.footage.frames import open_source
from tasks.scanning.reference_frames import reference_frames


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four clips of 20 seconds whose grey level tells clip and second."""
    root = tmp_path_factory.mktemp("clips")
    for number in range(4):
        folder = root / f"drive-{number // 2}"
        folder.mkdir(exist_ok=True)
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        writer = cv2.VideoWriter(
            str(folder / f"{start:%Y%m%d_%H%M%S}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5.0, (32, 24)
        )
        for frame in range(100):
            writer.write(np.full((24, 32, 3), 50 * number + 2 * (frame // 5), np.uint8))
        writer.release()
    return Sources.of([open_source(source) for source in find_sources(str(root)).sources])


def levels(clips, most):
    return [int(np.median(frame.image)) for frame in reference_frames(clips, 1.0, most)]


def test_a_small_archive_is_taken_whole(clips):
    assert len(levels(clips, 256)) == 80


def test_frames_are_drawn_evenly_in_stretches(clips):
    drawn = levels(clips, 32)
    assert len(drawn) == 32
    assert {round(level / 2) // 25 for level in drawn} == {0, 1, 2, 3}  # one stretch of each clip
    steps = np.diff(np.reshape(drawn, (4, 8)), axis=1)
    assert ((steps >= 0) & (steps <= 4)).all()


def test_the_same_archive_gives_the_same_frames(clips):
    assert levels(clips, 32) == levels(clips, 32)


def test_an_empty_archive_gives_none():
    assert list(reference_frames(Sources.of([]), 1.0)) == []


@pytest.mark.parametrize("most", [256, 72])
def test_frames_that_settle_the_spreads_are_some_of_all_under_the_same_numbers(clips, most):
    everything = {frame.number: frame for frame in reference_frames(clips, 1.0, most)}
    settling = list(reference_frames(clips, 1.0, most, settling=True))
    assert 24 <= len(settling) <= 48
    for frame in settling:
        assert np.array_equal(frame.image, everything[frame.number].image)
        assert frame.source == everything[frame.number].source
