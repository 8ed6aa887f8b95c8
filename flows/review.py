"""The review queue together with the archive, for ``clipomaly review`` and for scripts."""

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from review.exchange.annotations import Imported
from review.exchange.coco import export_coco, import_coco
from review.exchange.label_studio import IMAGE_ROOT, export_label_studio, import_label_studio
from review.finds import FindSource
from review.pictures import FrameGoneError, Pictures, Rgb
from review.queue import Queue
from review.web.server import serve
from tasks.addresses import split_chain
from tasks.errors import UserError
from tasks.footage.frames import read_frame
from tasks.storage import is_local, locate

_MOST_ENCODED = 5  # how often a name may be percent-encoded again


class ArchiveFrames:
    """Reads the frames of items again from their sources. If ``archives`` (folders or any fsspec URLs) are given, only
    below these.
    """

    def __init__(self, archives: Sequence[str] = ()) -> None:
        self._roots = tuple(locate(archive).url.rstrip("/") for archive in archives)

    def read(self, source_uri: str, frame_index: int) -> Rgb:
        """The frame as (H, W, 3) uint8 RGB. Raises FrameGoneError."""
        if self._roots and not _lies_below(source_uri, self._roots):
            raise FrameGoneError("Its footage lies outside of the archive that this page was given.")
        try:
            if self._roots and _links_outside(source_uri, self._roots):
                raise FrameGoneError(
                    "A link leads from its footage to outside of the archive. Name where it leads as --archive too."
                )
            return read_frame(source_uri, frame_index)
        except UserError as error:
            raise FrameGoneError(str(error)) from error


def _lies_below(uri: str, roots: Sequence[str]) -> bool:
    """Whether a source is in one of the archives, by its name, also if its dots are percent-encoded."""
    inside, packed = split_chain(uri)
    for root in roots:
        top, packed_top = split_chain(root)
        top = top.rstrip("/")
        if packed != packed_top or (inside != top and not inside.startswith(f"{top}/")):
            continue
        rest = inside[len(top) :]
        for _ in range(_MOST_ENCODED):
            if any(part in ("..", ".") for part in re.split(r"[/\\]", rest)):
                return False
            rest, before = unquote(rest), rest
            if rest == before:
                return True
        return False
    return False


def _links_outside(uri: str, roots: Sequence[str]) -> bool:
    """Whether a link on the way to a source of this machine, or in its folder of images, leads out of the archives."""
    place = locate(uri)
    if not is_local(place.fs):
        return False
    tops = [os.path.realpath(top.path) for top in map(locate, roots) if is_local(top.fs)]
    paths = [Path(place.path)]
    if paths[0].is_dir():
        paths += [Path(entry.path) for entry in os.scandir(paths[0]) if entry.is_symlink()]
    return not all(any(Path(os.path.realpath(path)).is_relative_to(top) for top in tops) for path in paths)


def serve_page(
    queue_url: str,
    host: str,
    port: int,
    archives: Sequence[str],
    lease: timedelta,
    https: bool,
    with_frames: bool,
    tables: str | None = None,
    weights: str | None = None,
) -> None:
    """Serve the page until interrupted. Raises ReviewError and UserError."""
    frames = ArchiveFrames(archives) if with_frames else None
    finds = _finds(tables, frames or ArchiveFrames(archives), weights) if tables else None
    serve(queue_url, host=host, port=port, frames=frames, finds=finds, lease=lease, https=https, ready=_say_address)


def _finds(tables: str, frames: ArchiveFrames, weights: str | None) -> FindSource:
    from flows.finds import TableFinds  # the libraries of the model, which a page without tables does not need

    return TableFinds(tables, frames, weights)


def _say_address(address: str) -> None:
    print(f"review page: {address} (stop with Ctrl-C)", flush=True)


def hand_over(
    queue: Queue,
    tool: str,
    folder: Path,
    *,
    judged: bool = True,
    exact: bool = False,
    image_root: str = IMAGE_ROOT,
    archives: Sequence[str] = (),
) -> int:
    """Write the judged items (or the open ones) for ``coco`` or ``label-studio``; how many there were.

    ``exact`` masks are run lengths (COCO) or brush strokes (Label Studio) in place of polygons. Raises
    ReviewError and UserError.
    """
    pictures = Pictures(queue, ArchiveFrames(archives))
    if tool == "coco":
        return export_coco(queue, folder, pictures, judged=judged, rle=exact)
    return export_label_studio(queue, folder, pictures, judged=judged, brush=exact, image_root=image_root)


def take_back(queue: Queue, tool: str, path: Path, reviewer: str) -> Imported:
    """Read decisions from an export of ``coco`` or ``label-studio``. Raises ReviewError."""
    return (import_coco if tool == "coco" else import_label_studio)(queue, path, reviewer)


def write_pictures(queue: Queue, item_id: str, folder: Path, archives: Sequence[str] = ()) -> list[str]:
    """Write what the page shows of an item into ``folder``: crop, mask, whole frame and track.

    Returns one line for each picture that the archive no longer has. Raises ReviewError and UserError.
    """
    pictures = Pictures(queue, ArchiveFrames(archives))
    item = queue.item(item_id).item
    wanted = {"crop.jpg": pictures.crop, "mask.png": pictures.mask, "frame.jpg": pictures.frame}
    for number in range(len(item.track)):
        wanted[f"track-{number:03d}.jpg"] = partial(pictures.track_frame, number=number)
    missing = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in wanted.items():
            try:
                (folder / name).write_bytes(make(item_id))
            except FrameGoneError as error:
                missing.append(f"no {name}: {error}")
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}. Name another folder.") from error
    return missing
