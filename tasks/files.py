"""What a file of an archive is, by its name, and the images that a folder holds."""

import hashlib
import posixpath
from collections.abc import Iterable
from typing import Any

from schemas.records import Source, SourceKind
from tasks.storage import Entry, Location, entry, locate

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TAR_SUFFIX = ".tar"
RECORDING_SUFFIX = ".mcap"


def kind_of(name: str) -> SourceKind | None:
    """Which kind of source a file or a folder (ending in a slash) of this name is, if any."""
    if name.endswith("/"):
        return SourceKind.IMAGES
    lower = name.lower()
    if lower.endswith(VIDEO_SUFFIXES):
        return SourceKind.VIDEO
    if lower.endswith(RECORDING_SUFFIX):
        return SourceKind.RECORDING
    return SourceKind.TAR if lower.endswith(TAR_SUFFIX) else None


def is_image(name: str) -> bool:
    """Whether a file of this name is an image that is read: its suffix says so and it is not hidden."""
    base = posixpath.basename(name)
    return base.lower().endswith(IMAGE_SUFFIXES) and not base.startswith(".")


def image_members(folder: Location) -> tuple[Entry, ...]:
    """The images directly in a folder, by name. Raises OSError when it cannot be listed."""
    infos = folder.fs.ls(folder.path, detail=True)
    named = ((posixpath.basename(str(info["name"]).rstrip("/")), info) for info in infos)
    images = (
        entry(name, follow(folder, info)) for name, info in named if is_image(name) and info["type"] != "directory"
    )
    return tuple(sorted(images, key=lambda member: member.name))


def folder_etag(members: Iterable[Entry]) -> str:
    """The etag of a folder of images: a hash of the names and etags of its members, by name."""
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{posixpath.basename(member.name)}\0{member.etag}\n".encode())
    return digest.hexdigest()[:32]


def follow(place: Location, info: dict[str, Any]) -> dict[str, Any]:
    """What a link to a file points at; the link itself where that is gone, so that opening it says so."""
    if not info.get("islink"):
        return info
    try:
        return dict(place.fs.info(info["name"]))
    except OSError:
        return info


def current_etag(source: Source) -> str:
    """The etag that a listing made now would give. Raises OSError when the source cannot be looked at."""
    place = locate(source.uri)
    if source.kind is SourceKind.IMAGES:
        return folder_etag(image_members(place))
    return entry("", place.fs.info(place.path)).etag
