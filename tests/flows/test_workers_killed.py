"""Workers that die while they scan: killed, crashed, or out of memory."""

import os
import re
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest

from flows import fan_out as module
from flows.engines import Engine
from flows.fan_out import Job, WorkerLost, fan_out
from flows.parameters import ScanParameters
from schemas.records import Shard
from tasks.model_settings import ModelSettings

from . import deadly
from .files import part_files


class _Future:
    """A task of a pool that breaks or not, done as soon as it is submitted."""

    def __init__(self, outcome):
        self.outcome = outcome

    def add_done_callback(self, callback):
        callback(self)

    def result(self, raise_on_failure=True):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class _Pool:
    """Runs names; those in ``deadly`` break the pool, and with it all that is submitted later."""

    def __init__(self, deadly, started):
        self.deadly, self.started, self.broken = deadly, started, False

    def submit(self, task, parameters):
        shard = parameters["shard"]
        self.broken = self.broken or shard.shard_id in self.deadly
        if self.broken:
            return _Future(BrokenExecutor("a child process terminated abruptly"))
        self.started.append(shard.shard_id)
        return _Future(shard.shard_id)


def run(monkeypatch, deadly, count=20, window=4):
    pools: list[Any] = []
    started: list[str] = []
    told: dict[str, list[object]] = {}

    @contextmanager
    def pool(*_, **__):
        pools.append(_Pool(deadly, started))
        yield Engine(pools[-1])

    job = Job(ScanParameters(archive="", tables=""), ModelSettings("nano"), begin=Mock())
    monkeypatch.setattr(module, "start_engine", pool)
    monkeypatch.setattr(module, "window_of", lambda _: window)
    shards = [Shard(f"{number}", ()) for number in range(count)]
    fan_out(job, shards, lambda shard, outcome: told.setdefault(shard.shard_id, []).append(outcome))
    return pools, started, told


def test_only_the_deadly_shard_is_set_aside(monkeypatch):
    pools, started, told = run(monkeypatch, deadly={"7"})
    assert set(told) == {str(number) for number in range(20)}
    assert all(len(outcomes) == 1 for outcomes in told.values())
    [aside] = told.pop("7")
    assert isinstance(aside, WorkerLost) and "3 workers died" in str(aside)
    assert sorted(started) == sorted(told) and all(outcomes == [name] for name, outcomes in told.items())
    assert len(pools) == 4  # three died, one finished


def test_a_machine_on_which_everything_dies_is_told_after_a_while(monkeypatch):
    pools, started, told = run(monkeypatch, deadly={str(number) for number in range(200)}, count=200)
    assert len(pools) == 12 and not started
    assert len(told) == 200 and all(isinstance(outcome, WorkerLost) for [outcome] in told.values())


def test_what_was_lost_with_a_scheduler_is_submitted_again_once(monkeypatch):
    """The scheduler restarts in the middle of a window: its futures are cancelled, none of them by its own fault."""
    entered: list[bool] = []
    told: dict[str, list[object]] = {}
    done: set[str] = set()

    class Scheduler:
        def __init__(self, lasts):
            self.lasts = lasts

        def submit(self, task, parameters):
            shard = parameters["shard"].shard_id
            self.lasts -= 1
            if self.lasts < 0:
                return _Future(CancelledError("scheduler-connection-lost"))
            done.add(shard)
            return _Future(shard)

    @contextmanager
    def engine(*_, again=False):
        entered.append(again)
        scheduler: Any = Scheduler(lasts=5 if len(entered) == 1 else 1000)
        yield Engine(scheduler, lambda: scheduler.lasts >= 0, (CancelledError,))

    monkeypatch.setattr(module, "start_engine", engine)
    monkeypatch.setattr(module, "window_of", lambda _: 512)
    job = Job(ScanParameters(archive="", tables=""), ModelSettings("nano"), begin=Mock())
    shards = [Shard(f"{number}", ()) for number in range(18)]
    fan_out(job, shards, lambda shard, outcome: told.setdefault(shard.shard_id, []).append(outcome))
    assert entered == [False, True]  # the second time it is waited for
    assert told == {shard.shard_id: [shard.shard_id] for shard in shards} and len(done) == 18


def test_an_error_of_telling_is_no_shards_trouble(monkeypatch):
    """A shard that is done is told of once, and what telling raises is not taken for its error."""

    @contextmanager
    def pool(*_, **__):
        idle: Any = _Pool((), [])
        yield Engine(idle)

    monkeypatch.setattr(module, "start_engine", pool)
    told = []

    def done(shard, outcome):
        told.append((shard.shard_id, outcome))
        raise OSError("the server is away")

    job = Job(ScanParameters(archive="", tables=""), ModelSettings("nano"), begin=Mock())
    with pytest.raises(OSError, match="the server is away"):
        fan_out(job, [Shard("1", ())], done)
    assert told == [("1", "1")]


def workers_of_pool():
    """Processes that the pool of this test's scan started."""
    from multiprocessing import active_children

    return [child.pid for child in active_children() if "resource" not in child.name]


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(clipomaly, drawn_archive, scanned, tmp_path, prefect_home):
    """SIGKILL, as the kernel does when memory runs out, in the middle of a scan."""
    tables = tmp_path / "tables"
    killed: list[int] = []

    def kill():
        deadline = time.monotonic() + 300
        while not killed and time.monotonic() < deadline:
            workers = workers_of_pool()
            if list(tables.glob("_commits/*/*.json")) and workers:
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])
            time.sleep(0.005)

    thread = threading.Thread(target=kill)
    thread.start()
    ran = clipomaly(
        "scan", drawn_archive, "--out", tables, "--fps", 2, "--shard-minutes", 0.04, "--runner", "processes",
        "--workers", 1,
    )  # fmt: skip
    thread.join()
    assert killed and ran.code == 0, ran.out + ran.err
    assert part_files(tables) == part_files(scanned)


DEADLY = """
import os, signal
import tasks.footage.frames as frames
import tasks.scanning.shard as scan

read = frames.read_frames

def deadly(source, *arguments):
    if "{clip}" in source.uri:
        if os.path.exists("{mark}"):
            os.kill(os.getpid(), signal.SIGKILL)
        open("{mark}", "w").close()
        os._exit(1)
    return read(source, *arguments)

scan.read_frames = deadly
"""


@pytest.mark.slow
def test_a_shard_that_kills_every_worker_is_set_aside(
    clipomaly, drawn_archive, scanned, tmp_path, prefect_home, monkeypatch
):
    """One source at which the decoder takes its process along: by leaving at first, by SIGKILL from then on."""
    clip = sorted(drawn_archive.rglob("*.mp4"))[1]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "deadly.py").write_text(DEADLY.format(clip=clip.name, mark=tmp_path / "mark"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr("flows.runners._prepare", deadly.prepare)
    tables = tmp_path / "tables"
    command = ("scan", drawn_archive, "--out", tables, "--fps", 2, "--shard-minutes", 0.04)
    ran = clipomaly(*command, "--runner", "processes", "--workers", 2)
    assert ran.code == 1, ran.out + ran.err
    assert re.search(rf"lost .*{clip.name}.*3 workers died", ran.out), ran.out
    told = clipomaly("status", tables)
    assert told.code == 1 and "3 workers died" in told.out and "3 done" in told.out
    assert clipomaly(*command).code == 0  # the same shard, where nothing kills
    assert part_files(tables) == part_files(scanned)
    assert clipomaly("status", tables).code == 0
