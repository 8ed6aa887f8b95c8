import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from clipomaly_core.errors import UserError
from tasks.model import ModelDescription
from tasks.scanning.scan_record import _short, make_scan_record
from tasks.tables.commits import read_scan_records, write_scan_record
from tests.tasks.samples import description

CHANGES = {
    "model": "other",
    "weights_sha256": "2" * 64,
    "embedding_dimension": 9,
    "vocabulary": ("road",),
    "vocabulary_sha256": "3" * 64,
    "known_classes": 2,
    "options": (("method_version", 2), ("threshold", 0.5)),
}


def test_every_fact_changes_the_id() -> None:
    assert set(CHANGES) == {field.name for field in fields(ModelDescription)}
    base = make_scan_record(description(), fps=2)
    assert base.scan_id == make_scan_record(description(), fps=2.0).scan_id
    others = [make_scan_record(description(**{name: value}), fps=2).scan_id for name, value in CHANGES.items()]
    others.append(make_scan_record(description(), fps=1).scan_id)
    assert len({base.scan_id, *others}) == len(CHANGES) + 2
    assert len(base.scan_id) == 12 and int(base.scan_id, 16) >= 0


def test_id_is_never_a_number() -> None:
    assert _short("1234567890123a45") == "34567890123a"
    assert _short("abc0123456789") == "abc012345678"


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_fps(fps: float) -> None:
    with pytest.raises(UserError, match="--fps"):
        make_scan_record(description(), fps=fps)


def test_round_trip(tmp_path: Path) -> None:
    options = (("a", None), ("b", True), ("c", 1), ("d", 1.0), ("e", "x"))
    record = make_scan_record(description(options=options), fps=2)
    url = str(tmp_path / "T")
    assert read_scan_records(url) == []
    write_scan_record(url, record)
    [read] = read_scan_records(url)
    assert read == record
    assert [type(value) for value in read.options.values()] == [type(value) for _, value in options]
    # A second run leaves the first record, and when it was made, as it was.
    write_scan_record(url, replace(record, code_version="later"))
    assert read_scan_records(url) == [record]
    assert json.loads((tmp_path / "T" / "_scans" / f"{record.scan_id}.json").read_text())["fps"] == 2.0
    (tmp_path / "T" / "_scans" / "x.json").write_text("{}")
    with pytest.raises(UserError, match="no scan record"):
        read_scan_records(url)
