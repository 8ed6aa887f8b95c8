"""Where finds lie on the map: look-alikes together, the same each time, and little moved from night to night."""

import sys

import numpy as np
import pytest

from tasks.errors import UserError
from tasks.mining.neighbours import FEW, place


def looks(kinds: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (N, 64) float16 of length 1, and the kind of each."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(np.arange(kinds), each)
    vectors = np.random.default_rng(99).normal(size=(kinds, 64))[kind] + 0.4 * rng.normal(size=(len(kind), 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16), kind


def nowhere(count: int) -> np.ndarray:
    return np.full((count, 2), np.nan)


def alike(places: np.ndarray, kind: np.ndarray) -> float:
    """The share of finds whose nearest other find is of their kind."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.mean(kind[apart.argmin(axis=1)] == kind))


def test_few_finds_lie_beside_their_look_alikes_without_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    vectors, kind = looks(3, 10)
    places = place(vectors, nowhere(len(vectors)))
    assert alike(places, kind) > 0.9
    assert np.array_equal(places, place(vectors, nowhere(len(vectors))))


def test_more_finds_ask_for_the_package_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    vectors, _ = looks(1, FEW + 1)
    with pytest.raises(UserError, match=r"^A map of more than 60 finds needs UMAP: pip install 'clipomaly\[map\]'\.$"):
        place(vectors, nowhere(len(vectors)))


def test_a_map_that_could_be_turned_and_mirrored_stays_as_people_know_it() -> None:
    vectors, _ = looks(3, 10)
    known = place(vectors, nowhere(len(vectors)))[:, ::-1] * (-3, 3) + 100
    before = nowhere(len(vectors))
    before[:25] = known[:25]
    assert place(vectors, before) == pytest.approx(known)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_finds_that_are_equal_or_alone_have_a_place(count: int) -> None:
    vectors = np.repeat(looks(1, 1)[0], count, axis=0)
    places = place(vectors, nowhere(count))
    assert places.shape == (count, 2) and np.isfinite(places).all()
    assert np.isfinite(place(vectors, places)).all()


@pytest.mark.slow
def test_a_large_map_is_the_same_each_time_and_moves_little_overnight() -> None:
    old, kind = looks(8, 25)
    first = place(old, nowhere(len(old)))
    assert np.array_equal(first, place(old, nowhere(len(old))))
    assert alike(first, kind) > 0.95
    new, new_kind = looks(10, 4, seed=1)  # two kinds of them for the first time
    second = place(np.concatenate([old, new]), np.concatenate([first, nowhere(len(new))]))
    moved = np.linalg.norm(second[: len(old)] - first, axis=1) / np.ptp(first, axis=0).max()
    assert np.median(moved) < 0.1 and np.quantile(moved, 0.95) < 0.25
    assert alike(second, np.concatenate([kind, new_kind])) > 0.9


@pytest.mark.slow
def test_equal_finds_have_places_on_a_large_map() -> None:
    vectors = np.repeat(looks(1, 1)[0], 2 * FEW, axis=0)
    assert np.isfinite(place(vectors, nowhere(len(vectors)))).all()
