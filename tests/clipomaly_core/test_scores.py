import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipomaly_core.scores import SCORES, anomaly_score

cosines = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=25)


@given(cosines, st.floats(-1, 1, width=32), st.sampled_from(SCORES), st.floats(1, 100))
def test_every_score_lies_in_0_to_1(known, unknown, score, scale):
    value = anomaly_score(score, torch.tensor(known)[None, :, None], torch.full((1, 1, 1), scale * unknown), scale)
    assert value.shape == (1, 1)
    assert 0 <= value.item() <= 1


@pytest.mark.parametrize("score", SCORES)
def test_a_clear_class_scores_lower_than_none(score):
    clear = torch.tensor([0.9, 0.1, 0.1, 0.1])
    none = torch.tensor([0.1, 0.1, 0.1, 0.1])
    known = torch.stack([clear, none], dim=-1)[None]
    low, high = anomaly_score(score, known, torch.full((1, 1, 2), 20 * 0.5), 20)[0]
    assert low < high


def test_entropy_is_that_of_the_softmax():
    known = torch.tensor([0.3, 0.2, -0.1])
    p = torch.softmax(40 * known.double(), 0)
    expected = -(p * p.log()).sum().item() / math.log(3)
    assert anomaly_score("entropy", known[None, :, None], torch.zeros(1, 1, 1), 40).item() == pytest.approx(expected)


def test_candidate_probability_is_the_share_of_the_candidates():
    known, unknown = torch.tensor([0.3, 0.1]), torch.tensor([0.2, 0.25, 0.0])
    p = torch.softmax(20 * torch.cat([known, unknown]).double(), 0)
    mass = torch.logsumexp(20 * unknown, 0)[None, None, None]
    assert anomaly_score("candidate_probability", known[None, :, None], mass, 20).item() == pytest.approx(
        p[2:].sum().item()
    )


def test_entropy_at_scale_1_keeps_its_ranking():
    known = torch.rand(1, 19, 1000) * 0.1 + 0.2
    scores = anomaly_score("entropy", known, torch.zeros(1, 1, 1000), 1.0)
    assert len(scores.unique()) > 15  # float32 has few steps so near to 1, float16 would have two
    assert scores.min() > 0.999


def test_word_msp_lets_the_synonyms_of_a_class_compete():
    words = torch.tensor([0.3, 0.28, 0.1])  # two words of the first class, one of the second
    p = torch.softmax(40 * words.double(), 0)
    known = torch.tensor([0.3, 0.1])[None, :, None]
    every = torch.logsumexp(40 * words, 0)[None, None, None]
    assert anomaly_score("word-msp", known, every, 40).item() == pytest.approx(1 - p[:1].item(), abs=1e-6)
