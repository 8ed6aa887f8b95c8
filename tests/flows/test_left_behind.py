"""What is left of a scan that is killed or ended: no process of it, and nothing that the next one does not mend."""

import os
import signal

import pytest

from .files import part_files
from .programs import alive, commits, descendants, scan_command, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
END_SECONDS = 10


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_no_process_outlives_a_scan_with_processes(program, many_clips, many_scanned, tmp_path, number):
    tables = tmp_path / "tables"
    command = scan_command(many_clips, tables, "--runner", "processes", "--workers", 2)
    scan = program("scan", command, {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": ""})
    wait_until(lambda: commits(tables) >= 2, scan)
    started = descendants(scan.process.pid)
    assert len(started) >= 3, "two workers and a Prefect server"
    os.kill(scan.process.pid, number)
    if number is signal.SIGINT:  # it waits for what is under way, and says so; the second one does not
        wait_until(lambda: "stopp" in scan.output, seconds=END_SECONDS)
        if scan.process.poll() is None:
            os.kill(scan.process.pid, number)
    code = scan.wait(END_SECONDS)
    wait_until(lambda: not alive(started), seconds=END_SECONDS)
    done = commits(tables)
    assert code == (-number if number is signal.SIGKILL else 128 + number), scan.output
    if number is not signal.SIGKILL:
        assert "shards done" in scan.output and "the same command continues" in scan.output
    scan.start()
    assert scan.wait() == 0, scan.output
    assert 2 <= done < 18 and part_files(tables) == part_files(many_scanned)
