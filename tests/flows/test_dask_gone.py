"""A real Dask scheduler and its workers, which are killed, come back, or are not there at all."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import PrefectServer, Start
from .files import part_files
from .programs import Program, answers, commits, free_port, scan_command, wait_until, without_package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("prefect_dask") is None, reason="the extra dask is not installed"),
]


class Dask:
    """A scheduler on a port of its own, and workers in processes of theirs."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.workers: list[Program] = []
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = start("dask-scheduler", self._command("scheduler", "--port", self.port, "--no-dashboard"))
        wait_until(lambda: answers(self.port), self.scheduler)

    def worker(self, name: str, **environment: str) -> None:
        options = (self.address, "--nthreads", 1, "--no-nanny", "--no-dashboard", "--name", name)
        self.workers.append(self._start(name, self._command("worker", *options), environment))

    def restart(self) -> None:
        self.scheduler.start()
        wait_until(lambda: answers(self.port), self.scheduler)

    def _command(self, *words: object) -> list[object]:
        return [sys.executable, "-m", "distributed.cli.dask_" + str(words[0]), "--host", "127.0.0.1", *words[1:]]


@pytest.fixture
def dask(program: Start) -> Dask:
    return Dask(program)


@pytest.fixture
def start_scan(program: Start, dask: Dask, prefect_at: PrefectServer, many_clips: Path, tmp_path: Path):
    def start(**environment: str) -> Program:
        command = scan_command(many_clips, tmp_path / "tables", "--runner", "dask", "--address", dask.address)
        return program("scan", command, prefect_at.environment | environment)

    return start


@pytest.fixture
def in_mid_scan(start_scan, dask, tmp_path):
    """Starts a scan by two workers, which has committed a few shards."""

    def start(**environment: str) -> Program:
        dask.worker("one"), dask.worker("two")
        scan = start_scan(**environment)
        wait_until(lambda: commits(tmp_path / "tables") >= 3, scan)
        return scan

    return start


def test_a_scheduler_that_restarts_costs_nothing(in_mid_scan, dask, many_scanned, tmp_path):
    scan = in_mid_scan()
    dask.scheduler.kill()
    dask.restart()
    dask.worker("three")  # a worker whose scheduler is gone ends, unless its own settings say otherwise
    assert scan.wait() == 0, scan.output
    assert part_files(tmp_path / "tables") == part_files(many_scanned)
    assert "lost" not in scan.output.replace("connection to it is lost", ""), scan.output


def test_a_scheduler_that_stays_away_ends_the_night_with_a_summary(in_mid_scan, dask, tmp_path):
    scan = in_mid_scan(CLIPOMALY_PATIENCE_MINUTES="1.2")  # a line after one, the end soon afterwards
    dask.scheduler.kill()
    assert scan.wait() == 1, scan.output
    told = scan.output
    assert "Traceback" not in told and "not expected" not in told, told
    assert "waiting for the Dask scheduler" in told and "for 1.2 minutes" in told and "frames of" in told, told
    assert 3 <= commits(tmp_path / "tables") < 18


def test_no_workers_is_said_after_a_minute(start_scan, dask, many_scanned, tmp_path):
    scan = start_scan()
    wait_until(lambda: "waiting for the workers of the Dask scheduler" in scan.output, scan)
    assert not (tmp_path / "tables").exists()  # nothing began
    dask.worker("late")
    assert scan.wait() == 0, scan.output
    assert part_files(tmp_path / "tables") == part_files(many_scanned)


def test_workers_that_all_die_are_waited_for(in_mid_scan, dask, many_scanned, tmp_path):
    scan = in_mid_scan()
    for worker in dask.workers:
        worker.kill()
    dask.worker("late")
    assert scan.wait() == 0, scan.output
    assert part_files(tmp_path / "tables") == part_files(many_scanned)


def test_workers_that_lack_the_package_end_the_night_before_it_begins(start_scan, dask, tmp_path):
    dask.worker("bare", **without_package(tmp_path / "bare"))
    scan = start_scan()
    assert scan.wait() == 1, scan.output
    assert "No worker can scan" in scan.output and "install clipomaly" in scan.output, scan.output
    assert "Traceback" not in scan.output
    assert not (tmp_path / "tables").exists()


def test_a_worker_that_lacks_the_package_gets_no_shard(start_scan, dask, many_scanned, tmp_path):
    dask.worker("good")
    dask.worker("bare", **without_package(tmp_path / "bare"))
    scan = start_scan()
    assert scan.wait() == 0, scan.output
    assert "gets no shard: it lacks a package" in scan.output
    assert part_files(tmp_path / "tables") == part_files(many_scanned)
