"""Mining and search over a million rows: seconds and peak memory.

    python benchmarks/mining_scale.py TABLES

TABLES hold the rows (any scan's). Prints, as JSON, what reading candidates, choosing 200 of them, and ranking all
instances by a random vector took; the text encoder is left out.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tasks.mining.candidates import read_candidates
from tasks.mining.mine import MiningOptions, mine
from tasks.mining.queue_index import index_queue
from tasks.tables import Tables
from tasks.tables.search import SearchFilters, rank, select


def main() -> None:
    """Run from the command line."""
    tables = Tables.at(sys.argv[1])
    told: dict[str, object] = {}
    seconds = []
    for number in range(3):
        start = time.perf_counter()
        searchable = select(tables, SearchFilters())
        text = np.random.default_rng(number).normal(size=searchable.scan.embedding_dimension).astype(np.float32)
        hits = rank(tables, searchable, text / np.linalg.norm(text), 20).hits
        seconds.append(round(time.perf_counter() - start, 2))
    told["rows"], told["search_seconds"], told["hits"] = searchable.instances, seconds, len(hits)
    del searchable
    start = time.perf_counter()
    candidates = read_candidates(tables)
    told["candidates"], told["read_seconds"] = len(candidates), round(time.perf_counter() - start, 1)
    start = time.perf_counter()
    mined = mine(candidates, index_queue([], [], candidates.vectors.shape[1]), MiningOptions())
    told["chosen"], told["choose_seconds"] = len(mined.chosen), round(time.perf_counter() - start, 1)
    told["peak_memory_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
