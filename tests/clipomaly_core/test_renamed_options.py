"""Names of earlier versions."""

import pytest

from clipomaly_core.options import rename_options


@pytest.mark.parametrize(
    ("earlier", "present"),
    [
        ({"reclaim": "region"}, {"reassign_known": "region"}),
        ({"reclaim_margin": 0.1}, {"reassign_known_margin": 0.1}),
        ({"second_scale": 1.5}, {"scales": (1.0, 1.5)}),
        ({"second_scale": "1"}, {"scales": (1.0,)}),
        ({"score": "unknown-mass"}, {"score": "candidate_probability"}),
    ],
)
def test_an_earlier_name_is_understood_with_one_line(earlier, present):
    options, notices = rename_options(earlier)
    assert options == present
    [notice] = notices
    assert "\n" not in notice and next(iter(present)) in notice


def test_present_names_stay_and_say_nothing():
    options = {"score": "entropy", "scales": (1.0, 2.0), "threshold": 0.5}
    assert rename_options(options) == (options, [])


def test_the_present_name_wins_over_the_earlier_one():
    options, _ = rename_options({"reassign_known": "pixel", "reclaim": "region"})
    assert options == {"reassign_known": "pixel"}
