import numpy as np
import pytest

from clipomaly_core.types import NameScore
from tasks.scanning.rows import Vote, sighting_weight, track_name


def vote(weight=1.0, reason=None, **names):
    return Vote(tuple(NameScore(name, score) for name, score in names.items()), weight, reason)


def named(votes):
    track = track_name(votes, 0.05)
    assert track is not None
    return track


def test_one_sighting_gives_its_own_name():
    assert named([vote(cow=0.8, horse=0.1)]).name == "cow"


def test_many_unsure_sightings_are_sure_together():
    votes = [vote(cow=0.32, horse=0.3), vote(cow=0.4, dog=0.3), vote(cow=0.35, horse=0.3)]
    assert named(votes).name == "cow"


def test_a_large_sharp_sighting_counts_more_than_a_small_one():
    votes = [vote(weight=1, dog=0.6, cow=0.3), vote(weight=10, cow=0.6, dog=0.3)]
    assert named(votes).name == "cow"


def test_names_too_close_are_unknown():
    track = named([vote(cow=0.4, horse=0.38), vote(horse=0.4, cow=0.38)])
    assert track.name == "unknown object" and 0 < track.score < 0.5


def test_a_track_far_from_every_name_is_unknown():
    votes = [vote(cow=0.8, horse=0.1, reason="distance"), vote(cow=0.9, horse=0.05, reason="distance")]
    assert named(votes).name == "unknown object"
    assert named([*votes, *[vote(cow=0.9, horse=0.05)] * 3]).name == "cow"


def test_the_score_is_no_greater_than_the_sightings_say():
    assert named([vote(cow=0.2), vote(cow=0.2)]).score == pytest.approx(0.2)


def test_without_names_there_is_none():
    assert track_name([vote(), vote()], 0.05) is None


def test_blurred_sightings_count_less():
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    even = np.full((40, 40, 3), 99, np.uint8)
    assert sighting_weight(noise, (0, 0, 40, 40), 1600) > 2 * sighting_weight(even, (0, 0, 40, 40), 1600)
