"""What the command hands on: options, the config that scan reads, and what it prints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipomaly.cli.settings import scan_parameters
from tests.command import Run
from tests.tasks.evaluation.test_evaluate import by_maps, random_case


def judged_maps(tmp_path: Path) -> list[object]:
    """Score maps on disk with their truth, as options of the command; one frame has no anomaly."""
    labels, scores = random_case()
    labels[2][labels[2] == 1] = 0
    settings = by_maps(tmp_path, labels, scores)
    return ["--dataset", settings.dataset, "--format", "smiyc", "--out", settings.out, "--scores", settings.scores]


def metrics(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "out" / "metrics.json").read_text())


def test_scan_reads_the_calibrated_config(clipomaly: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIPOMALY_METHOD__SHORT_SIDE")
    config = tmp_path / "given.toml"
    config.write_text('fps = 2.0\nrunner = "threads"\n[method]\nmargin = 0.2\nthreshold = 0.9\n')
    ran = clipomaly("evaluate", *judged_maps(tmp_path), "--calibrate", 0.1, "--config", config)
    assert ran.code == 0, ran.err
    calibration = metrics(tmp_path)["calibration"]
    parameters = scan_parameters("archive", "tables", {}, [], tmp_path / "out" / "config.toml")
    assert parameters.method == {"margin": 0.2, "threshold": calibration["threshold"]}
    assert (parameters.fps, parameters.runner) == (2.0, "threads")
    # The threshold survives the way through the file to the bit: as many pixels lie above it.
    scores = np.load(tmp_path / "scores" / "2.npy")
    assert metrics(tmp_path)["dataset"]["normal_pixels"] > calibration["pixels"]
    above = np.count_nonzero(scores[_normal(tmp_path)] > calibration["threshold"])
    assert above / calibration["pixels"] == calibration["reached"]


def _normal(tmp_path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(tmp_path / "data" / "labels_masks" / "2_labels_semantic.png")) == 0


def test_the_table_shows_what_was_measured(clipomaly: Run, tmp_path: Path) -> None:
    shown = clipomaly("evaluate", *judged_maps(tmp_path), "--calibrate", 0.1).out
    measured = metrics(tmp_path)
    for value in (measured["pixels"]["exact"]["auprc"], measured["pixels"]["smiyc"]["fpr95"]):
        assert f"{100 * value:.2f}" in shown
    assert f"of {measured['calibration']['pixels']} pixels" in shown
    assert "config.toml" in shown and "nan" not in shown


def test_json_goes_to_stdout_alone(clipomaly: Run, tmp_path: Path) -> None:
    assert json.loads(clipomaly("evaluate", *judged_maps(tmp_path), "--json").out) == metrics(tmp_path)


@pytest.mark.parametrize("flags", [("--model", "nano"), ("--set", "score=msp")])
def test_score_maps_need_no_model(clipomaly: Run, tmp_path: Path, flags: tuple[str, str]) -> None:
    ran = clipomaly("evaluate", *judged_maps(tmp_path), *flags)
    assert ran.code == 2
    assert "leave out --model" in ran.err
