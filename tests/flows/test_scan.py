"""The main job, from clips to rows."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from clipomaly_core.scores import Look
from tasks.footage.archive import find_sources
from tasks.masks import decode_mask
from tasks.tables import open_table
from tests.conftest import SMALL

from .files import part_files, rows


def test_real_clips_give_22_frames(clipomaly, shared_data, tmp_path):
    small = ("--set", "short_side=224")  # which frames are taken is shown here
    ran = clipomaly("scan", shared_data / "dashcam", "--out", tmp_path, "--fps", 2, "--runner", "inline", *small)
    assert ran.code == 0, ran.err
    frames = open_table(str(tmp_path), "frames").to_table().to_pandas()
    clips = frames["source_uri"].str.rsplit("/", n=1).str[-1]
    assert clips.value_counts().to_dict() == {"solidWhiteRight.mp4": 18, "test_video.mp4": 4}
    assert (frames["status"] == "ok").all()
    assert "demonstration" in ran.err


@pytest.mark.slow
def test_real_photos_give_36_frames(clipomaly, shared_data, tmp_path):
    ran = clipomaly("scan", shared_data / "roadanomaly-open" / "frames", "--out", tmp_path)
    assert ran.code == 0, ran.err
    frames = open_table(str(tmp_path), "frames").to_table().to_pandas()
    assert len(frames) == 36
    assert frames["frame_index"].is_unique


def test_every_mask_is_the_one_its_row_tells_of(scanned):
    instances = open_table(str(scanned), "instances").to_table().to_pandas()
    for row in instances.itertuples():
        mask = decode_mask(row.mask_rle, row.frame_height, row.frame_width)
        ys, xs = mask.nonzero()
        assert mask.sum() == row.area
        assert (xs.min(), ys.min()) == (row.bbox_x, row.bbox_y)
        assert (xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()) == (row.bbox_width, row.bbox_height)


def test_masks_are_those_of_the_model(scanned):
    """The row's mask against the model run again on the same source."""
    from tasks.footage.frames import read_frame
    from tasks.model import get_model
    from tasks.model_settings import ModelSettings
    from tasks.scanning.inference import SourceMaps

    instances = open_table(str(scanned), "instances").to_table().to_pandas()
    (uri, index), of_frame = next(iter(instances.groupby(["source_uri", "frame_index"])))
    frames = open_table(str(scanned), "frames").to_table(columns=["source_uri", "frame_index"]).to_pandas()
    model = get_model(ModelSettings("nano", method=tuple(SMALL.items())))
    maps = SourceMaps[int, Look](model.ordinary_logit)
    ready = []
    for number in sorted(frames[frames["source_uri"] == uri]["frame_index"]):
        ready += maps.add(uri, None, number, model.look([read_frame(uri, int(number))])[0])
    ready += maps.close()
    [one] = [one for one in ready if one.item == index]
    [result] = [finish() for finish in model.find([one.look], [one.usual])]
    told = [decode_mask(row.mask_rle, row.frame_height, row.frame_width) for row in of_frame.itertuples()]
    assert len(told) == len(result.instances)
    for instance in result.instances:
        assert any((mask == instance.mask).all() for mask in told)


def test_embeddings_are_unit_vectors_of_the_instances(scanned):
    instances = open_table(str(scanned), "instances").to_table(columns=["instance_id"]).to_pandas()
    embeddings = open_table(str(scanned), "embeddings").to_table().to_pandas()
    assert set(embeddings["instance_id"]) == set(instances["instance_id"])
    lengths = embeddings["embedding"].map(lambda vector: float((vector**2).sum()) ** 0.5)
    assert lengths.between(0.999, 1.001).all()


def test_raw_globs_see_what_open_table_sees(scanned):
    committed = len(open_table(str(scanned), "instances").to_table())
    glob = f"{scanned}/instances/**/*.parquet"
    [(seen,)] = duckdb.execute(f"SELECT count(*) FROM read_parquet('{glob}', hive_partitioning = true)").fetchall()
    assert seen == committed
    frame = pd.read_parquet(scanned / "instances")
    assert len(frame) == committed
    assert {"scan", "dt"} <= set(frame.columns)


def written(tables: Path) -> dict[Path, int]:
    """When each part file was written. Checkpoint and plan are not: a scan tells them anew."""
    own = {"_checkpoints", "_plans"}
    return {path: path.stat().st_mtime_ns for path in tables.rglob("*.parquet") if not own & set(path.parts)}


def test_a_second_run_does_nothing(clipomaly, drawn_archive, scanned):
    before = written(scanned)
    ran = clipomaly("scan", drawn_archive, "--out", scanned, "--fps", 2, "--shard-minutes", 0.04)
    assert ran.code == 0, ran.err
    assert "0 frames" in ran.out
    assert "4 sources scanned before" in ran.out
    assert written(scanned) == before


def test_prefixes_and_inventories(clipomaly, drawn_archive, scanned, tmp_path):
    drives = sorted(folder.name for folder in drawn_archive.iterdir())
    options = ("--out", tmp_path / "T", "--fps", 0.5, "--shard-minutes", 0.04)
    ran = clipomaly("scan", drawn_archive, *options, "--prefix", drives[1])
    assert ran.code == 0 and "of 2 sources scanned" in ran.out, ran.out + ran.err
    rows = [f"{source.uri},{source.size},{source.etag}" for source in find_sources(str(drawn_archive)).sources]
    (tmp_path / "fleet.csv").write_text("\n".join(["uri,size,etag", *rows]))
    ran = clipomaly("scan", drawn_archive, *options, "--inventory", tmp_path / "fleet.csv")
    assert ran.code == 0 and "2 sources scanned before" in ran.out, ran.out + ran.err
    whole = open_table(str(tmp_path / "T"), "frames").to_table(columns=["source_uri", "frame_index"])
    expected = open_table(str(scanned), "frames").to_table(columns=["source_uri", "frame_index"]).to_pylist()
    first = [row for row in expected if row["frame_index"] == 0]
    assert sorted(whole.to_pylist(), key=str) == sorted(first, key=str)
    (tmp_path / "fleet.csv").write_text("\n".join(["uri,size,etag", rows[0], "s3://elsewhere/x.mp4,1,e"]))
    ran = clipomaly("scan", drawn_archive, *options, "--inventory", tmp_path / "fleet.csv")
    assert ran.code == 2 and "row 2: s3://elsewhere/x.mp4 is not below the archive" in ran.err


def test_other_options_are_another_generation(clipomaly, drawn_archive, tmp_path):
    for score in ("candidate_probability", "entropy"):
        ran = clipomaly("scan", drawn_archive, "--out", tmp_path, "--fps", 0.5, "--set", f"score={score}")
        assert ran.code == 0, ran.err
    assert len(list((tmp_path / "_scans").iterdir())) == 2
    frames = open_table(str(tmp_path), "frames").to_table()
    assert len(frames) == 4  # of each source the newest generation only
    assert len(set(frames["scan"].to_pylist())) == 1


def test_s3_gives_the_same_rows(clipomaly, drawn_archive, scanned, s3):
    import fsspec

    store = fsspec.filesystem("s3")
    store.put(f"{drawn_archive}/", f"{s3}/archive/", recursive=True)
    ran = clipomaly("scan", f"{s3}/archive", "--out", f"{s3}/tables", "--fps", 2, "--shard-minutes", 0.04)
    assert ran.code == 0, ran.out + ran.err
    for table in ("instances", "frames"):
        assert_frame_equal(rows(f"{s3}/tables", table), rows(str(scanned), table))


def test_a_killed_scan_run_again_equals_an_uninterrupted_one(clipomaly, drawn_archive, scanned, tmp_path):
    command = ["scan", str(drawn_archive), "--out", str(tmp_path), "--fps", "2", "--shard-minutes", "0.04"]
    with (tmp_path / "log").open("w") as log:
        program = [sys.executable, "-m", "clipomaly", *command]
        scan = subprocess.Popen(program, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("_commits/*/*.json")):
            assert scan.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.01)
        os.killpg(scan.pid, signal.SIGKILL)
        scan.wait()
    done = len(list(tmp_path.glob("_commits/*/*.json")))
    assert 0 < done < 4, "killed too late to show anything"
    committed = len(open_table(str(tmp_path), "frames").to_table())
    assert committed == 4 * done
    again = clipomaly(*command)
    assert again.code == 0, again.err
    assert part_files(tmp_path) == part_files(scanned)
