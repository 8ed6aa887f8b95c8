"""Temporary folders of processes that are killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tasks.temporary import remove_stale, temporary_folder

HOLD = """
import sys, time
from tasks.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "video.mp4").write_bytes(b"0" * 100)
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    remove_stale.cache_clear()
    yield tmp_path
    remove_stale.cache_clear()


def holder() -> tuple["subprocess.Popen[str]", Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def older(*folders: Path) -> None:
    """As if they had been made two minutes ago."""
    for one in folders:
        os.utime(one, (time.time() - 120,) * 2)


def test_folders_of_killed_processes_are_removed_and_others_stay(folder):
    killed = [holder() for _ in range(3)]
    living, kept = holder()
    for process, _ in killed:
        process.send_signal(signal.SIGKILL)
        process.wait()
    try:
        assert len(list(folder.iterdir())) == 4
        (folder / "clipomaly-old-version").mkdir()
        (folder / "another").mkdir()
        older(*folder.iterdir())
        with temporary_folder() as own:
            assert {path.name for path in folder.iterdir()} == {
                own.name, kept.name, "another", "clipomaly-old-version",
            }  # fmt: skip
        assert (kept / "video.mp4").exists() and not own.exists()
    finally:
        living.kill()
        living.wait()


def test_a_folder_that_was_made_just_now_is_left_alone(folder):
    (folder / "clipomaly-new").mkdir()
    remove_stale()
    assert (folder / "clipomaly-new").is_dir()


def test_a_link_is_not_followed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "lock").write_text("")
    (folder / "clipomaly-link").symlink_to(elsewhere, target_is_directory=True)
    os.utime(folder / "clipomaly-link", (0, 0), follow_symlinks=False)
    remove_stale()
    assert (elsewhere / "lock").exists()
