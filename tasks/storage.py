"""Where archives and tables live: any fsspec URL, and what goes wrong there in words for people."""

import errno
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem, filesystem, get_filesystem_class
from fsspec.asyn import AsyncFileSystem
from fsspec.config import conf
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from clipomaly_core.errors import UserError
from tasks.names import on_disk, printable

if TYPE_CHECKING:
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError

    STORAGE_ERRORS = (OSError, BotoCoreError, ClientError)
    OUT_OF_REACH = (ConnectionError, TimeoutError, BotoCoreError, ClientError)

# What s3fs makes of answers 500 and 503, once trying again has not helped.
_BUSY = (errno.EREMOTEIO, errno.EBUSY)
_THREADS = 16
_YEAR_9999 = 253_370_764_800
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# botocore waits twice as long before each new try, up to 20 s, and a random share of that.
_S3 = {"config_kwargs": {"retries": {"mode": "standard", "max_attempts": 8}, "connect_timeout": 10, "read_timeout": 30}}

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}")
_CHAINED = re.compile(r"::[a-z0-9+.-]+://", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"^[a-z0-9+.-]+://[^/@]*:[^/@]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Location:
    """A place in storage: its filesystem, the path there, and the URL that ``locate`` opens again."""

    fs: AbstractFileSystem
    path: str
    url: str

    def child(self, name: str) -> "Location":
        """The place ``name``, a path relative to this one."""
        path = f"{self.path.rstrip('/')}/{name}"
        url = printable(f"file://{path}") if is_local(self.fs) else f"{self.url.rstrip('/')}/{name}"
        return Location(self.fs, path, url)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it: ``name`` relative to what was listed, ``size`` in bytes; ``captured`` where an
    inventory tells when its first frame was."""

    name: str
    size: int
    etag: str
    modified: datetime
    captured: datetime | None = None


def locate(place: str | os.PathLike[str]) -> Location:
    """Open the filesystem of any fsspec URL or local path.

    Listings are not cached: other workers write while this one reads. Raises UserError for a URL that
    cannot be served.
    """
    url = os.fspath(place)
    if _PASSWORD_IN_URL.match(url):
        raise UserError(
            "The URL holds a password, which would be written into every row. Give credentials by the "
            "environment or the fsspec configuration instead."
        )
    if _CHAINED.search(url) or url.partition("::")[0] in known_implementations:
        raise UserError(f"Chained URLs cannot be read: {url}. Unpack it, or name the inner storage directly.")
    try:
        # Not url_to_fs, which takes "::" in a name for a chain.
        protocol = split_protocol(url)[0] or "file"
        kind = get_filesystem_class(protocol)
        told = kind._get_kwargs_from_urls(url)
        fs = filesystem(protocol, **{**told, "use_listings_cache": False, **_options(url)})
        path = on_disk(fs._strip_protocol(url)) if is_local(fs) else fs._strip_protocol(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"Cannot open {url}: {reason(error)}") from error
    return Location(fs, path, printable(fs.unstrip_protocol(path)) if is_local(fs) else url)


def _options(url: str) -> dict[str, Any]:
    """How patient to be with S3, where the user's fsspec configuration does not say."""
    protocol = split_protocol(url)[0]
    if protocol not in ("s3", "s3a"):
        return {}
    # A copy: botocore writes into what it is given.
    return deepcopy({name: value for name, value in _S3.items() if name not in conf.get(protocol, {})})


def storage_errors() -> tuple[type[Exception], ...]:
    """What a storage backend raises when storage, and not our code, is at fault.

    For use where the error is caught: only then it is known which backends are in use. The clients of object stores
    take longer to import than a small command runs, and one that is not loaded raises nothing.
    """
    return OSError, *_client_errors()


def _out_of_reach() -> tuple[type[Exception], ...]:
    """Those of them that would meet every file alike, and may be gone the next time."""
    return ConnectionError, TimeoutError, *_client_errors()


def _client_errors() -> Iterator[type[Exception]]:
    for module, name in (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")):
        if module in sys.modules:
            yield getattr(sys.modules[module], name)


def __getattr__(name: str) -> object:
    """The two tuples as names, for rooms that work with object stores anyway: naming them loads the clients."""
    if name not in ("STORAGE_ERRORS", "OUT_OF_REACH"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import aiohttp  # noqa: F401
    import botocore.exceptions  # noqa: F401

    return storage_errors() if name == "STORAGE_ERRORS" else _out_of_reach()


def is_out_of_reach(error: BaseException) -> bool:
    """Whether the storage is at fault and not the file: the same may go well the next time."""
    return isinstance(error, _out_of_reach()) or (isinstance(error, OSError) and error.errno in _BUSY)


def is_full(error: BaseException) -> bool:
    """Whether a disk, a quota or the size that a file may have is used up."""
    return isinstance(error, OSError) and error.errno in _FULL


def is_local(fs: AbstractFileSystem) -> bool:
    """Whether its paths can be opened by programs that know nothing of fsspec."""
    return isinstance(fs, LocalFileSystem)


def is_object_store(fs: AbstractFileSystem) -> bool:
    """Whether it lists a whole prefix at once and has no folders to make (fsspec's asynchronous ones)."""
    return isinstance(fs, AsyncFileSystem)


def reason(error: BaseException) -> str:
    """The first line of what an error says, for one-line messages."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def entry(name: str, info: dict[str, Any]) -> Entry:
    """Read what a filesystem says of a file. The etag is the store's own, or size and modification time."""
    modified = _modified(info)
    size = int(info.get("size") or 0)
    etag = str(info.get("ETag") or info.get("etag") or "").strip('"')
    return Entry(name, size, etag or f"{size:x}-{round(modified.timestamp() * 1e6):x}", modified)


def _modified(info: dict[str, Any]) -> datetime:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(key)
        if isinstance(value, int | float):
            # Some cameras write what no calendar has: such a time says as little as none.
            return datetime.fromtimestamp(value, UTC) if 0 <= value < _YEAR_9999 else datetime.fromtimestamp(0, UTC)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(0, UTC)


def replace_file(place: Location, data: bytes, *, durable: bool = True) -> None:
    """Write a whole file so that a reader sees the old bytes or the new, never a part.

    One that is not ``durable`` may be lost in a power cut on a local disk: for many small files that are made
    again, and whose hashes are kept. Raises UserError when it cannot be written.
    """
    try:
        _make_folder(place)
        if is_local(place.fs):
            _through_temporary(place.path, data, os.replace, durable)
        else:
            place.fs.pipe_file(place.path, data)
    except storage_errors() as error:
        raise _cannot_write(place, error) from error


def create_file(place: Location, data: bytes) -> bool:
    """Write a whole file only where there is none; False when another was first.

    Atomic on a local disk (a hard link) and where the store knows conditional writes (S3 does).
    Raises UserError when it cannot be written.
    """
    try:
        _make_folder(place)
    except storage_errors() as error:
        raise _cannot_write(place, error) from error
    try:
        if is_local(place.fs):
            _through_temporary(place.path, data, os.link)
        else:
            place.fs.pipe_file(place.path, data, mode="create")
    except FileExistsError:
        return False
    except storage_errors() as error:
        raise _cannot_write(place, error) from error
    return True


def _make_folder(place: Location) -> None:
    # An object store has no folders, and asking it for one could create a bucket.
    if not is_object_store(place.fs):
        place.fs.makedirs(place.fs._parent(place.path), exist_ok=True)


def _through_temporary(path: str, data: bytes, publish: Callable[[str, str], None], durable: bool = True) -> None:
    folder, name = os.path.split(path)
    # Hidden and without the suffix: what a killed process leaves behind is in no glob of tables.
    temporary = os.path.join(folder, f".{name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        publish(temporary, path)
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)


def _cannot_write(place: Location, error: Exception) -> UserError:
    return UserError(f"Cannot write {place.url}: {reason(error)}. Check that it exists and may be written.")


def file_names(folder: Location, suffix: str) -> list[str]:
    """Sorted names of the files directly in a folder that end in ``suffix``; none when there is no folder.

    Raises UserError when it cannot be read.
    """
    try:
        found = folder.fs.ls(folder.path, detail=False)
    except FileNotFoundError:
        return []
    except storage_errors() as error:
        raise cannot_read(folder, error) from error
    names = (str(path).rsplit("/", 1)[-1] for path in found)
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))


def folder_names(folder: Location) -> list[str]:
    """Sorted names of the folders directly in a folder; none when there is no such folder.

    Raises UserError when it cannot be read.
    """
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    except STORAGE_ERRORS as error:
        raise cannot_read(folder, error) from error
    return sorted(str(info["name"]).rstrip("/").rsplit("/", 1)[-1] for info in found if info["type"] == "directory")


def leftovers(folder: Location) -> list[str]:
    """Names of what killed processes left directly in a folder on a local disk: files that were never published."""
    if not is_local(folder.fs) or not os.path.isdir(folder.path):
        return []
    return sorted(name for name in os.listdir(folder.path) if _TEMPORARY.fullmatch(name))


def read_file(place: Location) -> bytes:
    """The bytes of a file. Raises UserError when it cannot be read."""
    try:
        data: bytes = place.fs.cat_file(place.path)
    except storage_errors() as error:
        raise cannot_read(place, error) from error
    return data


def copy_file(source: Location, target: Location) -> None:
    """Put a file of the same storage at a second place as well, whole or not at all; what is there stays.

    A hard link on a local disk, else the store's own copy. Raises UserError when it cannot be done.
    """
    try:
        _make_folder(target)
        if is_local(source.fs):
            os.link(source.path, target.path)
        else:
            source.fs.cp_file(source.path, target.path)
    except FileExistsError:
        return
    except storage_errors() as error:
        raise _cannot_write(target, error) from error


def remove_files(places: Iterable[Location]) -> None:
    """Remove files, many at a time; one that is gone already is none to remove.

    Raises UserError when one cannot be removed.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(_remove_file, places):
            pass


def _remove_file(place: Location) -> None:
    try:
        place.fs.rm_file(place.path)
    except FileNotFoundError:
        return
    except storage_errors() as error:
        raise UserError(f"Cannot remove {place.url}: {reason(error)}. Check that you may.") from error


def exists(place: Location) -> bool:
    """Whether there is such a file. Raises UserError when the storage cannot be asked."""
    try:
        return bool(place.fs.exists(place.path))
    except storage_errors() as error:
        raise cannot_read(place, error) from error


def cannot_read(place: Location, error: Exception) -> UserError:
    """The one line for a place that cannot be read."""
    return UserError(f"Cannot read {place.url}: {reason(error)}. Check the address and your access to it.")
