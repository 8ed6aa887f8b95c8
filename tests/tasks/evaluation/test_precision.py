"""Calibrated numbers against a scan whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.review import ItemStatus, QueuedItem, State, Verdict
from schemas.shares import wilson_interval
from tasks.errors import UsageError
from tasks.evaluation.precision import calibrate
from tests.review.samples import NIGHT, make_item


def judged(scores, real, random=True):
    base = make_item(1)
    return [
        QueuedItem(
            replace(base, item_id=f"i{number}", score=float(score), drawn_at_random=random),
            ItemStatus(
                State.DECIDED,
                verdict=Verdict.ACCEPT if right else Verdict.NOT_AN_OBJECT,
                decided_by="ada",
                decided_at=NIGHT,
            ),
        )
        for number, (score, right) in enumerate(zip(scores, real, strict=True))
    ]


def test_bands_meet_the_truth_and_intervals_cover_it():
    rng = np.random.default_rng(0)
    covered = bands = 0
    for _ in range(40):
        scores = rng.random(300)
        found = calibrate(judged(scores, rng.random(300) < scores))  # the score is the precision
        for band in found.bands:
            truth = (band.low + band.high) / 2
            bands += 1
            assert band.least is not None and band.most is not None
            covered += band.least <= truth <= band.most
    assert covered / bands > 0.9


def test_items_chosen_by_rank_and_unsure_ones_do_not_count():
    items = judged([0.9] * 10, [True] * 10)
    chosen = judged([0.9] * 50, [False] * 50, random=False)
    unsure = [replace(one, status=replace(one.status, verdict=Verdict.UNSURE)) for one in items]
    assert calibrate([*items, *chosen, *unsure]) == calibrate(items)
    assert calibrate(items).judged == 10


def test_the_threshold_is_the_lowest_that_is_shown_to_hold():
    scores = np.concatenate([np.linspace(0.5, 0.79, 100), np.linspace(0.8, 0.99, 100)])
    real = np.concatenate([np.zeros(100, bool), np.ones(100, bool)])
    found = calibrate(judged(scores, real), wished=0.9).threshold
    assert found is not None
    assert 0.75 < found.score < 0.8 and found.least >= 0.9 and found.kept == 1.0
    one_lower = scores[scores < found.score].max()
    assert wilson_interval(100, int((scores >= one_lower).sum()))[0] < 0.9


def test_too_few_items_show_nothing():
    found = calibrate(judged([0.9, 0.8, 0.95], [True] * 3), wished=0.9)
    assert found.threshold is None and found.judged == 3
    assert calibrate([]).bands == ()


@pytest.mark.parametrize("flags", [{"wished": 0}, {"wished": 1.5}, {"wished": float("nan")}, {"bands": 0}])
def test_wishes_that_are_none(flags):
    with pytest.raises(UsageError):
        calibrate([], **flags)
