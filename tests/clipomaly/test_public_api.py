"""The names of the package, as a stranger's script uses them."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import clipomaly
from schemas.version import commit
from tests.command import run_main
from tests.conftest import SMALL

HEAVY = ("torch", "open_clip", "prefect", "pyarrow", "pandas", "numpy", "pydantic", "sqlalchemy")


def test_every_name_is_there() -> None:
    assert {
        "Clipomaly", "Queue", "__version__", "build_dataset", "connect", "decode_mask", "open_table", "read_frame",
        "scan", "search", "status",
    } <= set(dir(clipomaly))  # fmt: skip
    for name in clipomaly.__all__:
        assert getattr(clipomaly, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        clipomaly.no_such_name  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    seen = f"import sys, clipomaly; print([m for m in {HEAVY} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stderr


def test_tables_open_by_path_and_by_text(scanned: Path) -> None:
    counted = clipomaly.open_table(scanned, "instances").count_rows()
    assert counted == clipomaly.open_table(str(scanned), "instances").count_rows() > 0
    with clipomaly.connect(scanned) as connection:
        assert connection.sql("SELECT count(*) FROM instances").fetchall() == [(counted,)]
    [night] = clipomaly.status(scanned)
    assert night.instances == counted


def test_a_row_leads_back_to_its_frame_and_mask(scanned: Path) -> None:
    [row] = clipomaly.open_table(scanned, "instances").head(1).to_pylist()
    image = clipomaly.read_frame(Path(row["source_uri"].removeprefix("file://")), row["frame_index"])
    mask = clipomaly.decode_mask(row["mask_rle"].decode(), row["frame_height"], row["frame_width"])
    assert mask.shape == image.shape[:2] and np.count_nonzero(mask) == row["area"]


def test_scan_takes_paths_and_says_which_option_is_wrong(drawn_archive: Path, tmp_path: Path) -> None:
    with pytest.raises(clipomaly.UserError, match="did you mean fps"):
        clipomaly.scan(drawn_archive, tmp_path, fp=2)  # type: ignore[call-arg]
    with pytest.raises(clipomaly.UserError, match="fps: Input should be greater than 0"):
        clipomaly.scan(drawn_archive, tmp_path, fps=0)
    clip = next(drawn_archive.rglob("*.mp4"))
    summary = clipomaly.scan(clip, tmp_path / "tables", model="nano", method=SMALL, fps=1, report=tmp_path / "report")
    assert summary.succeeded and summary.frames == 2
    assert list((tmp_path / "report").iterdir())


def test_search_ranks_what_was_scanned(scanned: Path) -> None:
    hits = clipomaly.search(scanned, "a mattress on the road", 3).hits
    assert len(hits) == 3 and hits[0].score >= hits[1].score


def test_a_dataset_is_built_of_what_was_judged(scanned: Path, tmp_path: Path) -> None:
    from flows.mine import run_mine
    from schemas.review import Verdict
    from tasks.mining.mine import MiningOptions

    queue = tmp_path / "queue.db"
    run_mine(str(scanned), str(queue), MiningOptions(count=4))
    with clipomaly.Queue.open(queue) as opened:
        items = [leased.item.item_id for leased in opened.lease("ann", count=4)]
        opened.decide("ann", items, Verdict.RELABEL, "road junk")
    built = clipomaly.build_dataset(queue, scanned, tmp_path / "dataset", "coco", split="1/0/0", names=["road junk"])
    assert built.manifest.objects == ("road junk",)
    with pytest.raises(clipomaly.UserError, match="coco, coco-polygons, yolo-seg"):
        clipomaly.build_dataset(queue, scanned, tmp_path / "other", "voc")


def test_the_version_is_in_one_place_and_in_the_scan_record(capfd: pytest.CaptureFixture[str], scanned: Path) -> None:

    assert clipomaly.__version__ == version("clipomaly")
    [record] = [json.loads(path.read_text()) for path in (scanned / "_scans").iterdir()]
    assert (record["code_version"], record["code_commit"]) == (clipomaly.__version__, commit())
    printed = run_main(capfd, "--version").out
    assert clipomaly.__version__ in printed and (commit() or "") in printed
