"""``clipomaly dataset build`` as a person calls it: from a queue that was judged."""

import json
from pathlib import Path

import pytest

from review import Queue
from schemas.review import QueuedItem
from tests.clipomaly.test_cli import one_line
from tests.tasks.dataset_samples import Judged, judged_fleet, scan_fleet, write_fleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    root = tmp_path_factory.mktemp("fleet")
    archive = write_fleet(root / "archive", drives=3)
    return judged_fleet(archive, scan_fleet(archive, root / "tables"))


@pytest.fixture(scope="module")
def queue(fleet: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queue") / "queue.db"
    with Queue.open(str(path)) as queue:
        queue.enqueue(queued.item for queued in fleet.items)
        queue.set_vocabulary(["car"])
        for queued in fleet.items:
            decide(queue, queued)
    return path


def decide(queue: Queue, queued: QueuedItem) -> None:
    status = queued.status
    assert status.decided_by and status.verdict
    name = None if status.verdict == "accept" else status.name
    queue.decide(status.decided_by, queued.item.item_id, status.verdict, name)


def test_a_dataset_of_a_queue(clipomaly, fleet, queue, tmp_path):
    flags = ("--queue", queue, "--tables", fleet.tables, "--out", tmp_path / "out", "--split", "50/50/0")
    ran = clipomaly("dataset", "build", *flags, "--format", "coco")
    assert ran.code == 0, ran.err
    assert "green ball" in ran.out and "known" in ran.out
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert told["objects"] == ["green ball", "red thing"]
    assert sum(split["instances"] for split in told["counts"]["splits"]) > 0
    again = clipomaly("dataset", "build", *flags, "--format", "coco")
    assert again.code == 0 and "already" in again.out
    other = clipomaly("dataset", "build", *flags, "--format", "yolo-seg")
    assert other.code == 1 and "another" in one_line(other.err)


def test_two_datasets_are_compared(clipomaly, fleet, queue, tmp_path):
    for out, flags in (("a", ["--name", "red thing"]), ("b", [])):
        ran = clipomaly(
            "dataset", "build", "--queue", queue, "--tables", fleet.tables, "--out", tmp_path / out,
            "--format", "coco", "--split", "100/0/0", *flags,
        )  # fmt: skip
        assert ran.code == 0, ran.err
    ran = clipomaly("dataset", "diff", tmp_path / "a", tmp_path / "b")
    assert ran.code == 0 and "green ball" in ran.out and "added" in ran.out
    told = [
        json.loads(line)
        for line in clipomaly("dataset", "diff", tmp_path / "b", tmp_path / "a", "--json").out.splitlines()
    ]
    assert {line["what"] for line in told} == {"dropped"}
    assert "same" in clipomaly("dataset", "diff", tmp_path / "a", tmp_path / "a").out
    nothing = clipomaly("dataset", "diff", tmp_path / "a", tmp_path)
    assert nothing.code == 1 and "no finished dataset" in one_line(nothing.err)


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--format", "pascal"], 2, "parquet"),
        (["--format", "coco", "--split", "80"], 2, "80/10/10"),
        (["--format", "coco", "--best", "0"], 2, "best"),
        (["--format", "coco", "--from", "yesterday"], 2, "yesterday"),
        (["--format", "coco", "--name", "unicorn", "--no-background"], 1, "filters"),
    ],
)
def test_a_wrong_option_is_one_line(clipomaly, fleet, queue, tmp_path, flags, code, says):
    out = tmp_path / "out"
    ran = clipomaly("dataset", "build", "--queue", queue, "--tables", fleet.tables, "--out", out, *flags)
    assert ran.code == code
    assert says in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert not out.exists()


def test_the_flow_builds_the_same(fleet, queue, tmp_path, monkeypatch):
    from flows.build_dataset import build_dataset_flow
    from flows.dataset_request import DatasetRequest
    from schemas.dataset_format import DatasetFormat
    from tasks.datasets.build import DatasetOptions

    request = DatasetRequest(str(queue), str(tmp_path / "out"), DatasetOptions(fleet.tables, DatasetFormat.PARQUET))
    assert build_dataset_flow.fn(request).manifest.objects == ("green ball", "red thing")
