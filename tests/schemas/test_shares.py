"""Ranks and shares in words: never more than is true."""

import pytest

from schemas.shares import place_of, unusualness


@pytest.mark.parametrize(
    ("percentile", "of", "told", "column"),
    [
        (1.0, 32, "the most unusual of 32 finds", "1 of 32"),
        (31 / 32, 32, "2nd most unusual of 32 finds", "2 of 32"),
        (1 - 10 / 1200, 1200, "11th most unusual of 1,200 finds", "11 of 1,200"),
        (0.5, 1200, "at least as unusual as 50 % of 1,200 finds", "601 of 1,200"),
        (1.0, 1, "the only find", "1 of 1"),
        (1.0, None, "the most unusual of the finds", "highest"),
        (0.999, None, "at least as unusual as >99 % of the finds", ">99 %"),
        (None, None, "not ranked", "-"),
    ],
)
def test_a_rank_is_told_without_counting_the_find_as_less_unusual_than_itself(
    percentile: float | None, of: int | None, told: str, column: str
) -> None:
    assert (unusualness(percentile, of), place_of(percentile, of)) == (told, column)
