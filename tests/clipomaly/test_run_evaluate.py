"""What the command hands on: options, the config that scan reads, and what it prints."""

import json
from pathlib import Path

import numpy as np
import pytest

from clipomaly.cli.rendering.evaluation import EvaluationRequest, run_evaluate
from clipomaly.cli.settings import scan_parameters
from tasks.errors import UsageError
from tests.tasks.evaluation.test_evaluate import by_maps, random_case

NO_FLAGS = dict.fromkeys(("model", "weights", "vocabulary", "device", "fps"))


def request(tmp_path: Path, calibrate: float | None = None, as_json: bool = False) -> EvaluationRequest:
    labels, scores = random_case()
    labels[2][labels[2] == 1] = 0
    settings = by_maps(tmp_path, labels, scores)
    return EvaluationRequest(
        settings.dataset, "smiyc", settings.out, settings.scores, calibrate=calibrate, as_json=as_json
    )


def test_scan_reads_the_calibrated_config(tmp_path: Path) -> None:
    config = tmp_path / "given.toml"
    config.write_text('fps = 2.0\nrunner = "threads"\n[method]\nmargin = 0.2\nthreshold = 0.9\n')
    evaluation = run_evaluate(request(tmp_path, calibrate=0.1), NO_FLAGS, [], config)
    assert evaluation.calibration
    parameters = scan_parameters("archive", "tables", {}, [], tmp_path / "out" / "config.toml")
    assert parameters.method == {"margin": 0.2, "threshold": evaluation.calibration.threshold}
    assert (parameters.fps, parameters.runner) == (2.0, "threads")
    # The threshold survives the way through the file to the bit: as many pixels lie above it.
    scores = np.load(tmp_path / "scores" / "2.npy")
    judged = evaluation.dataset.normal_pixels
    assert judged > evaluation.calibration.pixels
    above = np.count_nonzero(scores[_normal(tmp_path)] > parameters.method["threshold"])
    assert above / evaluation.calibration.pixels == evaluation.calibration.reached


def _normal(tmp_path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(tmp_path / "data" / "labels_masks" / "2_labels_semantic.png")) == 0


def test_the_table_shows_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = run_evaluate(request(tmp_path, calibrate=0.1), NO_FLAGS, [], None)
    shown = capsys.readouterr().out
    assert evaluation.pixels and evaluation.calibration
    for value in (evaluation.pixels.exact["auprc"], evaluation.pixels.smiyc["fpr95"]):
        assert f"{100 * value:.2f}" in shown
    assert f"of {evaluation.calibration.pixels} pixels" in shown
    assert "config.toml" in shown and "nan" not in shown


def test_json_goes_to_stdout_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_evaluate(request(tmp_path, as_json=True), NO_FLAGS, [], None)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "metrics.json").read_text())


def test_score_maps_need_no_model(tmp_path: Path) -> None:
    asked = request(tmp_path)
    with pytest.raises(UsageError, match="leave out --model"):
        run_evaluate(asked, {**NO_FLAGS, "model": "nano"}, [], None)
    with pytest.raises(UsageError, match="leave out --model"):
        run_evaluate(asked, NO_FLAGS, ["score=msp"], None)
