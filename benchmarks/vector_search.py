"""Search by text over ten million embeddings. ``python -m benchmarks.vector_search FOLDER``, after ``python -m
benchmarks.query FOLDER --repeats 0``.

Every instance of FOLDER's tables gets a drawn embedding of 512 numbers (see ``benchmarks.drawn_embeddings``); then the
indexes are made. Each search opens the tables anew, as a command does; the model is left out, the words are drawn, too.
Its best objects are compared with those of an exact search over all embeddings.
"""

import argparse
import heapq
import resource
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa

from benchmarks.drawn_embeddings import Floats, World, add_embeddings
from benchmarks.query import EMBEDDING, NAMES, THREADS
from benchmarks.results import write_results
from schemas.tables import Table
from tasks.tables import Tables
from tasks.tables.dataset import read_in_order
from tasks.tables.indexing import merged_days, vectors_of
from tasks.tables.search import SearchFilters, rank, select
from tasks.tables.selection import select as select_files

COUNT = 20
TEXTS = 20
SEED = 1
LOOKS = 5  # at an object
FILTERS = {
    "everything": SearchFilters(),
    "one day": SearchFilters(date(2026, 10, 15), date(2026, 10, 15)),
    "one drive": SearchFilters(drive="car-042"),
    "a common name": SearchFilters(name="thing 1"),
    "a rare name of a drive": SearchFilters(drive="car-042", name="thing 200"),
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=int, default=TEXTS)
    parser.add_argument("--seed", type=int, default=SEED, help="of the texts")
    parser.add_argument("--count", type=int, default=COUNT, help="objects asked for")
    arguments = parser.parse_args()
    pa.set_cpu_count(THREADS)
    faiss.omp_set_num_threads(THREADS)
    place = arguments.folder / "tables"
    tables, world = Tables.at(place), World(NAMES, EMBEDDING)
    figures: dict[str, object] = {}
    figures["seconds to draw"] = _timed(lambda: add_embeddings(place, world))
    figures["seconds to index"] = _timed(lambda: print(sum(day.size for day in tables.index()), "bytes of indexes"))
    texts = world.texts(np.random.default_rng(arguments.seed), arguments.texts)
    figures["searches"] = {name: _search(tables, filters, texts, arguments.count) for name, filters in FILTERS.items()}
    figures["peak memory, GiB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    print(figures, flush=True)
    recall = f"recall of the best {arguments.count} objects"
    figures[recall] = _recall(tables, texts, arguments.count)
    print(recall, figures[recall], flush=True)
    print(write_results("vector_search", figures))


def _timed(run: Callable[[], object]) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return {"wall": round(time.perf_counter() - wall, 2), "processor": round(time.process_time() - processor, 2)}


def _search(tables: Tables, filters: SearchFilters, texts: Floats, count: int) -> dict[str, object]:
    times, instances = [], 0

    def once(text: Floats) -> None:
        nonlocal instances
        searchable = select(tables, filters)
        instances = searchable.instances
        rank(tables, searchable, text, count)

    for text in (texts[0], *texts):  # the first one warms the caches
        times.append(_timed(partial(once, text)))
    told = {kind: [each[kind] for each in times[1:]] for kind in ("wall", "processor")}
    middle = {kind: round(statistics.median(values), 2) for kind, values in told.items()}
    return {"instances": instances, "median": middle, "most": {kind: max(values) for kind, values in told.items()}}


def _recall(tables: Tables, texts: Floats, count: int) -> dict[str, float]:
    """Shares of the best ``count`` objects by exact cosines that a search finds: their mean and the smallest."""
    best = _exact(tables, texts, count)
    shares = []
    for text, exact in zip(texts, best, strict=True):
        hits = rank(tables, select(tables, SearchFilters()), text, count).hits
        shares.append(len(exact & {hit.track_id or hit.instance_id for hit in hits}) / len(exact))
    return {"mean": round(float(np.mean(shares)), 4), "least": min(shares)}


def _exact(tables: Tables, texts: Floats, count: int) -> list[set[str]]:
    """The best objects of each text, by one pass over all embeddings."""
    best: list[dict[str, float]] = [{} for _ in texts]
    for day in merged_days(select_files(tables.root, Table.INSTANCES, None)):
        rows = pa.concat_tables(read_in_order(tables.root, day.instances, ["instance_id", "track_id"]))
        start = 0
        for part in read_in_order(tables.root, day.embeddings, ["instance_id", "embedding"]):
            mine = rows.slice(start, len(part))
            assert mine["instance_id"].equals(part["instance_id"])  # they were drawn in this order
            start += len(part)
            scores = vectors_of(part["embedding"], day.dimension) @ texts.T
            for text, found in enumerate(best):
                top = np.argpartition(-scores[:, text], LOOKS * count)[: LOOKS * count]
                tracks = mine["track_id"].take(pa.array(top)).to_pylist()
                for track, score in zip(tracks, scores[top, text].tolist(), strict=True):
                    found[track] = max(score, found.get(track, -1.0))
                best[text] = dict(heapq.nlargest(count, found.items(), key=lambda item: item[1]))
    return [set(found) for found in best]


if __name__ == "__main__":
    main()
