"""DuckDB over the tables."""

import subprocess
import sys
from pathlib import Path

_OUTLIVED = """
import threading, time
from tasks.reporting.comparison import compare_scans
from tasks.tables.query import run_query
from tasks.reporting.report import make_report

def keep(*functions):
    time.sleep(3600)

threading.Thread(target=keep, args=(compare_scans, run_query, make_report), daemon=True).start()
"""


def test_a_thread_that_outlives_the_program_leaves_no_words() -> None:
    """Prefect has such threads, and they hold the flow; DuckDB then told of leaks on the terminal."""
    ran = subprocess.run(
        [sys.executable, "-c", _OUTLIVED],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
    )
    assert (ran.returncode, ran.stderr) == (0, "")
