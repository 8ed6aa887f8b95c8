import numpy as np

from clipomaly_core.scores import LEAST_FRAMES, usual_excess


def frames(*values):
    return [np.full((2, 3), value, np.float32) for value in values]


def excess_of(maps):
    excess = usual_excess(maps, ordinary=-3)
    assert excess is not None
    return excess


def test_what_is_there_in_every_frame_is_subtracted():
    np.testing.assert_array_equal(excess_of(frames(5, 5, 5, 5, 5)), 8)


def test_what_is_there_in_half_of_the_frames_stays():
    np.testing.assert_array_equal(excess_of(frames(5, -4, 5, -4, 5, -4, 5, -4)), 0)


def test_few_frames_have_no_map():
    assert usual_excess(frames(*[5] * (LEAST_FRAMES - 1)), ordinary=-3) is None


def test_each_place_has_its_own():
    maps = frames(*[-5] * 6)
    for one in maps:
        one[1, 2] = 2
    excess = excess_of(maps)
    assert excess[1, 2] == 5 and excess.sum() == 5
