"""Single pictures: what ``clipomaly segment`` does."""

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2

from tasks.drawing import segment_picture
from tasks.errors import UserError
from tasks.footage.frames import read_image
from tasks.footage.image_files import image_members
from tasks.model import ModelSettings, get_model
from tasks.storage import STORAGE_ERRORS, cannot_read, locate


def segment_images(images: Sequence[str], out: Path, settings: ModelSettings) -> int:
    """Write ``<name>.png`` into ``out`` for every picture; what cannot be read is named and left out.

    Args:
        images: files, folders or URLs.
        out: folder, made where it is missing.
        settings: the model.

    Returns:
        How many pictures were written.

    Raises:
        UserError: model or folder that cannot be used.
    """
    model = get_model(settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be made ({error.strerror}); give --out a folder that can be written.") from error
    written: set[Path] = set()
    for given in images:
        for url in _listed(given):
            target = _free_name(out, url, written)
            try:
                frame = read_image(url)
            except UserError as error:
                print(f"{url}: {error}", file=sys.stderr)
                continue
            [result] = model([frame])
            picture = segment_picture(frame, result, target.stem)
            if not cv2.imwrite(str(target), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
                raise UserError(f"{target} cannot be written; check --out.")
            written.add(target)
            names = ", ".join(f"{i.name} {i.score:.2f}" for i in result.instances[:5]) or "nothing unknown"
            print(f"{target}: {names}")
    return len(written)


def _listed(given: str) -> list[str]:
    """The picture itself, or those directly in a folder."""
    try:
        place = locate(given)
        try:
            if not place.fs.isdir(place.path):
                return [given]
            return [place.child(member.name).url for member in image_members(place)]
        except STORAGE_ERRORS as error:
            raise cannot_read(place, error) from error
    except UserError as error:
        print(f"{given}: {error}", file=sys.stderr)
        return []


def _free_name(out: Path, url: str, written: set[Path]) -> Path:
    """Two pictures of one name, from different folders, get different files."""
    stem = url.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    target, number = out / f"{stem}.png", 2
    while target in written:
        target, number = out / f"{stem}-{number}.png", number + 1
    return target
