"""From decisions to a checkpoint: a dataset of what was judged, a training on it, and both models judged by it."""

from pathlib import Path

import pytest

from review import Queue
from tests.clipomaly.test_dataset import decide
from tests.command import Run
from tests.tasks.dataset_samples import judged_fleet, scan_fleet, write_fleet


@pytest.fixture
def dataset(clipomaly: Run, tmp_path: Path) -> Path:
    """Label maps of what was judged, with drives of their own to judge by."""
    archive = write_fleet(tmp_path / "archive", drives=3)
    fleet = judged_fleet(archive, scan_fleet(archive, tmp_path / "tables"))
    with Queue.open(str(tmp_path / "queue.db")) as queue:
        queue.enqueue(queued.item for queued in fleet.items)
        queue.set_vocabulary(["car"])
        for queued in fleet.items:
            decide(queue, queued)
    out = tmp_path / "dataset"
    ran = clipomaly("dataset", "build", "--queue", tmp_path / "queue.db", "--tables", fleet.tables, "--out", out,
                    "--split", "50/50/0", "--seed", 6, "--format", "cityscapes")  # fmt: skip
    assert ran.code == 0, ran.err
    return out


@pytest.mark.slow
def test_accepted_names_are_classes_that_a_training_learns(clipomaly: Run, dataset: Path, tmp_path: Path) -> None:
    words = dataset / "vocabulary.yaml"
    small = ("--set", "short_side=64", "--device", "cpu", "--vocabulary", words)
    ran = clipomaly("finetune", "--data", dataset, "--format", "cityscapes", "--out", tmp_path / "tuned", "--epochs", 4,
                    "--learning-rate", 2e-3, "--batch", 2, *small)  # fmt: skip
    assert ran.code == 0, ran.err
    assert "red thing" in ran.out and "green ball" in ran.out
    tuned = tmp_path / "tuned" / "weights.safetensors"
    told = []
    for number, weights in enumerate([(), ("--weights", tuned)]):
        judged = clipomaly("evaluate", "--dataset", dataset, "--format", "cityscapes", "--set", "threshold=1",
                           "--out", tmp_path / f"judged-{number}", *weights, *small)  # fmt: skip
        assert judged.code == 0, judged.err
        told.append(judged.out)
    assert "red thing" in told[0] and told[0] != told[1]
