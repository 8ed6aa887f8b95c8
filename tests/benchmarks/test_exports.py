"""Every format as every tool that is installed here reads it: splits, names, boxes and masks come back."""

import pytest

from benchmarks.exports import matrix
from schemas.dataset_format import DatasetFormat
from tasks.datasets.build import DatasetOptions, build_dataset
from tests.tasks.dataset_samples import judged_fleet, scan_fleet, write_fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    root = tmp_path_factory.mktemp("fleet")
    archive = write_fleet(root / "archive", drives=3)
    return judged_fleet(archive, scan_fleet(archive, root / "tables"))


@pytest.mark.parametrize("form", list(DatasetFormat))
def test_every_reader_gives_back_what_was_judged(fleet, tmp_path, form):
    build_dataset(fleet.walk, str(tmp_path / "out"), DatasetOptions(fleet.tables, form, shares=(0.5, 0.25, 0.25)))
    cells = matrix(tmp_path / "out")
    read = [cell for cell in cells if cell.was_run]
    assert read, f"no reader of {form} is installed"
    for cell in read:
        assert not cell.problem, cell
        assert cell.splits and cell.names, cell
        assert cell.mask_iou is not None and cell.mask_iou >= 0.75, cell
        assert cell.box_error is None or cell.box_error <= 2, cell
