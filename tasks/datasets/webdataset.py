"""WebDataset: tars of images with a JSON beside each, for reading in a stream. https://github.com/webdataset

All images are JPEG: readers that derive the columns from the first samples refuse tars with different kinds of files.
"""

import io
from collections.abc import Iterable, Iterator
from datetime import UTC

from webdataset import TarWriter

from schemas.dataset import DatasetFrame, Label
from tasks.datasets.format import Classes, Format, OutputFile, annotated, class_list_alone, instance_fields
from tasks.datasets.image_store import Content, ImageForm, Picture


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    numbers = {name: number for number, name in enumerate(classes.names)}
    buffer = io.BytesIO()
    pictures: list[tuple[str, Picture]] = []
    with TarWriter(buffer, user="clipomaly", group="clipomaly", mtime=0) as tar:
        for content in contents:
            if content.picture is None:
                continue
            frame = content.frame
            pictures.append((frame.frame_id, content.picture))
            tar.write(
                {
                    "__key__": frame.frame_id,
                    content.picture.suffix.removeprefix("."): content.picture.data,
                    "json": _described(frame, numbers),
                }
            )
    if pictures:
        yield OutputFile(f"{name}.tar", buffer.getvalue(), tuple(pictures))


def _described(frame: DatasetFrame, numbers: dict[str, int]) -> dict[str, object]:
    return {
        "source_uri": frame.source_uri,
        "drive": frame.drive,
        "frame_index": frame.frame_index,
        "timestamp": frame.timestamp.astimezone(UTC).isoformat(),
        "height": frame.height,
        "width": frame.width,
        "unlabelled": frame.unlabelled,
        "instances": [_instance(label, frame, numbers) for label in annotated(frame.labels)],
    }


def _instance(label: Label, frame: DatasetFrame, numbers: dict[str, int]) -> dict[str, object]:
    mask = {"size": [frame.height, frame.width], "counts": label.mask_rle.decode("ascii")}
    return {**instance_fields(label, numbers), "segmentation": mask}


WEBDATASET = Format(
    _part,
    class_list_alone,
    ("images of the archive that are PNG become JPEG of quality 95",),
    'datasets.load_dataset("webdataset", data_files={"train": "train-*.tar"}, split="train")',
    images=ImageForm.JPEG,
    hub="{split}-*.tar",
)
