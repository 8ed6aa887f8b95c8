import numpy as np
import torch
from torch.nn.functional import normalize

from clipomaly_core.reference.ordinary import coarse_places, make_bank


def vectors(count, seed=0, dimension=40):
    return normalize(
        torch.from_numpy(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)), dim=-1
    )


def test_what_is_in_the_bank_has_no_distance():
    own = vectors(50)
    distance = make_bank(own.numpy()).distance(own.view(1, 5, 10, 40))
    assert distance.abs().max() < 2e-3


def test_what_is_outside_of_the_directions_of_the_bank_is_far():
    own = vectors(60, dimension=160)
    own[:, 100:] = 0
    bank = make_bank(normalize(own, dim=-1).numpy())
    strange = torch.zeros(1, 2, 2, 160)
    strange[..., 150] = 1
    assert bank.distance(strange).min() > 0.9


def test_a_coreset_keeps_what_is_rare():
    crowd = normalize(vectors(1) + 0.01 * vectors(500, 1), dim=-1)
    rare = vectors(3, 2)
    bank = make_bank(torch.cat([crowd, rare]).numpy(), size=8)
    assert bank.vectors.shape[0] == 8
    assert bank.distance(rare.view(1, 1, 3, 40)).max() < 2e-3


def test_a_bank_is_the_same_for_the_same_features():
    own = vectors(80).numpy()
    assert torch.equal(make_bank(own, 20).vectors, make_bank(own, 20).vectors)


def test_fine_grids_are_averaged_and_the_distance_has_the_grid_of_the_features():
    features = vectors(60 * 100).view(1, 60, 100, 40)
    places = coarse_places(features)
    assert places.shape[1] * places.shape[2] < 60 * 100 / 3
    assert make_bank(vectors(50).numpy()).distance(features).shape == (1, 60, 100)
