"""Nights that cannot begin, and what was asked for and failed: exit 1, a line that says why, nothing left behind."""

import json
import shutil

import pytest

from .programs import scan_command


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--device", "warp9"), "warp9"),
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors"),
        (("--vocabulary", "nowhere.yaml"), "nowhere.yaml"),
    ],
    ids=["device", "weights", "vocabulary"],
)
def test_a_night_that_cannot_begin_leaves_nothing_behind(clipomaly, drawn_archive, tmp_path, options, told):
    tables = tmp_path / "tables"
    ran = clipomaly("scan", drawn_archive, "--out", tables, "--no-reference", *options)
    assert ran.code in (1, 2) and told in ran.err and "Traceback" not in ran.err, ran.err
    assert ran.err.count("error:") == 1 and "not expected" not in ran.err
    assert not tables.exists()
    assert clipomaly("status", tables).code == 1


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["threads", "processes"])
def test_a_night_that_cannot_begin_under_prefect_is_one_line(program, many_clips, tmp_path, runner):
    """In a process of its own: Prefect logs to the stderr that it found when it was imported."""
    command = scan_command(many_clips, tmp_path / "tables", "--runner", runner, "--device", "warp9")
    scan = program("scan", command, {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": ""})
    assert scan.wait() == 1, scan.output
    told = " ".join(scan.output.split())
    assert "error: Device 'warp9' is not on this machine" in told and "Traceback" not in told, scan.output
    assert not (tmp_path / "tables").exists()


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["inline", "threads", "processes"])
def test_each_shard_is_one_line_on_stderr_with_every_runner(program, many_clips, tmp_path, runner):
    (tmp_path / "archive").symlink_to(many_clips)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "20240506_093000.mp4").write_bytes(b"no video")
    for archive in ("archive", "broken"):
        command = scan_command(tmp_path / archive, tmp_path / "tables", "--runner", runner, "--log-format", "json")
        scan = program(archive, command, {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": ""})
        scan.wait()
    lines = [json.loads(line) for name in ("archive", "broken") for line in logged(tmp_path / f"{name}.log")]
    shards = [line for line in lines if line["message"].startswith("shard ")]
    assert sorted(len(line["sources"]) for line in shards) == [1] * 19
    assert [line["outcomes"] for line in shards if "failed" in line["outcomes"]] == [{"failed": 1}]
    assert len({line["shard"] for line in shards}) == 19 and all(line["seconds"]["reading"] > 0 for line in shards)


def logged(file):
    """The lines of ours in what a program wrote."""
    return [line for line in file.read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("strict", [(), ("--strict",)], ids=["", "strict"])
@pytest.mark.parametrize("step", ["mining", "report"])
def test_a_step_that_was_asked_for_and_failed_is_exit_1(clipomaly, drawn_archive, scanned, tmp_path, step, strict):
    """Here nothing is left to scan: only the step decides."""
    (tmp_path / "file").write_text("no folder")
    asked = {"mining": ("--queue", tmp_path / "file" / "queue.db"), "report": ("--report", tmp_path / "file" / "out")}
    command = ("scan", drawn_archive, "--out", scanned, "--fps", 2, "--shard-minutes", 0.04)
    assert clipomaly(*command, *strict).code == 0
    ran = clipomaly(*command, *strict, *asked[step])
    assert ran.code == 1, ran.out + ran.err
    last = "\n".join((ran.out + ran.err).strip().splitlines()[-3:])
    assert step in last and "failed" in last and "file" in last, last


@pytest.mark.parametrize("wrong", ["tabels", "tables/instances", ".", "elsewhere/tables"])
def test_status_of_a_wrong_place_names_the_nearest_tables(clipomaly, scanned, tmp_path, wrong):
    root = tmp_path / "fleet"
    root.mkdir()
    shutil.copytree(scanned / "_scans", root / "tables" / "_scans")
    ran = clipomaly("status", root / wrong)
    assert ran.code == 1 and ran.out == ""
    told = " ".join(ran.err.split())
    assert "There are no tables at" in told and str(root / "tables") in told.replace(" ", ""), told


def test_status_where_there_are_no_tables_far_and_wide(clipomaly, tmp_path):
    ran = clipomaly("status", tmp_path / "a/b/c/d/e/f")  # far from the tables of other tests
    assert ran.code == 1 and "scan into it first, or check the address" in " ".join(ran.err.split())
