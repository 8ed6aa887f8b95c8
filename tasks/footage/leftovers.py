"""Files of systems and recorders beside the footage. They are ignored and counted."""

import posixpath
import re

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
