"""What people hand to ``evaluate`` by mistake: one line, exit status 2, and nothing written."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.tasks.evaluation.test_evaluate import make_dataset, make_scores, random_case
from tests.tasks.evaluation.test_evaluation_data import label_map, write_map


def another_size(root):
    write_map(root / "data" / "labels_masks" / "1_labels_semantic.png", label_map(0, 1, size=(5, 5)))
    return ["--scores", root / "scores"]


def missing_label(root):
    (root / "data" / "labels_masks" / "1_labels_semantic.png").unlink()
    return ["--scores", root / "scores"]


def nan_scores(root):
    scores = np.load(root / "scores" / "1.npy")
    scores[0, 0] = np.nan
    np.save(root / "scores" / "1.npy", scores)
    return ["--scores", root / "scores"]


def constant_scores(root):
    for index in range(3):
        np.save(root / "scores" / f"{index}.npy", np.full((40, 60), 0.5, np.float32))
    return ["--scores", root / "scores"]


def another_format(root):
    return ["--scores", root / "scores", "--format", "cityscapes"]


def empty_split(root):
    for path in (root / "data" / "images").iterdir():
        path.unlink()
    return ["--scores", root / "scores"]


def another_architecture(root):
    save_file({"visual.proj": torch.zeros(3, 3)}, root / "other.safetensors")
    return ["--weights", root / "other.safetensors"]


def duplicate_name(root):
    (root / "words.yaml").write_text("dictionary:\n  cargo: [mattress, mattresses]\n")
    return ["--vocabulary", root / "words.yaml"]


def empty_name(root):
    (root / "words.yaml").write_text("dictionary:\n  cargo: [mattress, '']\n")
    return ["--vocabulary", root / "words.yaml"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (another_size, "the label map is 5x5"),
        (missing_label, "1 has no label map"),
        (nan_scores, "1: the scores hold NaN"),
        (constant_scores, "Every score is 0.5"),
        (another_format, "it looks like smiyc"),
        (empty_split, "holds no frames"),
        (another_architecture, "does not hold weights of nano"),
        (duplicate_name, "line 2: 'mattresses' is given twice"),
        (empty_name, "line 2: an empty name"),
    ],
)
def test_it_is_one_line_and_writes_nothing(clipomaly, tmp_path, spoil, says):
    labels, scores = random_case()
    make_dataset(tmp_path / "data", labels)
    make_scores(tmp_path / "scores", scores)
    flags = spoil(tmp_path)
    before = {path for path in tmp_path.rglob("*")}
    if "--format" not in flags:
        flags += ["--format", "smiyc"]
    ran = clipomaly("evaluate", "--dataset", tmp_path / "data", *flags, "--out", tmp_path / "out")
    assert ran.code == 2, ran.err
    [line] = [line for line in ran.err.splitlines() if not line.startswith("note:")]
    assert line.startswith("error: ") and says in line
    assert {path for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "--dataset and --format, or --suite"),
        (("--suite", "data", "--format", "smiyc"), "--suite judges whole datasets"),
        (("--suite", "nowhere"), "cannot be read"),
    ],
)
def test_a_suite_and_a_dataset_are_told_apart(clipomaly, tmp_path, monkeypatch, flags, says):
    monkeypatch.chdir(tmp_path)
    ran = clipomaly("evaluate", *flags)
    assert ran.code == 2
    assert says in ran.err.splitlines()[-1] and "Traceback" not in ran.err
    assert not (tmp_path / "evaluation").exists()
