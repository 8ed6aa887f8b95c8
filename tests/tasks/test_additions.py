"""What CONTRIBUTING says is one function or one file: each added as it says, and used."""

import csv
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from clipomaly_core import Clipomaly, Options
from clipomaly_core.dense import ATTENTIONS
from schemas.dataset_format import DatasetFormat
from tasks.dataset import FORMATS, DatasetOptions, build_dataset
from tasks.dataset_format import Classes, Format, OutputFile, annotated
from tasks.dataset_pictures import Content
from tasks.errors import UsageError
from tests.tasks.dataset_samples import judged_fleet, scan_fleet, write_fleet


def test_a_way_of_attention_is_one_function(monkeypatch):
    with pytest.raises(UsageError, match="Unknown attention 'mean'"):
        Options(attention="mean")
    monkeypatch.setitem(ATTENTIONS, "mean", lambda q, k, v, grid: v.mean(2, keepdim=True).expand_as(v))
    frame = np.random.default_rng(1).integers(0, 256, (180, 320, 3), np.uint8)
    [result] = Clipomaly.load(options=Options(attention="mean", edges="bilinear"))([frame])
    # Every patch is given the mean of all: nothing stands out.
    assert np.ptp(result.anomaly_score) < 1e-4
    [result] = Clipomaly.load(options=Options(attention="naclip"))([frame])
    assert np.ptp(result.anomaly_score) > 1e-2


def boxes(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    """A part of a format that keeps boxes alone."""
    lines = []
    for content in contents:
        if content.picture is None:
            continue
        path = f"{content.frame.frame_id}{content.picture.suffix}"
        yield OutputFile(path, content.picture.data, ((content.frame.frame_id, content.picture),))
        lines += [f"{path},{label.name},{label.box.x},{label.box.y}" for label in annotated(content.frame.labels)]
    yield OutputFile(f"{name}.csv", "\n".join(lines).encode())


def test_an_export_format_is_one_record_of_functions(monkeypatch, tmp_path):
    archive = write_fleet(tmp_path / "archive", drives=2)
    fleet = judged_fleet(archive, scan_fleet(archive, tmp_path / "tables"))
    # In the place of another, since the names of the formats cannot grow while they are in use.
    monkeypatch.setitem(FORMATS, DatasetFormat.PARQUET, Format(boxes, lambda kept, classes: iter(()), (), "csv"))
    built = build_dataset(fleet.walk, str(tmp_path / "out"), DatasetOptions(fleet.tables, DatasetFormat.PARQUET))
    rows = [row for path in (tmp_path / "out").glob("*-*.csv") for row in csv.reader(path.open())]
    assert len(rows) == sum(split.instances for split in built.manifest.counts.splits) > 0
    assert all((tmp_path / "out" / row[0]).is_file() for row in rows)
