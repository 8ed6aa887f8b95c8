"""A file of any storage: opened so that it can be read from any place, copied, counted and recognised again."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import BinaryIO

from tasks.addresses import place_in_chain
from tasks.errors import UserError
from tasks.storage import Location, is_object_store, locate
from tasks.storage_errors import is_full, storage_errors
from tasks.storage_listing import is_web
from tasks.temporary import temporary_folder

_PART = 64 * 1024  # bytes of a fingerprint, from either end


@dataclass(slots=True)
class Fetched:
    """The bytes that were counted so far."""

    bytes: int = 0


_counting: ContextVar[Fetched | None] = ContextVar("fetched", default=None)


@contextmanager
def count_fetched() -> Iterator[Fetched]:
    """Add up what this thread fetches within this block: the files of videos in a store, and headers."""
    fetched = Fetched()
    before = _counting.get()
    _counting.set(fetched)
    try:
        yield fetched
    finally:
        _counting.set(before)  # not by a token: a generator that holds this open may be closed by another thread


def add_fetched(count: int) -> None:
    """Count bytes that came from a store."""
    fetched = _counting.get()
    if fetched is not None:
        fetched.bytes += count


@contextmanager
def open_stored(place: Location, block: int | None = None) -> Iterator[BinaryIO]:
    """A file that is fetched ``block`` bytes at a time, or a temporary copy where a web server sends no ranges.

    Raises what the storage raises, and UserError when the disk is full.
    """
    with place.fs.open(place.path, "rb", **({"block_size": block} if block else {})) as file:
        if getattr(file, "mode", "rb") == "r":  # so zipfile calls binary files before Python 3.13
            file.mode = "rb"
        if not is_web(place.fs) or _comes_in_ranges(file):
            try:
                yield file
            finally:
                add_fetched(file.cache.total_requested_bytes if is_object_store(place.fs) else 0)
            return
    with temporary_folder() as folder:
        copy = os.path.join(folder, "copy")
        copy_to(place, copy)
        with open(copy, "rb") as whole:
            yield whole


def _comes_in_ranges(file: BinaryIO) -> bool:
    if not file.seekable():
        return False  # the server does not say how long it is
    try:
        file.seek(-1, os.SEEK_END)
        file.read(1)
    except ValueError:  # fsspec raises it if a server answers with the whole file
        return False
    file.seek(0)
    return True


def copy_to(place: Location, path: str) -> None:
    """Copy a file to a path on the local disk.

    Raises what the storage raises, and UserError when the disk is full.
    """
    try:
        place.fs.get_file(place.path, path)
    except OSError as error:
        if is_full(error):
            raise UserError(
                f"No space left in {tempfile.gettempdir()} for a copy of {place.url}. "
                "Free some, or set TMPDIR to another disk."
            ) from error
        raise
    add_fetched(os.path.getsize(path))


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
