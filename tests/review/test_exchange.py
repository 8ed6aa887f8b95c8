"""COCO JSON and Label Studio tasks, out and back in."""

import json
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from review import BadInputError, Queue
from review.exchange.coco import export_coco, import_coco
from review.exchange.label_studio import encode_brush, export_label_studio, import_label_studio
from review.pictures import FrameGoneError, Pictures, Rgb
from schemas.masks import decode_mask as decode_rle
from schemas.review import ReviewItem, State, Verdict
from tests.review.samples import KINDS, make_item, make_items, scene


@pytest.fixture
def filled(tmp_path: Path) -> Queue:
    queue = Queue.open(str(tmp_path / "queue.db"))
    queue.set_vocabulary(["car", "person"], ["pallet"])
    queue.enqueue(make_items(6))
    queue.decide("ann", "item000000", Verdict.ACCEPT)
    queue.decide("ann", "item000001", Verdict.RELABEL, 'bed & "breakfast"')
    queue.decide("ann", "item000002", Verdict.KNOWN, "car")
    queue.decide("bob", "item000003", Verdict.NOT_AN_OBJECT)
    queue.decide("bob", "item000004", Verdict.UNSURE)
    return queue


def fresh(tmp_path: Path) -> Queue:
    queue = Queue.open(str(tmp_path / "other.db"))
    queue.set_vocabulary(["car", "person"])
    queue.enqueue(make_items(6))
    return queue


def decode_mask(item: ReviewItem) -> np.ndarray:
    return decode_rle(item.mask_rle, item.frame_height, item.frame_width)


def verdicts(queue: Queue) -> list[tuple[str, str | None]]:
    return [(decision.verdict.value, decision.name) for decision in queue.decisions()]


class Archive:
    """Has the frames of the even items."""

    def read(self, source_uri: str, frame_index: int) -> Rgb:
        number = frame_index // 30
        if number % 2:
            raise FrameGoneError("gone")
        return scene(list(KINDS)[number % len(KINDS)], number % 12).frame


@pytest.mark.parametrize("rle", [False, True])
def test_coco_goes_out_and_comes_back(filled: Queue, tmp_path: Path, rle: bool) -> None:
    folder = tmp_path / "coco"
    assert export_coco(filled, folder, Pictures(filled, Archive()), rle=rle) == 5
    coco = COCO(folder / "annotations" / "instances_default.json")
    for annotation in coco.loadAnns(coco.getAnnIds()):
        item = filled.item(annotation["attributes"]["item_id"]).item
        picture = coco.loadImgs(annotation["image_id"])[0]
        pixels = Image.open(folder / "images" / "default" / picture["file_name"])
        assert pixels.size == (picture["width"], picture["height"])
        whole = annotation["attributes"]["whole_frame"]
        assert whole == (item.frame_index // 30 % 2 == 0)
        found = coco.annToMask(annotation).astype(bool)
        expected = decode_mask(item)
        if not whole:
            view = item.crop_box
            cut = expected[view.y : view.y + view.height, view.x : view.x + view.width].astype(np.uint8)
            expected = cv2.resize(cut * 255, found.shape[::-1]) > 127
        overlap = (found & expected).sum() / (found | expected).sum()
        assert overlap == 1.0 if rle else overlap > 0.97
    other = fresh(tmp_path)
    done = import_coco(other, folder, "cvat")
    assert (done.decided, done.unchanged, done.problems) == (5, 0, ())
    assert verdicts(other) == verdicts(filled)
    again = import_coco(other, folder, "cvat")
    assert (again.decided, again.unchanged) == (0, 5)
    assert filled.item("item000000").status.state is State.EXPORTED


def test_open_items_go_out_with_their_suggestions_and_stay_open(filled: Queue, tmp_path: Path) -> None:
    assert export_coco(filled, tmp_path / "out", Pictures(filled), judged=False) == 1
    document = json.loads((tmp_path / "out" / "annotations" / "instances_default.json").read_text())
    names = {category["name"] for category in document["categories"]}
    assert {"car", "pallet", "not an object", "unsure"} <= names
    assert filled.item("item000005").status.state is State.PENDING


def test_labels_that_do_not_fit_are_told_and_change_nothing(filled: Queue, tmp_path: Path) -> None:
    document = {
        "images": [{"id": n, "file_name": f"images/{name}.jpg"} for n, name in enumerate(
            ["item000000", "item000005", "stranger", "../../etc/passwd", "item000003"])],
        "categories": [{"id": 1, "name": "boulder"}, {"id": 2, "name": "rock"}, {"id": 3, "name": "x" * 10_000}],
        "annotations": [{"image_id": n, "category_id": c} for n, c in [(0, 1), (1, 1), (1, 2), (2, 1), (3, 1), (4, 3)]],
    }  # fmt: skip
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    before = verdicts(filled)
    done = import_coco(filled, path, "cvat")
    assert done.decided == 0
    told = "\n".join(done.problems)
    assert "item000005: it has 2 different labels (boulder, rock)" in told
    assert "ann has decided item item000000 already: accept as traffic cone" in told
    assert "The queue has no item 'stranger'" in told and "no item 'passwd'" in told
    assert "10,000 characters" in told
    assert verdicts(filled) == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": 3}', "[1]", '[{"annotations": [{}]}]', "[" * 100_000])
def test_files_that_are_neither(filled: Queue, tmp_path: Path, content: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match=r"is not COCO|no JSON"):
        import_coco(filled, path, "cvat")
    if content != "[]":
        with pytest.raises(BadInputError, match="no JSON"):
            import_label_studio(filled, path, "cvat")
    with pytest.raises(BadInputError, match="cannot be read"):
        import_coco(filled, tmp_path / "absent.json", "cvat")


@pytest.mark.parametrize("brush", [False, True])
def test_label_studio_goes_out_and_comes_back(filled: Queue, tmp_path: Path, brush: bool) -> None:
    if brush:
        pytest.importorskip("label_studio_brush_rle_rs")
    folder = tmp_path / "tasks"
    assert export_label_studio(filled, folder, Pictures(filled), brush=brush) == 5
    config = (folder / "labeling-config.xml").read_text()
    assert "bed &amp; " in config and 'value="unsure"' in config
    other = fresh(tmp_path)
    done = import_label_studio(other, folder, "studio")
    assert (done.decided, done.problems) == (5, ())
    assert verdicts(other) == verdicts(filled)


def test_label_studio_polygons_are_in_per_cent_of_the_picture(filled: Queue, tmp_path: Path) -> None:
    export_label_studio(filled, tmp_path, Pictures(filled, Archive()), judged=True)
    task = json.loads((tmp_path / "tasks.json").read_text())[0]
    (result,) = task["annotations"][0]["result"]
    points = np.array(result["value"]["points"]) / 100 * (result["original_width"], result["original_height"])
    height, width = result["original_height"], result["original_width"]
    found = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([points.ravel().tolist()], height, width)))
    expected = decode_mask(make_item(0))
    assert (found & expected).sum() / (found | expected).sum() > 0.97
    assert task["data"]["image"] == "/data/local-files/?d=images/item000000.jpg"


def test_label_studio_predictions_and_skipped_tasks(filled: Queue, tmp_path: Path) -> None:
    export_label_studio(filled, tmp_path, Pictures(filled), judged=False)
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["predictions"][0]["model_version"] == "scan-1" and "annotations" not in task
    result = task["predictions"][0]["result"]
    old = {"result": [{"value": {"choices": ["unsure"]}}], "updated_at": "2026-11-22T01:00:00Z"}
    new = {"result": result, "updated_at": "2026-11-22T02:00:00Z"}
    skipped = {"result": [{"value": {"choices": ["pallet"]}}], "updated_at": "2026-11-23", "was_cancelled": True}
    (tmp_path / "tasks.json").write_text(json.dumps([task | {"annotations": [new, old, skipped]}]))
    assert import_label_studio(filled, tmp_path, "studio").decided == 1
    status = filled.item("item000005").status
    assert (status.verdict, status.name, status.decided_by) == (Verdict.ACCEPT, "mattress", "studio")


def test_label_studio_tasks_that_say_nothing_are_told(filled: Queue, tmp_path: Path) -> None:
    export_label_studio(filled, tmp_path, Pictures(filled), judged=False)
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    emptied = task | {"annotations": [{"result": []}]}
    strange = {"id": 7, "data": {"text": "a task of others"}, "annotations": task["predictions"]}
    (tmp_path / "tasks.json").write_text(json.dumps([emptied, strange]))
    done = import_label_studio(filled, tmp_path, "studio")
    assert done.decided == 0
    assert "item000005: it was submitted without a label" in done.problems
    assert any("task 7" in problem for problem in done.problems)


def test_the_flat_export_of_label_studio_is_refused(filled: Queue, tmp_path: Path) -> None:
    path = tmp_path / "min.json"
    path.write_text(json.dumps([{"image": "x.jpg", "item_id": "item000005", "label": [{"polygonlabels": ["deer"]}]}]))
    with pytest.raises(BadInputError, match="not JSON-MIN"):
        import_label_studio(filled, path, "studio")


def test_label_studio_offers_what_is_likely_first(filled: Queue, tmp_path: Path) -> None:
    export_label_studio(filled, tmp_path, Pictures(filled), judged=False)
    config = ElementTree.parse(tmp_path / "labeling-config.xml")
    labels = [label.get("value") for label in config.iter("Label")]
    assert labels[:3] == ["not an object", "unsure", "mattress"]
    assert set(labels) >= {"car", "pallet"} and len(labels) == len(set(labels))


def test_brush_strokes_are_those_of_label_studio() -> None:
    pytest.importorskip("label_studio_brush_rle_rs")
    # Made once by label_studio_sdk 2.1.2, converter.brush.encode_rle, of this very mask.
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:6] = True
    assert encode_brush(mask) == GOLDEN


GOLDEN = [0, 0, 0, 192, 57, 27, 254, 75, 0, 183, 255, 132, 192, 45, 255, 228, 112, 0]
