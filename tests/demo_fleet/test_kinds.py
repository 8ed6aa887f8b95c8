"""The catalogue of objects and how they are drawn."""

import numpy as np
import pytest

from demo_fleet import CLASSES, HELD_OUT_KINDS, KINDS, Kind
from demo_fleet.kinds import draw_kind

_NAMES = [kind.name for kind in KINDS]


def test_catalogue() -> None:
    assert len(KINDS) >= 75
    assert len(set(_NAMES)) == len(_NAMES)
    assert not set(_NAMES) & set(CLASSES)
    assert len(HELD_OUT_KINDS) == 15
    assert set(_NAMES) >= HELD_OUT_KINDS
    categories = {kind.category for kind in KINDS}
    assert {kind.category for kind in KINDS if kind.name in HELD_OUT_KINDS} == categories


def test_no_synonym_names_another_kind() -> None:
    for kind in KINDS:
        assert not set(kind.synonyms) & (set(_NAMES) | set(CLASSES)), kind.name


@pytest.mark.parametrize("kind", KINDS, ids=_NAMES)
def test_drawing(kind: Kind) -> None:
    sprite = draw_kind(kind, np.random.default_rng(1), 96)
    again = draw_kind(kind, np.random.default_rng(1), 96)
    other = draw_kind(kind, np.random.default_rng(2), 96)
    assert np.array_equal(sprite.rgba, again.rgba)
    assert sprite.rgba.shape != other.rgba.shape or not np.array_equal(sprite.rgba, other.rgba)
    covered = sprite.rgba[..., 3] > 127
    assert 0.04 < covered.mean() < 1.0
    # Premultiplied: no colour is brighter than its coverage allows, up to the rounding of shading and tipping.
    assert (sprite.rgba[..., :3].max(axis=2).astype(int) - sprite.rgba[..., 3]).max() <= 12
    assert sprite.rgba[..., :3][covered].std() > 3  # shaded, not flat
    assert 0.05 < sprite.height_m < 14 and 0.05 < sprite.width_m < 9


def test_facing_mirrors_the_same_individual() -> None:
    dog = next(kind for kind in KINDS if kind.name == "dog")
    right = draw_kind(dog, np.random.default_rng(4), 96, facing=1)
    left = draw_kind(dog, np.random.default_rng(4), 96, facing=-1)
    assert np.array_equal(right.rgba, left.rgba[:, ::-1])


@pytest.mark.parametrize("name", ["dog", "goose", "elephant", "football"])
def test_phases_move_one_individual(name: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    a, b = (draw_kind(kind, np.random.default_rng(4), 96, 1, phase) for phase in (0.0, 0.5))
    assert a.rgba.shape != b.rgba.shape or not np.array_equal(a.rgba, b.rgba)
    tones = [s.rgba[s.rgba[..., 3] > 250][:, :3].mean(axis=0) for s in (a, b)]
    assert np.abs(tones[0] - tones[1]).max() < 12
