"""Addresses of files: as text on one line, and of what lies in a packed file.

The latter are chains of URLs, such as ``zip://car1/clip.mp4::s3://bucket/night.zip``.
"""

import os
import posixpath
import re
from urllib.parse import unquote, unquote_to_bytes

import pyarrow as pa
import pyarrow.compute as pc

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


PACKED = ("zip", "tar")
"""Protocols of fsspec that read a file of files which lies in other storage."""

_LINK = re.compile(r"::(?=[a-z][a-z0-9+.-]*://)", re.IGNORECASE)


def split_chain(url: str) -> tuple[str, str]:
    """The part of a URL that names a place in a packed file, and the URL of this file; of other URLs all, and nothing.

    The first ``::`` before another URL is where they part, so a name inside may hold ``::`` too. Only what begins with
    a protocol of packed files is a chain: a key of an object store may hold anything.
    """
    if not url.startswith(tuple(f"{protocol}://" for protocol in PACKED)):
        return url, ""
    parts = _LINK.split(url, maxsplit=1)
    inside, _, packed = url.partition("::") if len(parts) == 1 else (parts[0], "", parts[1])
    return inside, packed


def place_in_chain(url: str) -> str:
    """The URL without the packed file around it: its end shows the name of the file, and of which kind it is."""
    return split_chain(url)[0]


def places_in_chains(urls: pa.ChunkedArray) -> pa.ChunkedArray:
    """``place_in_chain`` of many."""
    first = rf"(?is)^((?:{'|'.join(PACKED)})://.*?)::(?:[a-z][a-z0-9+.-]*://.*|[^:]*)$"
    return pc.replace_substring_regex(urls, first, r"\1")


def file_name(url: str) -> str:
    """What the file or folder at a URL is called, without the folders above it."""
    name = posixpath.basename(place_in_chain(url).rstrip("/"))
    return unquote(name) if url.startswith(("http://", "https://")) else name
