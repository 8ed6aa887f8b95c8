"""Two versions of a dataset: what was added, changed and dropped, by sample and by name."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.dataset_format import DatasetFormat
from tasks.datasets.build import DatasetOptions, build_dataset
from tasks.datasets.diff import What, diff_datasets
from tasks.datasets.judged_items import Wanted
from tasks.errors import UserError
from tests.tasks.dataset_samples import Judged, judged_fleet, scan_fleet, write_fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    root = tmp_path_factory.mktemp("fleet")
    archive = write_fleet(root / "archive", drives=3)
    return judged_fleet(archive, scan_fleet(archive, root / "tables"))


def build(fleet: Judged, out: Path, **changes: Any) -> str:
    options = replace(DatasetOptions(fleet.tables, DatasetFormat.PARQUET), **changes)
    build_dataset(fleet.walk, str(out), options)
    return str(out)


@pytest.fixture(scope="module")
def before(fleet, tmp_path_factory) -> str:
    return build(fleet, tmp_path_factory.mktemp("before") / "out")


def test_what_is_the_same_in_another_format(fleet, before, tmp_path):
    diff = diff_datasets(before, build(fleet, tmp_path / "out", format=DatasetFormat.CITYSCAPES))
    assert diff.changes == () and diff.same > 0


def test_what_was_dropped_and_added_by_name(fleet, before, tmp_path):
    fewer = build(fleet, tmp_path / "out", wanted=Wanted(names=("red thing",), background=False))
    dropped, added = diff_datasets(before, fewer), diff_datasets(fewer, before)
    assert {change.what for change in dropped.changes} == {What.DROPPED}
    assert {change.what for change in added.changes} == {What.ADDED}
    assert dropped.same == added.same > 0
    assert "red thing" not in dropped.by_name() and "green ball" in dropped.by_name()
    assert len(dropped.changes) == sum(counts.total() for counts in added.by_name().values())


def test_what_was_judged_anew_is_changed_and_says_how(fleet, before, tmp_path):
    def renamed(queued):
        status = queued.status
        if status.name == "red thing":
            status = replace(status, name="brick")
        return replace(queued, status=status)

    other = replace(fleet, items=tuple(map(renamed, fleet.items)))
    diff = diff_datasets(before, build(other, tmp_path / "out"))
    changed = [change for change in diff.changes if change.name == "brick"]
    assert changed and {(one.what, one.detail) for one in changed} == {(What.CHANGED, "name red thing → brick")}
    assert diff.by_name()["brick"] == Counter({What.CHANGED: len(changed)})


def test_another_split_is_a_change(fleet, before, tmp_path):
    diff = diff_datasets(before, build(fleet, tmp_path / "out", seed=3, shares=(0.0, 1.0, 0.0)))
    assert diff.changes and all(change.detail.startswith("split ") for change in diff.changes)
    assert any(change.detail == "split train → val" for change in diff.changes)


def test_what_is_no_dataset_is_one_line(before, tmp_path):
    with pytest.raises(UserError, match="no finished dataset"):
        diff_datasets(before, str(tmp_path))
