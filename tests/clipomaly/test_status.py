"""What is left and why, in the morning."""

import json
import re
from pathlib import Path

from flows import scan as flows_scan
from tasks.scanning.scan_record import read_left
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tasks.tables.commits import done_of
from tests.conftest import SMALL


def test_what_is_left_and_why(clipomaly, drawn_archive, tmp_path, monkeypatch):
    """One shard of four is lost: status says which, why, and that there is something to do."""
    lost = sorted(drawn_archive.rglob("*.mp4"))[1].name

    def scan(shard, *arguments, **options):
        if lost in shard.sources[0].uri:
            raise RuntimeError("a card that fell off\nits bus")
        return scan_shard(shard, *arguments, **options)

    monkeypatch.setattr(flows_scan, "scan_shard", scan)
    tables = tmp_path / "tables"
    command = ("scan", drawn_archive, "--out", tables, "--fps", 0.5, "--shard-minutes", 0.04)
    assert clipomaly(*command).code == 1
    told = clipomaly("status", tables)
    assert told.code == 1
    assert "3 done" in told.out and "1 left" in told.out
    assert re.search(rf"left .*{lost}: RuntimeError: a card that fell off$", told.out, re.MULTILINE)
    [scan_json] = json.loads(clipomaly("status", tables, "--json").out)
    assert [shard["error"] for shard in scan_json["left"]] == ["RuntimeError: a card that fell off"]
    assert sum(scan_json["shards"].values()) == 3
    assert scan_json["frames"] == 3 and scan_json["frames_per_second"] > 0
    assert min(scan_json["seconds"].values()) > 0

    monkeypatch.undo()
    assert clipomaly(*command).code == 0
    told = clipomaly("status", tables)
    assert told.code == 0 and "4 done" in told.out and "0 left" in told.out
    assert json.loads(clipomaly("status", tables, "--json").out)[0]["left"] == []


def test_a_scan_that_was_cut_off_left_everything(drawn_archive, tmp_path):
    """Killed right behind planning: nothing is committed, and status knows of every shard."""
    from flows.night import begin, prepare
    from flows.parameters import ScanParameters

    tables = str(tmp_path / "tables")
    parameters = ScanParameters(
        archive=str(drawn_archive), tables=tables, model="nano", method=SMALL, shard_minutes=0.04
    )
    night = prepare(parameters)
    begin(parameters, night)
    [scan] = Tables.at(tables).scans()
    left = read_left(Tables.at(tables), scan.scan_id, done_of([]))
    assert {shard.shard_id for shard in left} == {shard.shard_id for shard in night.shards} and len(left) == 4
    assert all(shard.error is None for shard in left)


def test_status_of_another_archive_is_kept(clipomaly, drawn_archive, tmp_path):
    """Plans are by archive: a scan of one says nothing of what is left of another."""
    tables: Path = tmp_path / "tables"
    one, other = sorted(path for path in drawn_archive.iterdir() if path.is_dir())
    for archive in (one, other):
        assert clipomaly("scan", archive, "--out", tables, "--fps", 0.5).code == 0
    assert clipomaly("status", tables).code == 0
    for commit in tables.glob("_commits/*/*.json"):
        if one.name in commit.read_text():
            commit.unlink()
    assert clipomaly("status", tables).code == 1
    assert len(list(tables.glob("_plans/*/*.parquet"))) == 2


def test_profile_names_the_time_of_each_stage(clipomaly, drawn_archive, tmp_path):
    """The parts of inferring add up to it, and what was committed before has no part in the profile."""
    tables = tmp_path / "tables"
    command = ("scan", drawn_archive, "--out", tables, "--fps", 0.5, "--profile")
    told = clipomaly(*command)
    assert told.code == 0
    stages = dict(re.findall(r"^ *(\w.*?) {2,}([\d.]+) +[\d.]+ *$", told.out, re.MULTILINE))
    assert list(stages) == [
        "reading and decoding",
        "inferring",
        "dense features and scores",
        "regions and names",
        "masks and rows",
        "masks at the frame's size",
        "rows and writing",
    ]
    assert "is the slowest" in told.out

    [scan] = json.loads(clipomaly("status", tables, "--json").out)
    spent = scan["seconds"]
    assert spent["scoring"] + spent["naming"] <= spent["inferring"]
    assert 0 < spent["segmenting"] <= spent["writing"]
    assert spent["scoring"] > 0.5 * spent["inferring"]
    assert "no frame was scanned" in clipomaly(*command).out
