"""Recognises a file under another name: by its size and a hash of its beginning and end."""

import hashlib

from tasks.chained_urls import place_in_chain
from tasks.errors import UserError
from tasks.storage import locate
from tasks.storage_errors import storage_errors

_PART = 64 * 1024  # bytes, from either end


def fingerprint(uri: str, size: int) -> str | None:
    """``<size in hexadecimal>-<24 digits of a SHA-256>`` of a file of ``size`` bytes. None for a folder, whose etag is
    made of its files, and for a file that cannot be read."""
    if place_in_chain(uri).endswith("/"):
        return None
    try:
        place = locate(uri)
        digest = hashlib.sha256(place.fs.cat_file(place.path, start=0, end=min(size, _PART)))
        digest.update(place.fs.cat_file(place.path, start=max(0, size - _PART), end=size))
    except storage_errors(UserError):
        return None
    return f"{size:x}-{digest.hexdigest()[:24]}"
