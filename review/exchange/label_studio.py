"""Label Studio tasks: polygons, or brush masks. https://labelstud.io/guide/task_format"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from review.errors import BadInputError, ReviewError
from review.exchange.annotations import VERDICT_LABELS, HandedOut, Imported, Label, hand_out, polygons, take_in
from review.pictures import Pictures
from review.queue import Queue
from schemas.masks import Mask

FILE_NAME = "tasks.json"
CONFIG_NAME = "labeling-config.xml"

IMAGE_ROOT = "/data/local-files/?d=images/"  # where Label Studio serves files of its own disk

# How Label Studio packs brush strokes: bits of a value, and of the four lengths a run may have.
_BITS = 8
_RUN_BITS = [3, 4, 8, 16]
_LABELS = ("polygonlabels", "brushlabels", "rectanglelabels", "keypointlabels", "labels", "choices")


def export_label_studio(
    queue: Queue,
    folder: Path,
    pictures: Pictures,
    *,
    judged: bool = True,
    brush: bool = False,
    image_root: str = IMAGE_ROOT,
    actor: str = "export",
) -> int:
    """Write ``tasks.json``, its labeling configuration and ``images/`` into ``folder``; how many tasks.

    Judged items become annotations and are marked as exported; with ``judged=False`` the open ones become
    predictions to work on. ``image_root`` goes before the name of each picture: where Label Studio will find
    them. Masks are polygons, or exact brush strokes with ``brush`` (needs the extra ``labelstudio``).
    """
    tasks, labels = [], []
    with hand_out(queue, folder / "images", pictures, judged=judged, actor=actor) as items:
        for queued in items:
            tasks.append(_task(queued, brush, image_root))
            labels.append(queued.label)
        # What is likely to be taken stands first: there it can be seen, and has a key.
        names = dict.fromkeys([*VERDICT_LABELS, *sorted(labels), *(word.name for word in queue.vocabulary())])
        (folder / FILE_NAME).write_text(json.dumps(tasks), "utf-8")
        (folder / CONFIG_NAME).write_text(_config([*names], brush), "utf-8")
    return len(tasks)


def import_label_studio(queue: Queue, path: Path, reviewer: str) -> Imported:
    """Read decisions back from a JSON export: the label of each task's newest annotation.

    Labels mean what they mean in ``import_coco``. Tasks that nobody annotated, or that were skipped, are left as
    they are. Raises BadInputError when the file is no export of Label Studio.
    """
    return take_in(queue, path, FILE_NAME, _labels, reviewer)


def _labels(document: Any, path: Path) -> Iterator[Label]:
    try:
        if not isinstance(document, list):
            raise TypeError("no list")
        for task in document:
            item_id = str(task["data"].get("item_id", f"task {task.get('id')}"))
            annotations = [
                annotation for annotation in task.get("annotations", ()) if not annotation.get("was_cancelled")
            ]
            if not annotations:
                continue
            newest = max(annotations, key=lambda one: str(one.get("updated_at", "")))
            values = [result["value"] for result in newest["result"]]
            names = [str(name) for value in values for kind in _LABELS for name in value.get(kind, ())]
            yield from (Label(item_id, name) for name in names or [""])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"{path} is no JSON export of Label Studio with tasks of Clipomaly ({error}). Export as JSON, not JSON-MIN."
        ) from error


def _task(one: HandedOut, brush: bool, image_root: str) -> dict[str, object]:
    item, status = one.queued.item, one.queued.status
    results = _brush(one) if brush else _polygons(one)
    task: dict[str, object] = {
        "data": {
            "image": f"{image_root}{one.file_name}",
            "item_id": item.item_id,
            "suggested": item.name,
            "score": item.score,
            "drive": item.drive,
            "source_uri": item.source_uri,
            "frame_index": item.frame_index,
        }
    }
    if one.judged:
        task["annotations"] = [{"result": results, "ground_truth": False, "lead_time": 0}]
        task["meta"] = {"reviewer": status.decided_by, "verdict": status.verdict and status.verdict.value}
    else:
        task["predictions"] = [{"result": results, "model_version": item.scan_id, "score": item.score}]
    return task


def _result(one: HandedOut, number: int, kind: str, value: dict[str, object]) -> dict[str, object]:
    height, width = one.mask.shape
    return {
        "id": f"{one.queued.item.item_id}-{number}",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": value,
    }


def _polygons(one: HandedOut) -> list[dict[str, object]]:
    height, width = one.mask.shape
    return [
        _result(
            one,
            number,
            "polygonlabels",
            {
                # Label Studio counts in per cent of the picture.
                "points": [[round(x * 100 / width, 4), round(y * 100 / height, 4)] for x, y in outline.tolist()],
                "closed": True,
                "polygonlabels": [one.label],
            },
        )
        for number, outline in enumerate(polygons(one.mask))
    ]


def _brush(one: HandedOut) -> list[dict[str, object]]:
    value: dict[str, object] = {"format": "rle", "rle": encode_brush(one.mask), "brushlabels": [one.label]}
    return [_result(one, 0, "brushlabels", value)]


def encode_brush(mask: Mask) -> list[int]:
    """A mask as Label Studio's brush keeps it: run lengths of its RGBA pixels.

    Raises ReviewError where the encoder is not installed.
    """
    try:
        from label_studio_brush_rle_rs import encode_rle
    except ImportError as error:
        raise ReviewError(
            "Brush masks need the encoder: pip install 'clipomaly[labelstudio]'; or export polygons."
        ) from error
    rgba = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    return [int(byte) for byte in encode_rle(rgba, _BITS, _RUN_BITS)]


def _config(names: list[str], brush: bool) -> str:
    tag = "BrushLabels" if brush else "PolygonLabels"
    labels = "\n".join(f"    <Label value={quoteattr(name)}/>" for name in names)
    return (
        f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <Filter name="filter" toName="label" hotkey="shift+f" minlength="0" placeholder="type a name"/>\n'
        f'  <{tag} name="label" toName="image">\n{labels}\n  </{tag}>\n</View>\n'
    )
