"""Datasets as their readers see them: every format is opened by a reader that is not ours."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from schemas.dataset import DatasetFrame, Label, Role, Split
from schemas.dataset_format import DatasetFormat
from schemas.review import Box, MaskState, QueuedItem, RepairedMask, Verdict
from tasks.datasets.build import DatasetOptions, build_dataset, read_manifest
from tasks.datasets.cityscapes import LABEL_IDS
from tasks.datasets.coco import polygons
from tasks.datasets.judged_items import Wanted
from tasks.datasets.manifest import Manifest
from tasks.datasets.selection import select
from tasks.datasets.split import near_pairs, read_shares, split_drives, split_of
from tasks.errors import UsageError, UserError
from tasks.footage.frames import read_frame
from tasks.masks import decode_mask, encode_mask
from tasks.tables import Tables, open_table
from tests.tasks.dataset_samples import (
    DECIDED,
    Judged,
    judge_by_colour,
    judged_fleet,
    scan_fleet,
    with_status,
    write_fleet,
)
from tests.tasks.samples import write_video

Mask = npt.NDArray[np.bool_]
Found = dict[tuple[str, str, bytes], int]
HALVES = (0.5, 0.25, 0.25)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    root = tmp_path_factory.mktemp("fleet")
    archive = write_fleet(root / "archive")
    return judged_fleet(archive, scan_fleet(archive, root / "tables"))


def build(fleet: Judged, out: Path, form: DatasetFormat, **changes: Any) -> Manifest:
    options = DatasetOptions(fleet.tables, form, shares=HALVES)
    return build_dataset(fleet.walk, str(out), replace(options, **changes)).manifest


def truth(fleet: Judged) -> dict[str, list[tuple[str, Mask]]]:
    """For each frame_id the names and masks that the tables and the decisions give, by hand."""
    decided = {}
    for queued in fleet.items:
        for seen in queued.item.track:
            decided[queued.item.source_uri, seen.frame_index, queued.item.name] = queued.status.name
    rows = open_table(fleet.tables, "instances").to_table().to_pandas()
    found: dict[str, list[tuple[str, Mask]]] = {}
    ids = {(frame.source_uri, frame.frame_index): frame.frame_id for frame in frames_of(fleet)}
    for row in rows.itertuples():
        name = decided.get((row.source_uri, row.frame_index, row.name))
        if name and (row.source_uri, row.frame_index) in ids:
            mask = decode_mask(row.mask_rle, row.frame_height, row.frame_width)
            found.setdefault(ids[row.source_uri, row.frame_index], []).append((name, mask))
    return found


def frames_of(fleet: Judged):
    return select(fleet.walk(), Tables.at(fleet.tables), Wanted(), 0, HALVES).frames


def assert_masks(found: dict[str, list[tuple[str, Mask]]], wanted: dict[str, list[tuple[str, Mask]]]) -> None:
    def keyed(masks: dict[str, list[tuple[str, Mask]]]) -> list[tuple[str, str, bytes]]:
        return sorted((frame, name, mask.tobytes()) for frame, of in masks.items() for name, mask in of)

    assert {frame: len(of) for frame, of in found.items() if of} == {frame: len(of) for frame, of in wanted.items()}
    assert keyed(found) == keyed(wanted)


def test_coco_as_torchvision_and_pycocotools_read_it(fleet, tmp_path):
    from torchvision.datasets import CocoDetection

    manifest = build(fleet, tmp_path / "coco", DatasetFormat.COCO)
    found: dict[str, list[tuple[str, Mask]]] = {}
    for split in Split:
        data = CocoDetection(
            str(tmp_path / "coco" / "images" / split),
            str(tmp_path / "coco" / "annotations" / f"instances_{split}.json"),
        )
        names = {number: category["name"] for number, category in data.coco.cats.items()}
        assert list(names.values()) == ["green ball", "red thing", "car"]
        for place, (picture, annotations) in enumerate(data):
            told = data.coco.imgs[data.ids[place]]
            assert picture.size == (told["width"], told["height"])
            masks = [(names[one["category_id"]], data.coco.annToMask(one).astype(bool)) for one in annotations]
            for one, (_, mask) in zip(annotations, masks, strict=True):
                assert one["area"] == mask.sum()
                assert tuple(one["bbox"]) == cv2.boundingRect(mask.astype(np.uint8))
            found[Path(told["file_name"]).stem] = masks
    assert_masks(found, truth(fleet))
    assert manifest.limits == ()


def test_coco_polygons_as_pycocotools_reads_them(fleet, tmp_path):
    from pycocotools.coco import COCO

    manifest = build(fleet, tmp_path / "coco", DatasetFormat.COCO_POLYGONS)
    found: dict[str, list[tuple[str, Mask]]] = {}
    for split in Split:
        data = COCO(str(tmp_path / "coco" / "annotations" / f"instances_{split}.json"))
        for one in data.loadAnns(data.getAnnIds()):
            assert all(len(polygon) >= 6 for polygon in one["segmentation"])
            frame = Path(data.imgs[one["image_id"]]["file_name"]).stem
            found.setdefault(frame, []).append((data.cats[one["category_id"]]["name"], data.annToMask(one) > 0))
    wanted = {frame: [(name, fill(mask)[0]) for name, mask in of] for frame, of in truth(fleet).items()}
    assert_masks(found, wanted)
    holes = [int(fill(mask)[0].sum() - mask.sum()) for of in truth(fleet).values() for _, mask in of]
    assert (manifest.losses.holes, manifest.losses.hole_pixels) == (int(np.count_nonzero(holes)), sum(holes)) > (0, 0)
    assert manifest.losses.divided == 0 and any("holes" in limit for limit in manifest.limits)


@pytest.mark.parametrize("seed", range(8))
def test_polygons_give_any_mask_without_holes_back(seed):
    ragged = cv2.blur(np.random.default_rng(seed).random((40, 60)), (1 + seed % 4, 1 + seed % 3)) > 0.55
    mask = fill(ragged)[0]
    frame = frames_like(mask)
    outlines = polygons(frame.labels[0], frame)
    again = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, *mask.shape))).astype(bool)
    assert (again == mask).all()


def frames_like(mask: Mask) -> DatasetFrame:
    """A frame with one label of this mask."""
    blank: dict[str, Any] = {field.name: None for field in fields(Label)}
    label = Label(**(blank | {"mask_rle": encode_mask(mask), "role": Role.OBJECT, "name": "thing"}))
    rest: dict[str, Any] = {field.name: None for field in fields(DatasetFrame)}
    return DatasetFrame(**(rest | {"height": mask.shape[0], "width": mask.shape[1], "labels": (label,)}))


def test_yolo_as_supervision_reads_it(fleet, tmp_path):
    import supervision as sv

    root = tmp_path / "yolo"
    manifest = build(fleet, root, DatasetFormat.YOLO_SEG)
    found: dict[str, list[tuple[str, Mask]]] = {}
    for split in Split:
        data = sv.DetectionDataset.from_yolo(
            str(root / "images" / split), str(root / "labels" / split), str(root / "data.yaml"), force_masks=True
        )
        for path, _, detections in data:
            assert detections.class_id is not None
            names = [data.classes[number] for number in detections.class_id]
            masks = [] if detections.mask is None else list(detections.mask)
            found[Path(path).stem] = list(zip(names, masks, strict=True))
    holes = divided = 0
    wanted: dict[str, list[tuple[str, Mask]]] = {}
    for frame, of_frame in truth(fleet).items():
        for name, mask in of_frame:
            filled, parts = fill(mask)
            holes += int(filled.sum() > mask.sum())
            divided += int(len(parts) > 1)
            wanted.setdefault(frame, []).extend((name, part) for part in parts)
    assert_masks(found, wanted)
    assert manifest.losses.holes == holes > 0
    assert manifest.losses.hole_pixels == 2 * holes
    assert manifest.losses.divided == divided > 0
    assert any("holes" in limit for limit in manifest.limits)


def fill(mask: Mask) -> tuple[Mask, list[Mask]]:
    """A mask with its holes filled, and its parts: by flooding the outside, which outlines have nothing to do with."""
    padded = np.pad(mask, 1).astype(np.uint8)
    outside = padded.copy()
    cv2.floodFill(outside, None, (0, 0), 2)
    filled = (outside != 2)[1:-1, 1:-1]
    count, labels = cv2.connectedComponents(filled.astype(np.uint8), connectivity=8)
    return filled, [labels == number for number in range(1, count)]


def test_webdataset_as_its_own_library_reads_it(fleet, tmp_path):
    import webdataset

    root = tmp_path / "wds"
    build(fleet, root, DatasetFormat.WEBDATASET)
    found: dict[str, list[tuple[str, Mask]]] = {}
    for tar in sorted(root.glob("*.tar")):
        for sample in webdataset.WebDataset(str(tar), shardshuffle=False).decode("rgb8"):
            picture = sample["jpg"]
            told = sample["json"]
            assert picture.shape == (told["height"], told["width"], 3)
            found[sample["__key__"]] = [
                (one["name"], coco_mask.decode(one["segmentation"]).astype(bool)) for one in told["instances"]
            ]
    assert_masks(found, truth(fleet))


def test_cityscapes_as_opencv_reads_it(fleet, tmp_path):
    import yaml

    root = tmp_path / "cityscapes"
    manifest = build(fleet, root, DatasetFormat.CITYSCAPES)
    names = [entry["name"] for entry in yaml.safe_load((root / "vocabulary.yaml").read_text())["known"]]
    assert names == ["road", "green ball", "red thing", "car"]  # V of the scan first
    wanted = truth(fleet)
    found: dict[str, list[tuple[str, Mask]]] = {}
    for path in sorted(root.glob("gtFine/*/*/*_gtFine_labelTrainIds.png")):
        labels = np.asarray(Image.open(path))
        instances = np.asarray(Image.open(str(path).replace("labelTrainIds", "instanceIds")))
        picture = Image.open(
            str(path).replace("gtFine/", "leftImg8bit/", 1).replace("gtFine_labelTrainIds", "leftImg8bit")
        )
        assert picture.size[::-1] == labels.shape == instances.shape
        assert labels.dtype == np.uint8 and instances.dtype == np.uint16
        np.testing.assert_array_equal(labels == 255, instances == 0)
        frame = path.name.removesuffix("_gtFine_labelTrainIds.png")
        for number in np.unique(instances[instances != 0]):
            [value] = np.unique(labels[instances == number])
            found.setdefault(frame, []).append((names[value], instances == number))
    hidden = smallest_on_top(wanted)
    assert_masks(found, wanted)
    assert manifest.losses.hidden_pixels == hidden


def smallest_on_top(masks: dict[str, list[tuple[str, Mask]]]) -> int:
    """Take from each mask what smaller ones cover; how many pixels that are."""
    hidden = 0
    for of_frame in masks.values():
        taken = np.zeros(of_frame[0][1].shape, bool)
        for place, (name, mask) in sorted(enumerate(of_frame), key=lambda item: item[1][1].sum()):
            hidden += int((mask & taken).sum())
            of_frame[place] = (name, mask & ~taken)
            taken |= mask
    return hidden


def test_cityscapes_as_torchvision_reads_it(fleet, tmp_path):
    from torchvision.datasets import Cityscapes

    root = tmp_path / "cityscapes"
    build(fleet, root, DatasetFormat.CITYSCAPES)
    official = {known.name: known.id for known in Cityscapes.classes}
    ids = {official["road"]: "road", official["car"]: "car", 34: "green ball", 35: "red thing"}
    found: dict[str, list[tuple[str, Mask]]] = {}
    for split in {frame.split for frame in frames_of(fleet)}:
        data = Cityscapes(str(root), split=split.value, mode="fine", target_type=["semantic", "instance"])
        for image_path, (picture, (semantic, instance)) in zip(data.images, data, strict=True):
            labels, instances = np.asarray(semantic), np.asarray(instance)
            assert picture.size == semantic.size == instance.size
            assert ((labels == 0) == (instances == 0)).all()
            assert (labels == instances // 1000).all()
            frame = Path(image_path).name.removesuffix("_leftImg8bit.png")
            for number in np.unique(instances[instances != 0]):
                found.setdefault(frame, []).append((ids[int(number) // 1000], instances == number))
    wanted = truth(fleet)
    smallest_on_top(wanted)
    assert_masks(found, wanted)


def test_label_ids_are_those_of_cityscapes():
    from torchvision.datasets import Cityscapes

    judged = {known.name: known.id for known in Cityscapes.classes if known.train_id not in (-1, 255)}
    assert judged == LABEL_IDS


def test_webdataset_as_hugging_face_reads_it(fleet, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    root = tmp_path / "wds"
    build(fleet, root, DatasetFormat.WEBDATASET)
    found: dict[str, list[tuple[str, Mask]]] = {}
    for split in {frame.split for frame in frames_of(fleet)}:
        files = {"rows": str(root / f"{split.value}-*.tar")}
        for row in datasets.load_dataset("webdataset", data_files=files, split="rows", cache_dir=str(tmp_path / "hub")):
            told = row["json"]
            assert row["jpg"].size == (told["width"], told["height"])
            found[row["__key__"]] = [
                (one["name"], coco_mask.decode(one["segmentation"]).astype(bool)) for one in told["instances"]
            ]
    assert_masks(found, truth(fleet))


@pytest.mark.parametrize("form", [DatasetFormat.PARQUET, DatasetFormat.WEBDATASET])
def test_hugging_face_opens_the_folder_by_its_card(fleet, tmp_path, form):
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    manifest = build(fleet, tmp_path / "out", form)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "hub"))
    assert {split: len(rows) for split, rows in loaded.items()} == {
        one.split: one.frames for one in manifest.counts.splits if one.frames
    }
    if form is DatasetFormat.PARQUET:
        row = loaded["train"][0]
        assert row["image"].size == (row["width"], row["height"])
        found = {
            row["frame_id"]: [
                (one["name"], decode_mask(one["mask_rle"], row["height"], row["width"])) for one in row["instances"]
            ]
            for rows in loaded.values()
            for row in rows
        }
        assert_masks(found, truth(fleet))


def test_every_card_begins_with_what_the_hub_reads(fleet, tmp_path):
    import yaml

    build(fleet, tmp_path / "out", DatasetFormat.COCO)
    _, front, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["size_categories"] == ["n<1K"] and "configs" not in told
    assert text.lstrip().startswith("# Dataset of unusual objects")


@pytest.mark.parametrize("shares", [HALVES, (1.0, 0.0, 0.0)], ids=["all splits", "empty val"])
def test_yolo_as_ultralytics_checks_it_from_another_folder(fleet, tmp_path, shares):
    pytest.importorskip("cpuinfo", reason="the package ultralytics is not installed")
    root = tmp_path / "yolo"
    build(fleet, root, DatasetFormat.YOLO_SEG, shares=shares)
    # In a process of its own: importing Ultralytics changes how Pillow opens images.
    program = (
        "import json, sys; from ultralytics.data.utils import check_det_dataset as check; "
        "print(json.dumps([{k: v if k == 'names' else str(v) for k, v in check(path, autodownload=False).items()}"
        " for path in sys.argv[1:]]))"
    )
    environment = os.environ | {"YOLO_CONFIG_DIR": str(tmp_path / "config"), "YOLO_OFFLINE": "true"}
    command = [sys.executable, "-c", program, str(root / "data.yaml"), "yolo/data.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    for checked in json.loads(ran.stdout.splitlines()[-1]):
        assert Path(checked["train"]) == root / "images" / "train"
        assert Path(checked["val"]) == root / "images" / "val"
        assert list(checked["names"].values()) == ["green ball", "red thing", "car"]


def test_parquet_as_duckdb_reads_it(fleet, tmp_path):
    root = tmp_path / "parquet"
    build(fleet, root, DatasetFormat.PARQUET)
    found: dict[str, list[tuple[str, Mask]]] = {}
    rows = duckdb.execute(
        f"SELECT frame_id, height, width, image.bytes, instances FROM read_parquet('{root}/data/*.parquet')"
    ).fetchall()
    for frame, height, width, data, instances in rows:
        assert Image.open(BytesIO(data)).size == (width, height)
        found[frame] = [(one["name"], decode_mask(one["mask_rle"], height, width)) for one in instances]
    assert_masks(found, truth(fleet))


@pytest.mark.parametrize("form", list(DatasetFormat))
def test_the_same_selection_gives_the_same_bytes(fleet, tmp_path, form):
    build(fleet, tmp_path / "one", form)
    build(replace(fleet, items=fleet.items[::-1]), tmp_path / "two", form)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def read_table(path: Path) -> Any:
    """A pandas frame of a Parquet file, as DuckDB reads it."""
    return duckdb.execute("FROM read_parquet(?)", [str(path)]).df()


def test_pictures_are_copied_where_they_can_be_and_upright_where_not(fleet, tmp_path):
    root = tmp_path / "coco"
    build(fleet, root, DatasetFormat.COCO)
    rows = read_table(root / "frames.parquet")
    originals = {path.read_bytes() for path in fleet.archive.rglob("photos/*")}
    seen = {True: 0, False: 0}
    for row in rows.itertuples():
        data = (root / row.path).read_bytes()
        if "/photos/" in row.source_uri:
            assert (data in originals) == row.copied
        seen[row.copied] += 1
        shown = np.asarray(Image.open(BytesIO(data)).convert("RGB"))  # by a reader that knows nothing of EXIF
        frame = read_frame(row.source_uri, row.frame_index)
        assert shown.shape == frame.shape
        assert np.abs(shown.astype(int) - frame).mean() < (0.001 if row.copied else 3)
    assert seen[True] and seen[False]
    assert not rows[rows.source_uri.str.endswith(".mp4")].copied.any()


def test_the_manifest_accounts_for_every_file_and_decision(fleet, tmp_path):
    import hashlib

    root = tmp_path / "coco"
    manifest = build(fleet, root, DatasetFormat.COCO)
    told = {file.path: (file.size, file.sha256) for file in manifest.files}
    frames = read_table(root / "frames.parquet")
    told |= {row.path: (row.picture_size, row.picture_sha256) for row in frames.itertuples()}
    there = {path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in content(root).items()}
    del there["manifest.json"]
    assert told == there
    labels = read_table(root / "labels.parquet")
    assert set(labels.item_id) == {queued.item.item_id for queued in fleet.items}
    for row in labels.itertuples():
        [queued] = [one for one in fleet.items if one.item.item_id == row.item_id]
        assert (row.verdict, row.reviewer, row.scan_id) == (
            queued.status.verdict,
            queued.status.decided_by,
            queued.item.scan_id,
        )
    assert manifest.scans[0].model == "blobs"
    assert sum(split.instances for split in manifest.counts.splits) == len(labels)
    card = (root / "README.md").read_text()
    assert "| green ball | object |" in card and "![A dozen samples](samples.jpg)" in card
    assert (root / "samples.jpg").is_file()
    assert not (root / "_build").exists()


def test_background_is_a_frame_without_instances(fleet, tmp_path):
    def judge(name: str) -> tuple[Verdict, str | None]:
        return (Verdict.NOT_AN_OBJECT, None) if name == "blue thing" else judge_by_colour(name)

    judged = judged_fleet(fleet.archive, fleet.tables, judge)
    manifest = build(judged, tmp_path / "with", DatasetFormat.YOLO_SEG)
    assert sum(split.background for split in manifest.counts.splits) > 0
    assert manifest.known == ()
    empty = [path for path in (tmp_path / "with" / "labels").rglob("*.txt") if path.stat().st_size == 0]
    assert len(empty) == sum(split.background for split in manifest.counts.splits)
    without = build(judged, tmp_path / "without", DatasetFormat.YOLO_SEG, wanted=Wanted(background=False))
    assert sum(split.background for split in without.counts.splits) == 0


# ------------------------------------------------------------------------------------------ selection


@pytest.mark.parametrize(
    ("wanted", "keeps"),
    [
        (Wanted(names=("Green-Balls",)), lambda one: one.status.name == "green ball"),
        (Wanted(drives=("drive-1", "drive-2")), lambda one: one.item.drive in ("drive-1", "drive-2")),
        (Wanted(reviewers=("ada",)), lambda one: one.status.decided_by == "ada"),
        (Wanted(known=False), lambda one: one.status.verdict is not Verdict.KNOWN),
        (Wanted(first_day=date(2026, 11, 22), last_day=date(2026, 11, 22)), lambda one: True),
    ],
)
def test_filters(fleet, wanted, keeps):
    selection = select(fleet.walk(), Tables.at(fleet.tables), wanted, 0, HALVES)
    found = {label.item_id for frame in selection.frames for label in frame.labels}
    assert found == {one.item.item_id for one in fleet.items if keeps(one)}


def test_best_frames_of_a_track(fleet):
    selection = select(fleet.walk(), Tables.at(fleet.tables), Wanted(best=2), 0, HALVES)
    taken: dict[str, list[int]] = {}
    for frame in selection.frames:
        for label in frame.labels:
            taken.setdefault(label.item_id, []).append(frame.frame_index)
    for queued in fleet.items:
        indices = taken[queued.item.item_id]
        assert len(indices) == min(2, len(queued.item.track))
        assert queued.item.frame_index in indices


def test_agreement_is_that_of_look_alikes(fleet):
    items = list(fleet.items)
    red = [place for place, one in enumerate(items) if one.item.name == "red thing"]
    [odd] = with_status([items[red[0]]], verdict=Verdict.RELABEL, name="balloon")
    items[red[0]] = odd
    share = (len(red) - 1) / len(red)
    for least, there in ((share, True), (share + 0.01, False)):
        selection = select(items, Tables.at(fleet.tables), Wanted(agreement=least), 0, HALVES)
        assert "balloon" not in selection.objects
        assert ("red thing" in selection.objects) == there


def test_unlabelled_instances_are_counted_and_left_out_on_demand(fleet):
    red = [one for one in fleet.items if one.item.name == "red thing"]
    every = select(fleet.walk(), Tables.at(fleet.tables), Wanted(), 0, HALVES).frames
    beside = {(frame.source_uri, frame.frame_index): len(frame.labels) for frame in every}
    for frame in select(red, Tables.at(fleet.tables), Wanted(), 0, HALVES).frames:
        assert frame.unlabelled == beside[frame.source_uri, frame.frame_index] - len(frame.labels)
    assert all(frame.unlabelled == 0 for frame in every)


def test_spellings_of_one_name_are_one_class(fleet):
    red = [one for one in fleet.items if one.item.name == "red thing"]
    mixed = (*with_status(red[:-1], name="traffic cone"), *with_status(red[-1:], name="Traffic-Cones"))
    assert select(mixed, Tables.at(fleet.tables), Wanted(), 0, HALVES).objects == ("traffic cone",)


def test_what_two_scans_found_is_labelled_once_by_the_later_decision(fleet, tmp_path):
    twin = replace(fleet.items[0].item, item_id="twin", scan_id="another")
    later = replace(fleet.items[0].status, name="late name", verdict=Verdict.RELABEL)
    later = replace(later, decided_at=later.decided_at.replace(year=2027))
    both = (*fleet.items, replace(fleet.items[0], item=twin, status=later))
    selection = select(both, Tables.at(fleet.tables), Wanted(), 0, HALVES)
    assert selection.without_rows == 1
    own = (fleet.items[0].item.source_uri, fleet.items[0].item.frame_index)
    [frame] = [frame for frame in selection.frames if (frame.source_uri, frame.frame_index) == own]
    named = [label.name for label in frame.labels if label.box == twin.box]
    assert named == ["late name"]


# --------------------------------------------------------------------------------------------- splits


def test_a_drive_never_changes_its_split_when_data_is_added(fleet):
    few = [one for one in fleet.items if one.item.drive in ("drive-0", "drive-3")]
    before = {frame.drive: frame.split for frame in select(few, Tables.at(fleet.tables), Wanted(), 3, HALVES).frames}
    after: dict[str, set[Split]] = {}
    for frame in select(fleet.walk(), Tables.at(fleet.tables), Wanted(), 3, HALVES).frames:
        after.setdefault(frame.drive, set()).add(frame.split)
    assert all(len(splits) == 1 for splits in after.values())
    assert all(after[drive] == {split} for drive, split in before.items())


def test_shares_are_met_by_many_drives_and_hang_on_the_seed():
    drives = [f"drive {number}" for number in range(5000)]
    splits = [split_of(drive, 0, (0.8, 0.1, 0.1)) for drive in drives]
    assert abs(splits.count(Split.TRAIN) / 5000 - 0.8) < 0.02
    assert abs(splits.count(Split.VAL) / 5000 - 0.1) < 0.02
    assert splits != [split_of(drive, 1, (0.8, 0.1, 0.1)) for drive in drives]
    assert {split_of(drive, 0, (0.5, 0.5, 0.0)) for drive in drives} == {Split.TRAIN, Split.VAL}


@pytest.mark.parametrize("text", ["80/20", "a/b/c", "0/0/0", "-1/1/1", "nan/1/1", "", "1/2/3/4", "inf/1/1"])
def test_shares_that_are_none(text):
    with pytest.raises(UsageError, match="80/10/10"):
        read_shares(text)


def test_near_duplicates_across_splits_are_those_of_a_plain_comparison(fleet):
    selection = select(fleet.walk(), Tables.at(fleet.tables), Wanted(), 0, HALVES)
    pairs = near_pairs(selection.embeddings, 0.999)
    vectors = {one.item_id: np.frombuffer(one.embedding, "<f2").astype(float) for one in selection.embeddings}
    near = set()
    for one in selection.embeddings:
        for other in selection.embeddings:
            a, b = vectors[one.item_id], vectors[other.item_id]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            if list(Split).index(one.split) > list(Split).index(other.split) and cosine >= 0.999:
                near.add((one.frame_id, other.split))
    assert {(pair.frame_id, pair.other_split) for pair in pairs} == near
    assert near, "nothing alike in the sample: the test shows nothing"
    assert not near_pairs([replace(one, split=Split.TRAIN) for one in selection.embeddings], 0.0)


# ---------------------------------------------------------------------------------- resuming and places


_KILLED = """
import sys
from pathlib import Path
from tests.tasks.dataset_samples import judged_fleet
from tasks.datasets.cityscapes import LABEL_IDS
from tasks.datasets.build import DatasetOptions, build_dataset
import time
from tasks.datasets import plan
plan.PART_FRAMES = 2
replace = plan.replace_file
def slowly(place, data, durable=True):
    time.sleep(0.02)
    replace(place, data, durable=durable)
plan.replace_file = slowly
fleet = judged_fleet(Path(sys.argv[1]), sys.argv[2])
build_dataset(fleet.walk, sys.argv[3], DatasetOptions(fleet.tables, sys.argv[4], shares=(0.5, 0.25, 0.25)))
"""


@pytest.mark.parametrize(
    "form", [DatasetFormat.YOLO_SEG, pytest.param(DatasetFormat.WEBDATASET, marks=pytest.mark.slow)]
)
def test_a_killed_build_goes_on_to_the_same_bytes(fleet, tmp_path, form, monkeypatch):
    monkeypatch.setattr("tasks.datasets.plan.PART_FRAMES", 2)
    build(fleet, tmp_path / "whole", form)
    out = tmp_path / "killed"
    command = [sys.executable, "-c", _KILLED, str(fleet.archive), fleet.tables, str(out), form.value]
    build_process = subprocess.Popen(command, start_new_session=True, env={**os.environ, "PYTHONPATH": os.getcwd()})
    parts = random.Random(7).randint(2, 5)
    deadline = time.monotonic() + 300
    while len(list(out.glob("_build/parts/*.json"))) < parts:
        assert build_process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(build_process.pid, signal.SIGKILL)
    build_process.wait()
    done = {path: path.stat().st_mtime_ns for path in out.rglob("images/*/*")}
    assert read_manifest(str(out)) is None
    # Decisions that come in meanwhile do not disturb it.
    options = DatasetOptions(fleet.tables, form, shares=HALVES)
    again = build_dataset(lambda: iter(()), str(out), options)
    assert again.resumed
    assert content(out) == content(tmp_path / "whole")
    recorded = sum(path.stat().st_mtime_ns == moment for path, moment in done.items() if path.exists())
    assert recorded >= 2 * (parts - 1) or form is DatasetFormat.WEBDATASET


def test_building_again_into_the_same_place(fleet, tmp_path):
    build(fleet, tmp_path / "out", DatasetFormat.COCO)
    before = content(tmp_path / "out")
    options = DatasetOptions(fleet.tables, DatasetFormat.COCO, shares=HALVES)
    assert build_dataset(fleet.walk, str(tmp_path / "out"), options).there
    with pytest.raises(UserError, match="another selection"):
        build(fleet, tmp_path / "out", DatasetFormat.COCO, seed=1)
    assert content(tmp_path / "out") == before


def test_a_bucket_holds_the_same_dataset(fleet, tmp_path, s3):
    import fsspec

    build(fleet, tmp_path / "local", DatasetFormat.YOLO_SEG)
    options = DatasetOptions(fleet.tables, DatasetFormat.YOLO_SEG, shares=HALVES)
    build_dataset(fleet.walk, f"{s3}/data/set", options)
    store = fsspec.filesystem("s3")
    root = f"{s3}/data/set".removeprefix("s3://")
    there = {path.removeprefix(f"{root}/"): store.cat_file(path) for path in store.find(root)}
    assert there == content(tmp_path / "local")


# ------------------------------------------------------------------------------------------ bad input


@pytest.fixture
def small(tmp_path: Path) -> Judged:
    """Two drives that a test may damage."""
    archive = tmp_path / "archive"
    for drive in ("one", "two", "three", "four"):
        write_video(archive / drive / "20261122_031500.mp4", frames=6)
    return judged_fleet(archive, scan_fleet(archive, tmp_path / "tables"))


def nothing_written(out: Path) -> bool:
    return not out.exists() or not any(path.is_file() for path in out.rglob("*"))


def test_an_empty_selection(small, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"of 12 usable decisions, none passes"):
        build(small, out, DatasetFormat.COCO, wanted=Wanted(names=("unicorn",)))
    with pytest.raises(UserError, match="Judge some items"):
        build(replace(small, items=()), out, DatasetFormat.COCO)
    assert nothing_written(out)


def test_a_name_that_is_both_known_and_accepted(small, tmp_path):
    items = (*small.items[:-1], *with_status(small.items[-1:], verdict=Verdict.KNOWN, name="Red things"))
    with pytest.raises(UserError, match=r"'red thing' is a known class to \w+ .* an unknown object to"):
        build(replace(small, items=items), tmp_path / "out", DatasetFormat.COCO)
    assert nothing_written(tmp_path / "out")


def test_one_drive_is_all_for_training(small, tmp_path):
    manifest = build(small, tmp_path / "out", DatasetFormat.COCO, wanted=Wanted(drives=("one",)))
    assert {split.split for split in manifest.counts.splits if split.frames} == {Split.TRAIN}
    assert [warning.split(":")[0] for warning in manifest.warnings] == ["val is empty", "test is empty"]


def test_two_drives_leave_one_of_three_splits_empty(small, tmp_path):
    two = Wanted(drives=("one", "two"))
    manifest = build(small, tmp_path / "out", DatasetFormat.COCO, wanted=two, shares=(0.999, 0.0005, 0.0005))
    assert {split.split for split in manifest.counts.splits if split.frames} == {Split.TRAIN, Split.VAL}
    assert any("is in val, which had no drive" in warning for warning in manifest.warnings)
    assert any(warning.startswith("test is empty") for warning in manifest.warnings)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [3, 4, 9])
def test_no_split_is_empty_where_there_are_drives_enough(seed, count):
    drives = [f"car-{number}" for number in range(count)]
    splits = split_drives(drives, seed, (0.8, 0.1, 0.1))
    assert set(splits.values()) == set(Split)
    assert splits == split_drives(drives[::-1], seed, (0.8, 0.1, 0.1))


def test_added_drives_move_none_that_its_hash_put_there():
    drives = [f"car-{number}" for number in range(60)]
    before, after = (split_drives(drives[:count], 0, (0.8, 0.1, 0.1)) for count in (40, 60))
    assert before.items() <= after.items()


def test_a_source_that_is_gone(small, tmp_path):
    (small.archive / "two" / "20261122_031500.mp4").unlink()
    with pytest.raises(UserError, match=r"1 source .* gone from the archive, such as .*two"):
        build(small, tmp_path / "out", DatasetFormat.COCO)
    assert nothing_written(tmp_path / "out")
    options = DatasetOptions(small.tables, DatasetFormat.COCO, shares=HALVES)
    manifest = build_dataset(small.walk, str(tmp_path / "out"), options, skip_missing=True).manifest
    assert len(manifest.missing) == 6 // 2
    assert "Left out:" in (tmp_path / "out" / "README.md").read_text()
    frames = duckdb.execute(f"SELECT DISTINCT drive FROM '{tmp_path}/out/frames.parquet'").fetchall()
    assert {drive for (drive,) in frames} == {"one", "three", "four"}


def test_frames_that_are_gone_can_come_back(small, tmp_path):
    clip = small.archive / "two" / "20261122_031500.mp4"
    whole = clip.read_bytes()
    write_video(clip, frames=2)
    with pytest.raises(UserError, match=r"2 of 12 frames can no longer be read.*--skip-missing"):
        build(small, tmp_path / "out", DatasetFormat.COCO)
    assert read_manifest(str(tmp_path / "out")) is None
    clip.write_bytes(whole)
    manifest = build(small, tmp_path / "out", DatasetFormat.COCO)
    assert manifest.missing == ()


def test_a_place_that_holds_something_else(small, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        build(small, tmp_path / "out", DatasetFormat.COCO)
    assert content(tmp_path / "out") == {"thesis.txt": b"mine"}


def test_a_place_that_cannot_be_written(small, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write"):
        build(small, tmp_path / "file" / "out", DatasetFormat.COCO)


def test_tables_that_are_not_there(small, tmp_path):
    with pytest.raises(UserError, match="no tables"):
        build(replace(small, tables=str(tmp_path / "nowhere")), tmp_path / "out", DatasetFormat.COCO)
    assert nothing_written(tmp_path / "out")


def _with_masks(fleet: Judged, change: Callable[[int, QueuedItem], QueuedItem]) -> Judged:
    return replace(fleet, items=tuple(change(number, queued) for number, queued in enumerate(fleet.items)))


def test_unknown_object_is_no_class_and_wrong_masks_are_left_out(fleet):
    unnamed, wrong = fleet.items[0].item.item_id, fleet.items[1].item.item_id

    def change(number: int, queued: QueuedItem) -> QueuedItem:
        if queued.item.item_id == unnamed:
            return replace(queued, status=replace(queued.status, name="Unknown objects", verdict=Verdict.RELABEL))
        return replace(queued, mask_state=MaskState.WRONG) if queued.item.item_id == wrong else queued

    changed = _with_masks(fleet, change)
    found = select(changed.walk(), Tables.at(changed.tables), Wanted(), 0, HALVES)
    assert not any("unknown" in name.casefold() for name in found.classes)
    assert {label.item_id for frame in found.frames for label in frame.labels}.isdisjoint({unnamed, wrong})


def test_a_repaired_mask_takes_the_place_of_the_scans_on_the_judged_frame(fleet):
    item = fleet.items[0].item
    mask = np.zeros((item.frame_height, item.frame_width), bool)
    mask[3:9, 5:15] = True
    repair = RepairedMask(encode_mask(mask), ("lasso",), "grace", DECIDED)

    def change(number: int, queued: QueuedItem) -> QueuedItem:
        return queued if number else replace(queued, mask_state=MaskState.REPAIRED, repaired=repair)

    changed = _with_masks(fleet, change)
    found = select(changed.walk(), Tables.at(changed.tables), Wanted(), 0, HALVES)
    labels = {
        frame.frame_index: label for frame in found.frames for label in frame.labels if label.item_id == item.item_id
    }
    own = labels[item.frame_index]
    assert (own.mask_rle, own.area, own.box, own.mask_origin) == (
        encode_mask(mask), 60, Box(5, 3, 10, 6), "repaired by grace",
    )  # fmt: skip
    assert all(label.mask_origin == "scan" for index, label in labels.items() if index != item.frame_index)
    vouched = select(changed.walk(), Tables.at(changed.tables), Wanted(vouched_masks=True), 0, HALVES)
    assert [(label.item_id, label.mask_origin) for frame in vouched.frames for label in frame.labels] == [
        (item.item_id, "repaired by grace")
    ]
