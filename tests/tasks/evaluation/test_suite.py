"""Every row that has data below one folder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.errors import UsageError
from tasks.evaluation.evaluate import EvaluationSettings
from tasks.evaluation.suite import ROWS, run_suite
from tasks.model_settings import ModelSettings
from tests.tasks.evaluation.test_evaluate import settings as untrained  # noqa: F401

SIZE = (48, 64)


def write(folder: Path, name: str, truth: str, anomaly: int) -> None:
    """A noisy photo with an anomaly in its middle."""
    rng = np.random.default_rng(len(name))
    label = np.zeros(SIZE, np.uint8)
    label[16:40, 16:48] = anomaly
    for path, pixels in ((folder / name, rng.integers(0, 256, (*SIZE, 3), np.uint8)), (folder / truth, label)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write(folder / "Road-Anomaly", "frames/a.png", "frames/a.labels/labels_semantic.png", 2)
    write(
        folder / "dataset_ObstacleTrack", "images/validation_1.png", "labels_masks/validation_1_labels_semantic.png", 9
    )
    return folder


def request(model: ModelSettings, out: Path) -> EvaluationSettings:
    return EvaluationSettings(Path(), "", out, model)


def test_rows_with_data_are_judged_and_a_broken_one_costs_the_others_nothing(untrained, suite, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    results = {result.row.name: result for result in run_suite(suite, request(untrained, out))}
    judged = results["RoadAnomaly"]
    assert judged.why_not is None and judged.frames == 1
    assert judged.auprc is not None and 0 <= judged.auprc <= 100
    assert judged.miou is not None and 0 <= judged.miou <= 100
    broken = results["SMIYC ObstacleTrack, validation"]
    assert broken.failed and broken.why_not and "holds the label 9" in broken.why_not
    assert results["StreetHazards, test"].why_not == "no data"
    assert len(results) == len(ROWS)
    table = (out / "suite.md").read_text()
    assert f"{judged.auprc:.2f}" in table and "holds the label 9" in table
    assert json.loads((out / "suite.json").read_text())[0]["row"]["paper_auprc"] == 84.74
    metrics = json.loads((out / "roadanomaly" / "metrics.json").read_text())
    assert metrics["pixels"]["smiyc"]["auprc"] * 100 == pytest.approx(judged.auprc)


@pytest.mark.whole
def test_a_row_has_options_of_its_own(untrained, tmp_path):  # noqa: F811
    city = tmp_path / "data" / "Cityscapes"
    write(city, "leftImg8bit/val/bonn/bonn_1_leftImg8bit.png", "gtFine/val/bonn/bonn_1_gtFine_labelIds.png", 26)
    label = city / "gtFine/val/bonn/bonn_1_gtFine_labelIds.png"
    Image.fromarray(np.where(np.asarray(Image.open(label)) == 26, 26, 7).astype(np.uint8)).save(label)
    everything_unknown = replace(untrained, method=(*untrained.method[:-1], ("threshold", 0.0)))
    results = {r.row.name: r for r in run_suite(tmp_path / "data", request(everything_unknown, tmp_path / "out"))}
    assert results["Cityscapes, closed set"].why_not is None
    metrics = json.loads((tmp_path / "out" / "cityscapes--closed-set" / "metrics.json").read_text())
    assert metrics["model"]["options"]["threshold"] == 1.0


def test_a_folder_without_data_is_one_line(untrained, tmp_path):  # noqa: F811
    with pytest.raises(UsageError, match="has no dataset of the suite"):
        run_suite(tmp_path, request(untrained, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
