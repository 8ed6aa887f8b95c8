"""How quickly the review page answers: many items, several reviewers, on loopback.

    python benchmarks/review_load.py --items 100000 --reviewers 8 --seconds 60

Fills a queue, starts the server in a process of its own, and lets each reviewer work as the page does: lease
the items that come next, look at their crop and mask, decide, and now and then undo, filter, and ask for
progress. One decision in five is a name that is typed, with a request for each letter; now and then they say that a
mask is wrong, ask for a second opinion, give one, and look at the map of all finds. With --frame-seconds each also
asks for the whole frame, the neighbours and the motion of what it looks at, from an archive that takes so long for
each, two at a time as the page does: decisions must not wait for them. With --tables each searches these tables for
look-alikes. Prints the latency of each kind of request as JSON; exits 1 when the 95th percentile of next or decide is
above the limit. Think time between decisions is 0.2 s unless told otherwise: faster than people.
"""

import argparse
import json
import multiprocessing
import random
import secrets
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

from review import Queue
from review.reviewers import add_reviewer
from review.web.server import serve
from schemas.review import ReviewItem, State
from tasks.tables import Tables
from tests.review.samples import make_item

NAMES = [f"thing {number}" for number in range(300)]


class SlowArchive:
    """Has every frame, after a while."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def read(self, source_uri: str, frame_index: int) -> npt.NDArray[np.uint8]:
        """A grey frame of the items' size."""
        time.sleep(self.seconds)
        return np.full((540, 960, 3), frame_index % 256, np.uint8)


def fill(url: str, count: int, dimension: int) -> None:
    """A queue of ``count`` items: 300 names with a long tail, 40 drives, 16 kB of crop each, a place on the map, and
    an embedding of ``dimension`` numbers."""
    base = [make_item(number) for number in range(12)]
    rng = random.Random(0)
    vectors = np.random.default_rng(0).normal(size=(100, dimension))

    def items() -> Iterator[ReviewItem]:
        for number in range(count):
            name = NAMES[min(int(rng.expovariate(1 / 25)), len(NAMES) - 1)]
            yield replace(
                base[number % 12],
                item_id=f"item{number:07d}",
                name=name,
                drive=f"drive-{number % 40:02d}",
                cluster=f"{name}-{number % 7}",
                rank=rng.random(),
                score=round(0.5 + rng.random() / 2, 4),
                embedding=vectors[number % len(vectors)].astype("<f2").tobytes(),
            )

    with Queue.open(url) as queue:
        if queue.count(states=tuple(State)) >= count:
            return  # filled by an earlier run
        queue.set_vocabulary([f"class {number}" for number in range(19)], NAMES)
        queue.enqueue(items())
        places = np.random.default_rng(1).normal(size=(count, 2)).tolist()
        queue.set_places("w" * 64, {f"item{number:07d}": (x, y) for number, (x, y) in enumerate(places)})


class Reviewer(threading.Thread):
    """One person at one browser, who never tires."""

    def __init__(
        self, base: str, name: str, token: str, until: float, think: float, frames: bool, similar: bool, plain: bool
    ) -> None:
        super().__init__(daemon=True)
        self.similar, self.plain = similar, plain
        self.base, self.name_, self.token, self.until, self.think = base, name, token, until, think
        self.pictures = ThreadPoolExecutor(2) if frames else None  # as many as the page asks for at a time
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []

    def run(self) -> None:
        rng = random.Random(self.name_)
        with httpx.Client(base_url=self.base, timeout=30) as client:
            csrf = _between(client.get("/sign-in").text, 'name="csrf" value="', '"')
            client.post("/sign-in", data={"name": self.name_, "token": self.token, "csrf": csrf})
            page = self._timed("page", client.get, "/", headers={"Accept": "text/html"})
            headers = {"X-CSRF-Token": _between(page.text, 'name="csrf" content="', '"')}
            waiting: list[str] = []
            turn = 0
            while time.monotonic() < self.until:
                filters = {"name": rng.choice(NAMES[:40])} if turn % 50 == 49 else {}
                body = {"filters": filters, "count": max(1, 4 - len(waiting)), "holding": waiting}
                leased = self._timed("next", client.post, "/api/lease", json=body, headers=headers)
                for item in leased.json()["items"]:
                    waiting.append(item["item_id"])
                    self._timed("crop", client.get, f"/items/{item['item_id']}/crop.jpg")
                    self._timed("mask", client.get, f"/items/{item['item_id']}/mask.png")
                    for name in ("frame", *(f"track/{number}" for number in range(len(item["track"])))):
                        if self.pictures:
                            self.pictures.submit(
                                self._timed, "frame", client.get, f"/items/{item['item_id']}/{name}.jpg"
                            )
                if waiting:
                    judged = waiting.pop(0)
                    body = {"items": [judged]} | self._verdict(client, rng)
                    self._timed("decide", client.post, "/api/decide", json=body, headers=headers)
                    if not self.plain:
                        self._beside(client, headers, turn, judged)
                if turn % 20 == 19:
                    self._timed("undo", client.post, "/api/undo", json={}, headers=headers)
                if turn % 10 == 9:
                    self._timed("progress", client.get, "/api/progress")
                turn += 1
                time.sleep(rng.expovariate(1 / self.think) if self.think else 0)
            if self.pictures:
                self.pictures.shutdown(cancel_futures=True)

    def _verdict(self, client: httpx.Client, rng: random.Random) -> dict[str, Any]:
        """A decision; a name is typed letter by letter."""
        verdict = rng.choice(["accept", "accept", "not an object", "unsure", *(() if self.plain else ("relabel",))])
        if verdict != "relabel":
            return {"verdict": verdict}
        name = rng.choice(NAMES)
        for letters in range(1, 6):
            self._timed("names", client.get, "/api/names", params={"typed": name[:letters]})
        return {"verdict": verdict, "name": name}

    def _beside(self, client: httpx.Client, headers: dict[str, str], turn: int, judged: str) -> None:
        """What reviewers do beside verdicts, now and then."""
        page = {"Accept": "text/html"}
        if turn % 15 == 3:
            self._timed("mask flag", client.post, f"/api/items/{judged}/mask", json={"state": "wrong"}, headers=headers)
        if turn % 15 == 6:
            self._timed("ask second", client.post, f"/api/items/{judged}/second", headers=headers)
        if turn % 15 == 9:
            self._timed("second page", client.get, "/second", headers=page)
            asked = self._timed("second", client.get, "/api/second").json()["items"]
            if asked:  # another reviewer may give the opinion first, which is no failure of the server
                address = f"/api/items/{asked[-1]['item_id']}/opinion"
                self._timed("opinion", client.post, address, json={"verdict": "accept"}, headers=headers, may=409)
        if turn % 40 == 12:
            self._timed("map page", client.get, "/map", headers=page)
            self._timed("map", client.get, "/api/map")
        if self.similar and turn % 20 == 15:
            self._timed("more like this", client.get, f"/finds?like={judged}", headers=page)
        if self.pictures and turn % 10 == 5:
            for step in range(-10, 11):  # some footage begins or ends less than five seconds away
                address = f"/items/{judged}/motion/{step}.jpg"
                self.pictures.submit(self._timed, "motion", client.get, address, may=404)

    def _timed(
        self, kind: str, call: Callable[..., httpx.Response], path: str, may: int = 0, **options: Any
    ) -> httpx.Response:
        """``may`` is an error that is no problem."""
        start = time.perf_counter()
        answer = call(path, **options)
        self.seconds[kind].append(time.perf_counter() - start)
        if answer.status_code >= 400 and answer.status_code != may:
            self.problems.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer


def _between(text: str, before: str, after: str) -> str:
    return text.split(before, 1)[1].split(after, 1)[0]


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(url: str, port: int, frame_seconds: float | None, tables: str | None) -> None:
    frames = SlowArchive(frame_seconds) if frame_seconds is not None else None
    finds = None
    if tables is not None:
        from flows.finds import TableFinds  # the libraries of the model

        finds = TableFinds(tables, frames or SlowArchive(0))
    serve(url, port=port, frames=frames, finds=finds)


def measure(
    url: str, reviewers: int, seconds: float, think: float, frame_seconds: float | None, tables: str | None, plain: bool
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Latencies in milliseconds by kind of request, and what went wrong."""
    with Queue.open(url) as queue:
        prefix = secrets.token_hex(3)
        people = [f"reviewer-{prefix}-{number}" for number in range(reviewers)]
        tokens = {name: add_reviewer(queue, name) for name in people}
    port = _free_port()
    served = (url, port, frame_seconds, tables)
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=served, daemon=True)
    server.start()
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{base}/healthz", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        until = time.monotonic() + seconds
        threads = [
            Reviewer(base, name, token, until, think, frame_seconds is not None, tables is not None, plain)
            for name, token in tokens.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.terminate()
        server.join()
    merged: dict[str, list[float]] = defaultdict(list)
    for thread in threads:
        for kind, times in thread.seconds.items():
            merged[kind] += times
    problems = [problem for thread in threads for problem in thread.problems]
    requests = {
        kind: {
            "count": len(times),
            "p50_ms": round(1000 * statistics.median(times), 1),
            "p95_ms": round(1000 * statistics.quantiles(times, n=20)[-1], 1),
            "max_ms": round(1000 * max(times), 1),
        }
        for kind, times in sorted(merged.items())
        if len(times) > 1
    }
    return requests, problems[:5]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--reviewers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=0.2, help="mean seconds between decisions of one reviewer")
    parser.add_argument("--frame-seconds", type=float, help="have an archive that takes so long for each frame")
    parser.add_argument(
        "--plain", action="store_true", help="leave out typed names, masks, opinions, the map and motion"
    )
    parser.add_argument("--tables", help="tables to search for look-alikes")
    parser.add_argument("--queue", help="a queue to fill and keep (a file, postgresql://...)")
    parser.add_argument("--limit-ms", type=float, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.queue or str(Path(folder) / "queue.db")
        start = time.monotonic()
        dimension = Tables.at(options.tables).scans()[-1].embedding_dimension if options.tables else 64
        fill(url, options.items, dimension)
        filled = time.monotonic() - start
        requests, problems = measure(
            url, options.reviewers, options.seconds, options.think, options.frame_seconds, options.tables, options.plain
        )
    facts = {"items": options.items, "reviewers": options.reviewers, "fill_seconds": round(filled, 1)}
    print(json.dumps(facts | {"requests": requests, "problems": problems}, indent=2))
    slow = [kind for kind in ("next", "decide") if requests[kind]["p95_ms"] > options.limit_ms]
    return 1 if slow or problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
