"""A real Prefect server that is killed in the middle of a scan: it comes back, or it stays away."""

import pytest

from .files import part_files
from .programs import commits, free_port, scan_command, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_a_server_that_restarts_costs_nothing(program, prefect_at, many_clips, many_scanned, tmp_path, runner):
    tables = tmp_path / "tables"
    command = scan_command(many_clips, tables, "--runner", runner, "--workers", 1)
    scan = program("scan", command, prefect_at.environment)
    wait_until(lambda: commits(tables) >= 3, scan)
    prefect_at.kill()
    before = commits(tables)
    wait_until(lambda: commits(tables) >= before + 1, scan)  # it does not wait for the server
    prefect_at.start()
    assert scan.wait(600) == 0, scan.output
    assert part_files(tables) == part_files(many_scanned)
    assert "lost" not in scan.output and "not expected" not in scan.output, scan.output
    [run] = prefect_at.flow_runs()
    assert run["state"]["name"] == "Completed"


@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_a_server_that_stays_away_costs_nothing_but_its_page(
    program, prefect_at, many_clips, many_scanned, tmp_path, runner
):
    tables = tmp_path / "tables"
    command = scan_command(many_clips, tables, "--runner", runner, "--workers", 1)
    scan = program("scan", command, prefect_at.environment | {"PREFECT_CLIENT_MAX_RETRIES": "1"})
    wait_until(lambda: commits(tables) >= 3, scan)
    prefect_at.kill()
    code = scan.wait()
    assert "Traceback" not in scan.output and "not expected" not in scan.output, scan.output
    assert code == 0 and "36 frames of 18 sources" in scan.output, scan.output
    assert "the Prefect server cannot be reached: it does not know how the scan ended" in scan.output
    assert "failed to process item" not in scan.output  # a thousand letters for each event
    assert part_files(tables) == part_files(many_scanned)


def test_a_server_that_is_not_there_when_the_night_begins(program, many_clips, tmp_path):
    command = scan_command(many_clips, tmp_path / "tables", "--runner", "threads")
    scan = program("scan", command, {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"})
    assert scan.wait() == 1
    assert "error: No Prefect server answers at PREFECT_API_URL" in scan.output and "Traceback" not in scan.output
    assert not (tmp_path / "tables").exists()
