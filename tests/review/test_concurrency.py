"""Many reviewers at once, some of whom are killed: nothing is lost, nothing is decided twice."""

import multiprocessing
import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from review import ConflictError, Queue
from schemas.review import State, Verdict
from tests.review.samples import make_items
from tests.review.trail import check_trail

CONTEXT = multiprocessing.get_context("spawn")


def work(url: str, name: str, lease: float) -> None:
    """Judge until nothing is left; sometimes dawdle until the lease is over, undo, snooze or walk away."""
    rng = random.Random(name + str(time.time_ns()))
    with Queue.open(url, lease=timedelta(seconds=lease), patience=60) as queue:
        while queue.count(states=(State.PENDING, State.LEASED, State.SNOOZED)):
            leased = queue.lease(name, count=rng.randint(1, 8))
            if not leased:
                time.sleep(0.1)
            for queued in leased:
                chance = rng.random()
                if chance < 0.01:
                    time.sleep(1.2 * lease)
                try:
                    if chance < 0.9:
                        queue.decide(name, queued.item.item_id, rng.choice([Verdict.ACCEPT, Verdict.UNSURE]))
                    elif chance < 0.95:
                        queue.snooze(name, queued.item.item_id, timedelta(seconds=0.2))
                    if chance > 0.97:
                        queue.undo(name)
                except ConflictError:
                    continue


def review_with_kills(url: str, items: int, reviewers: int, kills: int, lease: float, limit: float) -> None:
    queue = Queue.open(url, patience=60)
    queue.enqueue(make_items(items))

    def start(number: int) -> multiprocessing.process.BaseProcess:
        process = CONTEXT.Process(target=work, args=(url, f"reviewer{number}", lease), daemon=True)
        process.start()
        return process

    processes = [start(number) for number in range(reviewers)]
    rng = random.Random(7)
    deadline = time.monotonic() + limit
    done_before = 0
    for _ in range(kills):
        # Each kill falls into the middle of work: some items were judged since the last.
        while (done := queue.count(states=(State.DECIDED,))) < min(
            done_before + 20, items
        ) and time.monotonic() < deadline:
            time.sleep(0.05)
        done_before = done
        victim = rng.randrange(reviewers)
        processes[victim].kill()
        processes[victim].join()
        processes[victim] = start(victim)
    for process in processes:
        process.join(max(1, deadline - time.monotonic()))
        assert process.exitcode == 0, "a reviewer did not finish"
    # One item may have been taken back after the others saw that nothing was left.
    work(url, "last", lease)
    decided = Counter(decision.item_id for decision in queue.decisions())
    assert len(decided) == items and set(decided.values()) == {1}
    for item_id in decided:
        assert check_trail(queue, item_id) == 1
    queue.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="files are not locked that way on Windows")
def test_writers_of_one_file_take_turns(tmp_path: Path) -> None:
    """Who waits is woken when it is their turn, and does not look again and again while others push in."""
    import fcntl

    path = tmp_path / "queue.db"
    with Queue.open(str(path)) as queue, ThreadPoolExecutor(1) as pool:
        queue.enqueue(make_items(1))
        turn = os.open(f"{path}-writer", os.O_RDONLY)
        fcntl.flock(turn, fcntl.LOCK_EX)
        waiting = pool.submit(queue.lease, "ann")
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        assert queue.count() == 1  # readers wait for nobody
        os.close(turn)
        assert len(waiting.result(60)) == 1


@pytest.mark.whole
def test_reviewers_with_kills_and_expiring_leases(url: str) -> None:
    review_with_kills(url, items=120, reviewers=2, kills=2, lease=1.0, limit=240)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_sixteen_reviewers_ten_thousand_items(url: str) -> None:
    review_with_kills(url, items=10_000, reviewers=16, kills=40, lease=2.0, limit=3000)
