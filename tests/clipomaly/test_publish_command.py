"""Publishing by the command, at the end of a scan, and with a compaction; and the examples of the page about it."""

import shutil
from pathlib import Path

import deltalake
import pytest

from flows.parameters import ScanParameters
from flows.scan import run_scan
from schemas.records import ScanRecord
from tasks.scanning.scan_record import make_scan_record
from tests.clipomaly.documents import ROOT, blocks
from tests.command import Run
from tests.conftest import SMALL
from tests.tasks.samples import description
from tests.tasks.tables.test_publish import check, delta
from tests.tasks.tables.test_tables import commit, source


@pytest.fixture
def record() -> ScanRecord:
    return make_scan_record(description(), fps=2.0)


def test_publish_status_and_the_examples(
    clipomaly: Run, tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tmp_path / "tables"
    commit(str(tables), record, [source("a"), source("b")])
    assert "behind" not in clipomaly("status", tables).out + clipomaly("check", tables).out  # nothing is published
    ran = clipomaly("publish", tables)
    assert ran.code == 0 and ran.out.splitlines()[0] == "instances: version 0, 1 file added"
    assert clipomaly("publish", tables).out.splitlines()[0] == "instances: version 0, nothing to do"
    assert "behind" not in clipomaly("status", tables).out + clipomaly("check", tables).out
    commit(str(tables), record, [source("c")], minute=1)
    for verb in ("status", "check"):
        ran = clipomaly(verb, tables)
        assert ran.code == 0 and "behind instances: files to add: 1, to remove: 0" in ran.out, ran.out
    ran = clipomaly("compact", tables)
    assert ran.code == 0 and "instances_latest: version 1, 1 file added, 1 removed" in ran.out
    check(tables)
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "howto" / "published.md"
    examples = [block for block in blocks("python", pages=[page]) if "Spark" not in str(block.not_run)]
    assert len(examples) == 3
    for block in examples:
        exec(compile(block.text, str(block), "exec"), {})


def test_scan_publishes_at_the_end(scanned: Path, drawn_archive: Path, tmp_path: Path) -> None:
    shutil.copytree(scanned, tables := tmp_path / "tables")
    given = ScanParameters(
        archive=str(drawn_archive), tables=str(tables), model="nano", method=SMALL, fps=2, shard_minutes=0.04
    )
    summary = run_scan(given.model_copy(update={"publish": True}))
    assert [(step.name, step.ok) for step in summary.steps] == [("records", True), ("publish", True)]
    check(tables)
    (tables / "frames" / "_delta_log" / f"{0:020}.json").write_text("{")
    failed = run_scan(given.model_copy(update={"publish": True})).steps[-1]
    assert not failed.ok and "_delta_log" in failed.detail and "publish again" in failed.detail


def test_without_tables(clipomaly: Run, tmp_path: Path) -> None:
    ran = clipomaly("publish", tmp_path / "none")
    assert ran.code == 1 and ran.err.startswith("error: There are no tables") and not (tmp_path / "none").exists()
    assert clipomaly("publish", tmp_path, "--grace", -1).code == 2


def test_a_damaged_log(clipomaly: Run, tmp_path: Path, record: ScanRecord) -> None:
    commit(str(tmp_path), record, [source("a")])
    clipomaly("publish", tmp_path)
    (tmp_path / "frames_latest" / "_delta_log" / f"{0:020}.json").write_bytes(b"\x00 nothing")
    for verb in ("publish", "status", "check"):
        ran = clipomaly(verb, tmp_path)
        assert ran.code == 1 and ran.err.count("\n") == 1 and "Rows do not depend on it" in ran.err, verb
    deltalake.DeltaTable(str(tmp_path / "instances_latest"))
    shutil.move(tmp_path / "frames_latest" / "_delta_log", tmp_path / "away")
    assert clipomaly("publish", tmp_path).code == 0
    assert delta(tmp_path, "frames_latest").version() == 0
    check(tmp_path)
