"""Where archives and tables live: any fsspec URL, and what goes wrong there in words for people."""

import os
import re
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from threading import get_ident
from typing import Any
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem, filesystem, get_filesystem_class
from fsspec.asyn import AsyncFileSystem
from fsspec.config import conf
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.zip import ZipFileSystem
from fsspec.utils import infer_compression

from clipomaly_core.errors import UserError
from schemas.safe_text import has_password, has_secret, masked
from tasks.addresses import PACKED, on_disk, printable, split_chain
from tasks.errors import BadUrlError
from tasks.storage_errors import is_missing, is_there_already, storage_errors
from tasks.storage_listing import Entry, entry, is_web, list_web_folder

_THREADS = 16
_PACKED_FILES = 16  # held open at once
_SSH_AND_FTP = ("sftp", "ssh", "ftp")

# botocore waits twice as long before each new try, up to 20 s, and a random share of that.
_S3 = {"config_kwargs": {"retries": {"mode": "standard", "max_attempts": 8}, "connect_timeout": 10, "read_timeout": 30}}

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Location:
    """A place in storage: its filesystem, the path there, and the URL that ``locate`` opens again."""

    fs: AbstractFileSystem
    path: str
    url: str

    def child(self, name: str) -> "Location":
        """The place ``name``, a path relative to this one."""
        path = f"{self.path.rstrip('/')}/{name}" if self.path else name
        if is_local(self.fs):
            return Location(self.fs, path, printable(f"file://{path}"))
        inside, packed = split_chain(self.url)
        if packed:
            return Location(self.fs, path, f"{inside}{'' if inside.endswith('/') else '/'}{name}::{packed}")
        return Location(self.fs, path, f"{self.url.rstrip('/')}/{name}")


def locate(place: str | os.PathLike[str]) -> Location:
    """Open the filesystem of any fsspec URL or local path.

    Listings are not cached: other workers write while this one reads. ``zip://`` and ``tar://`` before ``::`` and
    another URL name a place in a packed file, which can only be read.

    Raises BadUrlError for a URL that cannot be served, UserError when its storage is out of reach.
    """
    url = os.fspath(place)
    if _holds_secret(url):
        raise BadUrlError(
            "The URL holds a password, which would be written into every row. Give credentials by the "
            "environment or the fsspec configuration instead."
        )
    inside, packed = split_chain(url)
    if packed:
        return _in_packed_file(inside, locate(packed))
    protocol = split_protocol(url)[0] or "file"
    if protocol in PACKED:
        raise BadUrlError(f"Cannot open {url}: say in which file, as in {protocol}://car1::/data/night.{protocol}")
    if "::" in protocol:
        chained = " and ".join(f"{name}://" for name in PACKED)
        raise BadUrlError(f"Cannot open {url}: of chained URLs, {chained} are read. Name the storage itself.")
    try:
        # Not url_to_fs, which takes "::" in a name for a chain.
        urlsplit(url if protocol in ("http", "https") else "")  # raises ValueError
        kind = get_filesystem_class(protocol)
        host, _, path = url.partition("://")[2].partition("/")
        told = kind._get_kwargs_from_urls(f"{protocol}://{host}/")  # names may hold "#" and "?"
        fs = filesystem(protocol, **{**told, **_options(protocol)})
        if protocol in _SSH_AND_FTP:
            path = f"/{path}"  # fsspec takes what follows "#" for no part of it
        else:
            path = on_disk(fs._strip_protocol(url)) if is_local(fs) else fs._strip_protocol(url)
    except (ImportError, ValueError, TypeError) as error:  # TypeError: no host in it
        raise BadUrlError(f"Cannot open {url}: {reason(error)}") from error
    except storage_errors() as error:  # of those that connect at once
        raise _out_of_reach(url, error) from error
    return Location(fs, path, printable(fs.unstrip_protocol(path)) if is_local(fs) else url)


def _holds_secret(url: str) -> bool:
    """Whether a URL holds a password or key where its protocol reads one: names of files may look like anything."""
    protocol = split_protocol(url)[0]
    return has_secret(url) if protocol in ("http", "https") else protocol is not None and has_password(url)


def _in_packed_file(inside: str, packed: Location) -> Location:
    protocol, name = inside.split("://", 1)
    try:
        etag = entry("", packed.fs.info(packed.path)).etag
        fs = _packed_file(protocol, packed.url, etag, get_ident())
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError) as error:
        raise UserError(f"{packed.url} is no whole {protocol} file: {reason(error)}.") from error
    except storage_errors() as error:
        raise cannot_read(packed, error) from error
    path = fs._strip_protocol(name)
    if protocol == "tar" and fs.ls("", detail=False) == ["."]:  # all of it is named ./car1/clip.mp4
        path = f"./{path}".rstrip("/")
    return Location(fs, path, f"{inside}::{packed.url}")


@lru_cache(maxsize=_PACKED_FILES)
def _packed_file(protocol: str, url: str, etag: str, thread: int) -> AbstractFileSystem:
    """A packed file that is opened once for all that lies in it, as long as it stays the same. Each thread has its own,
    because reading moves a position that all files in it share."""
    packed = locate(url)
    file = packed.fs.open(packed.path, "rb")
    if protocol == "zip":
        return _Zip(fo=file, skip_instance_cache=True)
    return filesystem(protocol, fo=file, compression=infer_compression(packed.path), skip_instance_cache=True)


class _Zip(ZipFileSystem):
    """A ZIP file of which what is encrypted or packed in a way that Python does not know fails as any file does."""

    def _open(self, path: str, *args: Any, **options: Any) -> Any:
        try:
            return super()._open(path, *args, **options)
        except (RuntimeError, NotImplementedError) as error:
            raise OSError(str(error)) from error


def _options(protocol: str) -> dict[str, Any]:
    """No cache of listings, and how patient to be with S3, where the user's fsspec configuration does not say."""
    if protocol in _SSH_AND_FTP:  # SSH takes every option for one of the connection, and has no cache
        return _known_hosts() if protocol != "ftp" and "host_key_policy" not in conf.get(protocol, {}) else {}
    if protocol not in ("s3", "s3a"):
        return {"use_listings_cache": False}
    # A copy: botocore writes into what it is given.
    told = {name: value for name, value in _S3.items() if name not in conf.get(protocol, {})}
    return deepcopy({"use_listings_cache": False, **told})


def _known_hosts() -> dict[str, Any]:
    from tasks.ssh_hosts import KnownHosts  # its package is an extra, and is there where fsspec opens such URLs

    return {"host_key_policy": KnownHosts}


def in_this_thread(place: Location) -> Location:
    """The same place, for a thread that did not locate it: connections by SSH and FTP, and files that are read within
    a packed one, hang or mix their answers where threads share them."""
    return place if is_local(place.fs) or is_object_store(place.fs) else locate(place.url)


def is_local(fs: AbstractFileSystem) -> bool:
    """Whether its paths can be opened by programs that know nothing of fsspec."""
    return isinstance(fs, LocalFileSystem)


def is_object_store(fs: AbstractFileSystem) -> bool:
    """Whether it lists a whole prefix at once and has no folders to make (fsspec's asynchronous ones)."""
    return isinstance(fs, AsyncFileSystem)


def lists_by_prefix(fs: AbstractFileSystem) -> bool:
    """Whether it is asked for all that is below a folder at once."""
    return is_object_store(fs) and not is_web(fs)


def list_folder(place: Location) -> list[dict[str, Any]]:
    """What lies directly in a folder, in the form of its filesystem. Raises what the filesystem raises."""
    if is_web(place.fs):
        return list_web_folder(place.fs, place.path)
    return list(place.fs.ls(place.path, detail=True))


def reason(error: BaseException) -> str:
    """The first line of what an error says, for one-line messages, without secrets."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = masked(str(error)).strip()
    return text.splitlines()[0] if text else type(error).__name__


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
    except storage_errors() as error:
        if is_there_already(error):
            return False
        raise _cannot_write(place, error) from error
    return True


def _make_folder(place: Location) -> None:
    # An object store has no folders, and asking it for one could create a bucket.
    if not is_object_store(place.fs):
        place.fs.makedirs(place.fs._parent(place.path), exist_ok=True)


def _through_temporary(path: str, data: bytes, publish: Callable[[str, str], None], durable: bool = True) -> None:
    temporary = _temporary(path)
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


def _temporary(path: str) -> str:
    """A new name beside a path. Hidden and without the suffix: what a killed process leaves is in no glob of tables."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{uuid.uuid4().hex}")


def _cannot_write(place: Location, error: Exception) -> UserError:
    return UserError(f"Cannot write {place.url}: {reason(error)}. Check that it exists and may be written.")


def file_names(folder: Location, suffix: str) -> list[str]:
    """Sorted names of the files directly in a folder that end in ``suffix``; none when there is no folder.

    Raises UserError when it cannot be read.
    """
    try:
        found = folder.fs.ls(folder.path, detail=False)
    except storage_errors() as error:
        if is_missing(error):
            return []
        raise cannot_read(folder, error) from error
    names = (str(path).rsplit("/", 1)[-1] for path in found)
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))


def folder_names(folder: Location) -> list[str]:
    """Sorted names of the folders directly in a folder; none when there is no such folder.

    Raises UserError when it cannot be read.
    """
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except storage_errors() as error:
        if is_missing(error):
            return []
        raise cannot_read(folder, error) from error
    return sorted(str(info["name"]).rstrip("/").rsplit("/", 1)[-1] for info in found if info["type"] == "directory")


def files_below(folder: Location) -> dict[str, Entry]:
    """All files below a folder by their path in it, hidden ones too; none when there is no folder. ``modified`` is when
    a file came to its place (on a local disk: or one of its names to or from another).

    Raises UserError when it cannot be read.
    """
    try:
        found = folder.fs.find(folder.path, detail=True)
    except storage_errors() as error:
        if is_missing(error):
            return {}
        raise cannot_read(folder, error) from error
    start = folder.fs._strip_protocol(folder.path).rstrip("/") + "/"
    # A hard link has the modification time of its file; what fsspec calls "created" is the change of the inode.
    times = ("created",) if is_local(folder.fs) else ()
    entries = (entry(path.removeprefix(start), info, times) for path, info in found.items())
    return {item.name: item for item in entries}


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


def copy_file(source: Location, target: Location, *, over: bool = False) -> None:
    """Put a file of the same storage at a second place as well, whole or not at all; what is there stays, or is
    replaced (``over``).

    A hard link on a local disk, else the store's own copy, which replaces. Raises UserError when it cannot be done.
    """
    try:
        _make_folder(target)
        if is_local(source.fs) and over:
            temporary = _temporary(target.path)
            try:
                os.link(source.path, temporary)
                os.replace(temporary, target.path)
            finally:  # there still where both were the same file
                if os.path.lexists(temporary):
                    os.unlink(temporary)
        elif is_local(source.fs):
            os.link(source.path, target.path)
        else:
            source.fs.cp_file(source.path, target.path)
    except storage_errors() as error:
        if is_there_already(error):
            return
        raise _cannot_write(target, error) from error


def remove_files(places: Iterable[Location]) -> None:
    """Remove files, many at a time. Files that are gone already are ignored.

    Raises UserError when one cannot be removed.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(_remove_file, places):
            pass


def _remove_file(place: Location) -> None:
    try:
        place.fs.rm_file(place.path)
    except storage_errors() as error:
        if is_missing(error):
            return
        raise UserError(f"Cannot remove {place.url}: {reason(error)}. Check that you may.") from error


def exists(place: Location) -> bool:
    """Whether there is such a file. Raises UserError when the storage cannot be asked."""
    try:
        return bool(place.fs.exists(place.path))
    except storage_errors() as error:
        raise cannot_read(place, error) from error


def is_folder(place: Location) -> bool:
    """Whether there is a folder. Raises UserError when the storage cannot be asked."""
    try:
        return bool(place.fs.isdir(place.path))
    except storage_errors() as error:
        raise cannot_read(place, error) from error


def cannot_read(place: Location, error: Exception) -> UserError:
    """The one line for a place that cannot be read."""
    return _out_of_reach(place.url, error)


def _out_of_reach(url: str, error: Exception) -> UserError:
    why = reason(error).rstrip(".")
    return UserError(f"Cannot read {url}: {why}. Check the address and your access to it.")
