"""How far finds move on the map from night to night, and what drawing it costs.

    python benchmarks/finds_map.py --first 300 --nights 7 --each 100

Draws embeddings of kinds that appear on different nights, some often and most seldom, and places all finds again each
night. Prints, as JSON, for each night how far the older finds moved (median and 95 of 100, as shares of the map's
width), how many of the ten nearest on the map are of a find's own kind, the same for a map drawn from the start, and
seconds of CPU. The first seconds include the compilation of UMAP.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).parents[1]))

from tasks.mining.neighbours import Places, place

_DIMENSION = 128
_KINDS = 6  # new ones on each night
_SPREAD = 0.7  # of a kind, where kinds have a spread of 1


def night(
    rng: np.random.Generator, kinds: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.int64]]:
    """Embeddings (count, 128) of length 1, and the kind of each."""
    often = rng.permutation(1 / np.arange(1, len(kinds) + 1))
    kind = rng.choice(len(kinds), size=count, p=often / often.sum())
    vectors = kinds[kind] + _SPREAD * rng.normal(size=(count, _DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16), kind.astype(np.int64)


def alike(places: Places, kind: npt.NDArray[np.int64]) -> float:
    """The share of the ten nearest finds that are of the same kind."""
    _, near = cKDTree(places).query(places, k=11)
    return round(float(np.mean(kind[near[:, 1:]] == kind[:, None])), 3)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=300, help="finds of the first night")
    parser.add_argument("--nights", type=int, default=7, help="nights after it")
    parser.add_argument("--each", type=int, default=100, help="finds of each of them")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    kinds = rng.normal(size=((options.nights + 1) * _KINDS, _DIMENSION))
    vectors, kind = night(rng, kinds[:_KINDS], options.first)
    start = time.process_time()
    places = place(vectors, np.full((len(vectors), 2), np.nan))
    print(
        json.dumps({"finds": len(vectors), "alike": alike(places, kind), "cpu": round(time.process_time() - start, 1)})
    )
    for number in range(1, options.nights + 1):
        new, new_kind = night(rng, kinds[: (number + 1) * _KINDS], options.each)
        vectors, kind = np.concatenate([vectors, new]), np.concatenate([kind, new_kind])
        start = time.process_time()
        after = place(vectors, np.concatenate([places, np.full((len(new), 2), np.nan)]))
        spent = time.process_time() - start
        moved = np.linalg.norm(after[: len(places)] - places, axis=1) / np.ptp(places, axis=0).max()
        fresh = place(vectors, np.full((len(vectors), 2), np.nan))
        told = {
            "finds": len(vectors),
            "moved_median": round(float(np.median(moved)), 3),
            "moved_95": round(float(np.quantile(moved, 0.95)), 3),
            "alike": alike(after, kind),
            "alike_from_the_start": alike(fresh, kind),
            "cpu": round(spent, 1),
        }
        print(json.dumps(told), flush=True)
        places = after


if __name__ == "__main__":
    main()
