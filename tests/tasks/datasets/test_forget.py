"""A dataset without the frames of sources that were forgotten on request."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clipomaly.cli.main import app
from review import Queue
from schemas.dataset_format import DatasetFormat
from tasks.datasets.build import DatasetOptions, build_dataset, read_manifest
from tasks.datasets.diff import What, diff_datasets
from tasks.datasets.forget import forget_in_dataset
from tasks.errors import UserError
from tests.tasks.dataset_samples import Judged, judged_fleet, scan_fleet, write_fleet

SHARES = (0.5, 0.25, 0.25)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    root = tmp_path_factory.mktemp("fleet")
    archive = write_fleet(root / "archive", drives=4)
    return judged_fleet(archive, scan_fleet(archive, root / "tables"))


def build(fleet: Judged, out: Path, form: str) -> None:
    build_dataset(fleet.walk, str(out), DatasetOptions(fleet.tables, form, shares=SHARES))


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("form", list(DatasetFormat))
def test_only_its_frames_go(fleet: Judged, tmp_path: Path, form: DatasetFormat) -> None:
    build(fleet, tmp_path / "before", form)
    build(fleet, tmp_path / "after", form)
    gone = fleet.items[0].item.source_uri
    removed = forget_in_dataset(str(tmp_path / "after"), {gone})
    told = diff_datasets(str(tmp_path / "before"), str(tmp_path / "after"))
    assert {(change.what, change.source_uri) for change in told.changes} == {(What.DROPPED, gone)}
    assert removed == len({change.frame_id for change in told.changes}) > 0 and told.same > 0
    kept = content(tmp_path / "after")
    for change in told.changes:
        assert not any(change.frame_id.encode() in data for name, data in kept.items() if not name.endswith(".csv"))
        assert not any(change.frame_id in name for name in kept)
    manifest = read_manifest(str(tmp_path / "after"))
    assert manifest and {file.path for file in manifest.files} | {"manifest.json"} <= kept.keys()
    assert forget_in_dataset(str(tmp_path / "after"), {gone}) == 0
    assert content(tmp_path / "after") == kept


def test_what_was_cut_off_goes_on(fleet: Judged, tmp_path: Path) -> None:
    gone = fleet.items[0].item.source_uri
    for name in ("whole", "cut"):
        build(fleet, tmp_path / name, DatasetFormat.COCO)
    forget_in_dataset(str(tmp_path / "whole"), {gone})

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forget_in_dataset(str(tmp_path / "cut"), {gone}, stop)
    assert read_manifest(str(tmp_path / "cut")) is None
    assert forget_in_dataset(str(tmp_path / "cut"), {gone}) == 0
    assert content(tmp_path / "cut") == content(tmp_path / "whole") | {
        name: data for name, data in content(tmp_path / "cut").items() if name.startswith("_build/")
    }


def test_a_dataset_of_nothing_else_is_removed(fleet: Judged, tmp_path: Path) -> None:
    build(fleet, tmp_path, DatasetFormat.COCO)
    assert forget_in_dataset(str(tmp_path), {queued.item.source_uri for queued in fleet.items}) > 0
    assert content(tmp_path) == {}


def test_nothing_is_changed_where_other_footage_is_gone(fleet: Judged, tmp_path: Path) -> None:
    archive = write_fleet(tmp_path / "archive", drives=3)
    few = judged_fleet(archive, scan_fleet(archive, tmp_path / "tables"))
    build(few, tmp_path / "data", DatasetFormat.COCO)
    before = content(tmp_path / "data")
    sources = sorted({queued.item.source_uri for queued in few.items if queued.item.source_uri.endswith(".mp4")})
    Path(sources[1].removeprefix("file://")).unlink()
    with pytest.raises(UserError, match=r"1 of its other sources is gone"):
        forget_in_dataset(str(tmp_path / "data"), {sources[0]})
    assert content(tmp_path / "data") == before
    with pytest.raises(UserError, match="no dataset of Clipomaly"):
        forget_in_dataset(str(tmp_path / "archive"), {sources[0]})


def test_the_command_forgets_in_tables_queue_and_dataset(tmp_path: Path) -> None:
    archive = write_fleet(tmp_path / "archive", drives=3)
    few = judged_fleet(archive, scan_fleet(archive, tmp_path / "tables"))
    build(few, tmp_path / "data", DatasetFormat.COCO)
    with Queue.open(tmp_path / "queue.db") as queue:
        queue.enqueue([replace(queued.item, cluster=None) for queued in few.items])
    gone = few.items[0].item.source_uri
    places = ["--queue", str(tmp_path / "none.db"), "--queue", str(tmp_path / "queue.db")]
    command = ["forget", few.tables, gone, "--yes", *places, "--dataset", str(tmp_path / "data")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1, done.output  # one of the queues is not there
    told = " ".join(done.output.split())
    assert "none.db: not everything is removed. There is no queue" in told
    with Queue.open(tmp_path / "queue.db") as queue:
        assert gone not in {queued.item.source_uri for queued in queue.list_items(count=500)}
        assert queue.count() == len(few.items) - sum(queued.item.source_uri == gone for queued in few.items)
    assert f"{len(few.items) - len([q for q in few.items if q.item.source_uri != gone])} item" in told
    assert "frames removed" in told and gone.encode() not in b"".join(content(tmp_path / "data").values())
