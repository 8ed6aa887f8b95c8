"""Single images: each beside its anomaly map, with the outlines and names of its instances."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from clipomaly_core import Instance
from tasks.drawing import segment_picture
from tasks.errors import UserError
from tasks.footage.frames import read_image
from tasks.footage.image_files import image_members
from tasks.model import get_model
from tasks.model_settings import ModelSettings
from tasks.storage import cannot_read, locate
from tasks.storage_errors import storage_errors


@dataclass(frozen=True, slots=True)
class SegmentedImage:
    """One image that was given: the picture ``written`` of it and its instances, the surest first, or the ``error``
    that kept it from being read."""

    image: str
    written: Path | None = None
    instances: tuple[Instance, ...] = ()
    error: str | None = None


def segment_images(images: Sequence[str], out: Path, settings: ModelSettings) -> Iterator[SegmentedImage]:
    """Write ``<name>.png`` into ``out`` for every image. One that cannot be read costs the others nothing.

    Args:
        images: files, folders or URLs.
        out: folder, made where it is missing.
        settings: the model.

    Raises:
        UserError: a model or a folder that cannot be used.
    """
    model = get_model(settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made ({error.strerror}); give --out a folder that can be written.") from error
    written: set[Path] = set()
    for given in images:
        try:
            urls = _listed(given)
        except UserError as error:
            yield SegmentedImage(given, error=str(error))
            continue
        if not urls:
            yield SegmentedImage(given, error="No pictures are directly in this folder; give one that has some.")
        for url in urls:
            try:
                image = read_image(url)
            except UserError as error:
                yield SegmentedImage(url, error=str(error))
                continue
            target = _free_name(out, url, written)
            [result] = model([image])
            picture = segment_picture(image, result, target.stem)
            if not cv2.imwrite(str(target), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
                raise UserError(f"{target} cannot be written; check --out.")
            written.add(target)
            yield SegmentedImage(url, target, result.instances)


def _listed(given: str) -> list[str]:
    """The image itself, or those directly in a folder."""
    place = locate(given)
    try:
        if not place.fs.isdir(place.path):
            return [given]
        return [place.child(member.name).url for member in image_members(place)]
    except storage_errors() as error:
        raise cannot_read(place, error) from error


def _free_name(out: Path, url: str, written: set[Path]) -> Path:
    """Two images of one name, from different folders, get different files."""
    stem = url.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    target, number = out / f"{stem}.png", 2
    while target in written:
        target, number = out / f"{stem}-{number}.png", number + 1
    return target
