"""Krippendorff's alpha."""

import pytest

from review.opinions import nominal_alpha

# The example of three observers and 15 units that Krippendorff and others print, with "." where nobody said anything.
OBSERVERS = (". . . . . 3 4 1 2 1 1 3 3 . 3", "1 . 2 1 3 3 4 3 . . . . . . .", ". . 2 1 3 4 4 . 2 1 1 3 3 . 4")


def test_the_printed_example():
    units = zip(*(said.split() for said in OBSERVERS), strict=True)
    assert nominal_alpha([label for label in unit if label != "."] for unit in units) == pytest.approx(0.691, abs=5e-4)


@pytest.mark.parametrize(
    ("labels", "alpha"),
    [
        ([["a", "a"], ["b", "b"]], 1.0),
        ([["a", "b"], ["b", "a"]], -0.5),  # always unlike is worse than chance
        ([["a", "a"], ["a", "a"]], None),
        ([["a"], ["b"]], None),  # nobody to agree with
        ([["a", "b"]], None),  # a single item
        ([], None),
    ],
)
def test_small_cases(labels, alpha):
    assert nominal_alpha(labels) == alpha
