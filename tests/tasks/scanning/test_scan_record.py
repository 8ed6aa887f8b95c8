import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from clipomaly_core.errors import UserError
from schemas.records import ReferenceNote
from tasks.model import ModelDescription
from tasks.scanning.scan_record import make_scan_record
from tasks.tables import Tables
from tests.tasks.samples import description

CHANGES = {
    "model": "other",
    "weights_sha256": "2" * 64,
    "embedding_dimension": 9,
    "vocabulary": ("road",),
    "vocabulary_sha256": "3" * 64,
    "known_classes": 2,
    "options": (("method_version", 2), ("threshold", 0.5)),
    "reference": ReferenceNote("r1", "ordinary.safetensors", 256, 2.0),
}


def test_every_fact_changes_the_id() -> None:
    assert set(CHANGES) == {field.name for field in fields(ModelDescription)}
    base = make_scan_record(description(), fps=2)
    assert base.scan_id == make_scan_record(description(), fps=2.0).scan_id
    others = [make_scan_record(description(**{name: value}), fps=2).scan_id for name, value in CHANGES.items()]
    others.append(make_scan_record(description(), fps=1).scan_id)
    assert len({base.scan_id, *others}) == len(CHANGES) + 2
    assert re.fullmatch("s[0-9a-f]{12}", base.scan_id)


def test_no_id_reads_as_a_number() -> None:
    """Without the letter about one in 150 of these would, such as 1977811083e4."""
    ids = [make_scan_record(description(weights_sha256=f"{number:064x}"), fps=2).scan_id for number in range(500)]
    for scan_id in ids:
        with pytest.raises(ValueError, match="could not convert"):
            float(scan_id)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_fps(fps: float) -> None:
    with pytest.raises(UserError, match="--fps"):
        make_scan_record(description(), fps=fps)


def test_round_trip(tmp_path: Path) -> None:
    options = (("a", None), ("b", True), ("c", 1), ("d", 1.0), ("e", "x"))
    record = make_scan_record(description(options=options), fps=2)
    url = str(tmp_path / "T")
    assert Tables.at(url).scans() == []
    Tables.at(url).begin(record)
    [read] = Tables.at(url).scans()
    assert read == record
    assert [type(value) for value in read.options.values()] == [type(value) for _, value in options]
    # A second run leaves the first record, and when it was made, as it was.
    Tables.at(url).begin(replace(record, code_version="later"))
    assert Tables.at(url).scans() == [record]
    assert json.loads((tmp_path / "T" / "_scans" / f"{record.scan_id}.json").read_text())["fps"] == 2.0
    (tmp_path / "T" / "_scans" / "x.json").write_text("{}")
    with pytest.raises(UserError, match="not a scan record"):
        Tables.at(url).scans()
