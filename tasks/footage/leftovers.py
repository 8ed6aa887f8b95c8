"""What systems and recorders leave beside footage: ignored, and counted."""

import posixpath
import re

# Of network drives, recycle bins, archives packed on a Mac. Those that begin with a dot are hidden anyway.
_FOLDERS = frozenset(
    {
        "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin", "@tmp", "@synoeastream",
        "$recycle.bin", "recycler", "system volume information", "lost+found", "__macosx", "found.000",
    }
)  # fmt: skip
_THUMBNAIL = re.compile(r"(?i)(^thumb\.(png|jpe?g)$|[._-](thumb|thumbnail|screenshot)\.(jpe?g|png|webp)$|\.thm$)")


def is_left_by_systems(name: str) -> bool:
    """Whether a file or folder is hidden, or lies in what a system made for itself. ``name`` is below the archive."""
    parts = name.rstrip("/").split("/")
    # Keys of object stores may hold "..", which hides nothing.
    return any((part.startswith(".") and part not in (".", "..")) or part.lower() in _FOLDERS for part in parts)


def is_thumbnail(name: str) -> bool:
    """Whether an image is a preview that a recorder or system keeps of a video, by its name."""
    return bool(_THUMBNAIL.search(posixpath.basename(name)))
