"""Which files are images, the images in a folder, and what systems and recorders leave beside the footage.

What they leave is ignored and counted.
"""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from tasks.storage import Location, list_folder
from tasks.storage_listing import Entry, entry

PROXY_SUFFIXES = (".lrv", ".lrf", ".glv")
"""Of the small copies that recorders (GoPro, Insta360, DJI, Garmin) keep of their videos."""

# Of network drives, recycle bins, archives packed on a Mac. Those that begin with a dot are hidden anyway.
_FOLDERS = frozenset(
    {
        "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin", "@tmp", "@synoeastream",
        "$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", "lost.dir", "__macosx",
        "~snapshot", "@__thumb", "_gsdata_", "thmbnl",
    }
)  # fmt: skip
_FOUND = re.compile(r"found\.\d{3}")  # of chkdsk
_THUMBNAIL = re.compile(
    r"(?i)(^(thumb|preview)\.(png|jpe?g)$|[._-](thumb|thumbnail|screenshot)\.(jpe?g|png|webp)$|\.thm$"
    r"|\.(mp4|mov|mkv|avi|ts|mts)\.(jpe?g|png|webp)$)"
)
_THUMBNAIL_FOLDER = re.compile(r"(?i)(^|/)(thumbs|thumbnails?)/[^/]*\.(jpe?g|png|webp|bmp|gif)$")
# Small copies of the same footage: Insta360, Nextbase (L for low), comma.ai; Sony has a folder of them.
_PROXY = re.compile(r"LRV_.*\.(insv|mp4)|\d{6}_\d{6}_\d{3}_[A-Z]L\.MP4|qcamera\.ts")
_PROXY_FOLDER = re.compile(r"(^|/)M4ROOT/SUB(/|$)")
HEIC_SUFFIXES = (".heic", ".heif")

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def is_left_by_systems(name: str) -> bool:
    """Whether a file or folder is hidden, or lies in what a system or recorder made for itself. ``name`` is below the
    archive."""
    parts = name.rstrip("/").split("/")
    # Keys of object stores may hold "..", which hides nothing.
    return bool(_PROXY_FOLDER.search(name)) or any(
        (part.startswith(".") and part not in (".", ".."))
        or part.startswith("~$")
        or part.lower() in _FOLDERS
        or _FOUND.fullmatch(part.lower())
        for part in parts
    )


def is_thumbnail(name: str) -> bool:
    """Whether an image is a preview that a recorder or system keeps of a video, by its name or folder."""
    return bool(_THUMBNAIL.search(posixpath.basename(name)) or _THUMBNAIL_FOLDER.search(name))


def is_proxy(name: str) -> bool:
    """Whether a video is a small copy that a recorder keeps of another, by its name."""
    return bool(_PROXY.fullmatch(posixpath.basename(name))) or name.lower().endswith(PROXY_SUFFIXES)


def reads_heic() -> bool:
    """Whether the package for it is installed."""
    return find_spec("pi_heif") is not None


def is_heic(data: bytes) -> bool:
    """Whether a file is a photo as HEIC, by how it begins."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


@lru_cache(maxsize=1)
def teach_pillow() -> tuple[str, ...]:
    """Have Pillow read HEIC: its names of the formats that it reads then and did not before."""
    if not reads_heic():
        return ()
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False)
    return ("HEIF",)


_IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pnm",
)  # fmt: skip


@lru_cache(maxsize=1)
def image_suffixes() -> tuple[str, ...]:
    """The suffixes of images that are read, in lower case. HEIC is one of them if its package is installed."""
    return (*_IMAGE_SUFFIXES, *(HEIC_SUFFIXES if reads_heic() else ()))


def is_image(name: str) -> bool:
    """Whether the name is that of an image that is read: not hidden, no thumbnail."""
    base = posixpath.basename(name)
    return base.lower().endswith(image_suffixes()) and not base.startswith(".") and not is_thumbnail(base)


def image_members(folder: Location) -> tuple[Entry, ...]:
    """The images directly in a folder, by name. Raises OSError when it cannot be listed."""
    infos = list_folder(folder)
    named = ((posixpath.basename(str(info["name"]).rstrip("/")), info) for info in infos)
    images = (
        entry(name, followed)
        for name, info in named
        if is_image(name) and info["type"] != "directory" and is_file(followed := follow(folder, info))
    )
    return tuple(sorted(images, key=lambda member: member.name))


def folder_etag(members: Iterable[Entry]) -> str:
    """The etag of a folder of images: a hash of the names and etags of its members, by name."""
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{posixpath.basename(member.name)}\0{member.etag}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def is_file(info: dict[str, Any]) -> bool:
    """Whether this is a file, or a broken link. Pipes, sockets and devices are not: opening a pipe would block."""
    return bool(info["type"] != "other" or (info.get("islink") and not os.path.exists(info["name"])))


def follow(place: Location, info: dict[str, Any]) -> dict[str, Any]:
    """The target of a link to a file. A broken link is returned as it is, so that opening it gives the error."""
    if not info.get("islink") and info["type"] != "link":
        return info
    try:
        return dict(place.fs.info(info["name"]))
    except OSError:
        return info
