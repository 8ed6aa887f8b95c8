"""Names of files as text that tables can hold and people can read, and back."""

import os
import re
from urllib.parse import unquote_to_bytes

# Bytes that are no UTF-8, as Python reads them from a disk, and control characters, which break lines.
_UNPRINTABLE = re.compile(r"[\udc80-\udcff\x00-\x1f\x7f]")


def printable(name: str) -> str:
    """The name as valid text on one line: bytes that are no UTF-8 and control characters as in URLs (``caf%E9.mp4``).

    Any other name stays as it is; where bytes are written so, ``%`` is too.
    """
    if not _UNPRINTABLE.search(name):
        return name
    escaped = name.replace("%", "%25")
    text = _UNPRINTABLE.sub(lambda match: "".join(f"%{byte:02X}" for byte in os.fsencode(match[0])), escaped)
    return text.encode("utf-8", "replace").decode()


def on_disk(path: str) -> str:
    """The path on the local disk of a ``printable`` one: itself, where there is such a file."""
    if "%" not in path or os.path.lexists(path):
        return path
    raw = os.fsdecode(unquote_to_bytes(path))
    return raw if _UNPRINTABLE.search(raw) and "\0" not in raw and os.path.lexists(raw) else path
