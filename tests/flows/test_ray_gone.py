"""A real Ray cluster whose head is killed: it comes back, or the night ends with a summary and no Ray of its own."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import PrefectServer, Start
from .files import part_files
from .programs import Program, answers, commits, descendants, free_port, scan_command, wait_until, without_package

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(find_spec("prefect_ray") is None, reason="the extra ray is not installed"),
]

WITHOUT_TOKENS = {"RAY_AUTH_MODE": "disabled"}
HEAD = {"RAY_ENABLE_AUTO_CONNECT": "0", "RAY_raylet_start_wait_time_s": "240"}  # it starts slowly on a busy machine


class Ray:
    """A cluster of one node on ports of its own, reached as Ray Client."""

    def __init__(self, start: Start, folder: Path, environment: Mapping[str, str] = WITHOUT_TOKENS) -> None:
        self.port, self.client_port = free_port(), free_port()
        self.address = f"ray://127.0.0.1:{self.client_port}"
        options = ["--head", "--block", "--node-ip-address=127.0.0.1", f"--port={self.port}"]
        options += [f"--ray-client-server-port={self.client_port}", "--num-cpus=2", "--include-dashboard=false"]
        options += ["--object-store-memory=100000000", f"--temp-dir={folder}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
        self.head = start("ray-head", command, HEAD | dict(environment))
        self.wait()

    def wait(self) -> None:
        wait_until(lambda: answers(self.client_port), self.head)

    def kill(self) -> None:
        parts = descendants(self.head.process.pid)
        self.head.kill()
        subprocess.run(["kill", "-9", *map(str, parts)], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def ray(program: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ray]:
    made = Ray(program, tmp_path_factory.mktemp("r"))
    yield made
    made.kill()


@pytest.fixture
def in_mid_scan(program, ray: Ray, prefect_at: PrefectServer, many_clips: Path, tmp_path: Path):
    """Starts a scan that has committed a few shards."""

    def start(**environment: str) -> Program:
        command = scan_command(many_clips, tmp_path / "tables", "--runner", "ray", "--address", ray.address)
        scan = program("scan", command, prefect_at.environment | WITHOUT_TOKENS | environment)
        wait_until(lambda: commits(tmp_path / "tables") >= 3, scan)
        return scan

    return start


def test_a_head_that_is_started_again_costs_nothing(in_mid_scan, ray, many_scanned, tmp_path):
    scan = in_mid_scan()
    ray.kill()
    ray.head.start()
    ray.wait()
    assert scan.wait() == 0, scan.output
    assert part_files(tmp_path / "tables") == part_files(many_scanned)


def test_a_head_that_stays_away_ends_the_night_with_a_summary(in_mid_scan, ray, tmp_path):
    scan = in_mid_scan(CLIPOMALY_PATIENCE_MINUTES="1.2")  # a line after one, the end soon afterwards
    ray.kill()
    code = scan.wait()
    told = scan.output
    assert code == 1 and "Traceback" not in told and "not expected" not in told, told
    assert "waiting for the Ray cluster" in told and "for 1.2 minutes" in told and "frames of" in told, told
    assert 3 <= commits(tmp_path / "tables") < 18
    session = ["ps", "-o", "args", "-g", str(scan.process.pid)]
    assert "raylet" not in subprocess.run(session, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def scan_on(
    program, prefect_at: PrefectServer, many_clips: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    """Runs a scan on a cluster of its own to its end."""
    started: list[Ray] = []

    def run(cluster: Mapping[str, str], driver: Mapping[str, str]) -> Program:
        started.append(Ray(program, tmp_path_factory.mktemp("r"), cluster))  # Ray needs a short path
        command = scan_command(many_clips, tmp_path / "tables", "--runner", "ray", "--address", started[0].address)
        scan = program("scan", command, prefect_at.environment | dict(driver))
        assert scan.wait() == 1, scan.output
        assert "Traceback" not in scan.output and "not expected" not in scan.output, scan.output
        assert not (tmp_path / "tables").exists()
        return scan

    yield run
    for cluster in started:
        cluster.kill()


def test_nodes_that_lack_the_package_end_the_night_before_it_begins(scan_on, tmp_path):
    scan = scan_on(WITHOUT_TOKENS | without_package(tmp_path / "bare"), WITHOUT_TOKENS)
    assert "No worker can scan" in scan.output and "install clipomaly" in scan.output, scan.output


def test_a_cluster_that_asks_for_a_token_is_told_in_one_line(scan_on):
    scan = scan_on({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}, WITHOUT_TOKENS)
    assert "RAY_AUTH_TOKEN" in scan.output and "a" * 64 not in scan.output and "Warning" not in scan.output, scan.output
