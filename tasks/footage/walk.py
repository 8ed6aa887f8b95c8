"""Lists the files of an archive in parts, a folder with everything below it each, from a storage or an inventory."""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clipomaly_core.errors import UserError
from tasks.errors import UsageError
from tasks.footage.image_files import follow, is_file, is_left_by_systems
from tasks.footage.track_files import TRACK_SUFFIXES
from tasks.storage import Location, in_this_thread, list_folder, lists_by_prefix, reason
from tasks.storage_errors import is_denied, is_out_of_reach, storage_errors
from tasks.storage_listing import Entry, entry, is_web

_THREADS = 8
# An archive is read in parts, so that never all of it lies in memory as a store tells it: into folders of folders
# until there are many, but not so deep that every one would be a request.
_MANY_FOLDERS = 64
_LEVELS = 3
BESIDE_SUFFIXES = (".json", *TRACK_SUFFIXES)
"""Of files that describe a source beside which they lie, by the same name."""
_BESIDE = rf"(?i)({'|'.join(re.escape(suffix) for suffix in BESIDE_SUFFIXES)})$"
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """A source as it is listed. ``members`` are the images of a folder, else empty."""

    entry: Entry
    members: tuple[Entry, ...] = ()
    sidecar: Entry | None = None
    track: Entry | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NoFile:
    """The name of what is neither file nor folder: a pipe, a socket or a device."""

    name: str


Listed = Entry | Found | NoFile
Part = Callable[[], Iterable[Listed]]


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder by its name below the archive, and the sidecar and track beside it that are named like it."""

    name: str
    beside: tuple[Entry, ...] = ()


def walk(root: Location, prefixes: Sequence[str]) -> Iterator[Part]:
    """Every file below a folder, or below some folders of it: folder by folder as long as these are few, then the
    whole of each."""
    folders = [_Folder(name) for name in _distinct(prefixes)] or [_Folder("")]
    for folder in folders if prefixes else ():
        if not root.fs.exists(root.child(folder.name).path):
            raise UserError(f"There is nothing at {root.child(folder.name).url}. Check --prefix.")
    for _ in range(_LEVELS):
        if len(folders) >= _MANY_FOLDERS:
            break
        with ThreadPoolExecutor(_THREADS) as pool:
            levels = list(pool.map(lambda folder: _level(root, folder), folders))
        yield from (partial(iter, files) for files, _ in levels)
        folders = [folder for _, below in levels for folder in below]
    yield from (partial(_below, root, folder) for folder in folders)


def _distinct(prefixes: Sequence[str]) -> list[str]:
    """The folders that are not below another one, sorted by name."""
    kept: list[str] = []
    for name in sorted(prefix.strip("/") for prefix in prefixes):
        if not name or ".." in name.split("/"):
            raise UsageError(f"--prefix {name!r}: give a folder below the archive, such as 2026-11-22 or car7.")
        if not kept or not f"{name}/".startswith(f"{kept[-1]}/"):
            kept.append(name)
    return kept


def _level(root: Location, folder: _Folder) -> tuple[list[Listed], list[_Folder]]:
    """The files directly in a folder, with those beside it, and the folders in it."""
    root = in_this_thread(root)
    place = root.child(folder.name) if folder.name else root
    try:
        infos = list_folder(place)
    except storage_errors() as error:
        if not folder.name or lists_by_prefix(root.fs) or is_out_of_reach(error):
            raise
        told = {} if is_web(root.fs) else root.fs.info(place.path)
        whole = entry(f"{folder.name}/", told)
        if is_denied(error):
            return [Found(whole)], []  # left to the scan, as files are
        return [Found(whole, error=f"the folder cannot be opened: {reason(error)}")], []
    named = [(_relative(root, info["name"]), info) for info in infos]
    if lists_by_prefix(root.fs) and any(_is_nameless(name, folder, info) for name, info in named):
        return list(_below(root, folder)), []  # such a folder cannot be asked for by itself
    named = [(name, info) for name, info in named if name and name.rstrip("/") != folder.name]
    named = [(name, info) for name, info in named if not _is_marker(name, info)]
    folders = [name for name, info in named if _is_folder(root, name, info)]
    followed = {name: follow(root, info) for name, info in named if name not in set(folders)}
    files = [entry(name, info) for name, info in followed.items() if is_file(info)]
    no_files = [NoFile(name) for name, info in followed.items() if not is_file(info)]
    files += [Entry(f"{name}/", 0, "", _NEVER) for name in folders if is_left_by_systems(name)]  # to be counted
    beside = _beside_folders(files, [name for name in folders if not is_left_by_systems(name)])
    taken = {file.name for files in beside.values() for file in files}
    return [*(file for file in files if file.name not in taken), *folder.beside, *no_files], [
        _Folder(name, tuple(files)) for name, files in beside.items()
    ]


def _below(root: Location, folder: _Folder) -> Iterator[Listed]:
    yield from folder.beside
    place = root.child(folder.name)
    if lists_by_prefix(root.fs):
        for path, info in root.fs.find(place.path, detail=True).items():
            name = _relative(root, path)
            if info["type"] != "directory" and not _is_marker(name, info):
                yield entry(name, info)
        return
    files, folders = _level(root, _Folder(folder.name))
    yield from files
    for deeper in folders:
        yield from _below(root, deeper)


def _is_folder(root: Location, name: str, info: dict[str, Any]) -> bool:
    """Whether it is a folder, or a link to a folder outside of the archive that does not lead back into it."""
    if info["type"] == "directory" or not info.get("islink") or not os.path.isdir(info["name"]):
        return bool(info["type"] == "directory")
    target, parts = os.path.realpath(info["name"]), name.split("/")[:-1]
    above = [os.path.realpath(os.path.join(root.path, *parts[:depth])) for depth in range(len(parts) + 1)]
    return not any(os.path.commonpath([target, folder]) in (target, above[0]) for folder in above)


def _is_nameless(name: str, folder: _Folder, info: dict[str, Any]) -> bool:
    """Whether this is a folder without a name in a folder of an object store: its keys have two slashes in a row."""
    return info["type"] == "directory" and name.rstrip("/") == folder.name


def _is_marker(name: str, info: dict[str, Any]) -> bool:
    """Whether this stands for a folder of an object store, as consoles make them."""
    return (not name or name.endswith("/")) and not info.get("size")


def _beside_folders(files: Sequence[Entry], folders: Iterable[str]) -> dict[str, list[Entry]]:
    """By folder, the sidecars and tracks that are named like it and lie beside it, where no file is named so."""
    beside: dict[str, list[Entry]] = {folder: [] for folder in folders}
    stems = [posixpath.splitext(file.name) for file in files]
    sources = {stem for stem, suffix in stems if suffix.lower() not in BESIDE_SUFFIXES}
    for file, (stem, suffix) in zip(files, stems, strict=True):
        if stem in beside and stem not in sources and suffix.lower() in BESIDE_SUFFIXES:
            beside[stem].append(file)
    return beside


def of_inventory(table: pa.Table) -> Iterator[Part]:
    """The files of an inventory, in parts as ``_walk`` would find them."""
    names = table["name"].combine_chunks()
    for levels in range(1, _LEVELS + 1):
        # The first folders of a name, or all where there are fewer.
        folders = pc.replace_substring_regex(names, f"^((?:[^/]*/){{0,{levels}}}).*$", r"\1")
        if pc.count_distinct(folders).as_py() >= _MANY_FOLDERS:
            break
    described = pc.replace_substring_regex(names, _BESIDE, "/")
    files = pc.replace_substring_regex(names.filter(pc.equal(described, names)), r"\.[^./]*$", "/")
    of_folder = pc.and_(pc.is_in(described, pc.unique(folders)), pc.invert(pc.is_in(described, pc.unique(files))))
    folders = pc.if_else(of_folder, described, folders)
    groups = pc.dictionary_encode(folders).indices.to_numpy()
    table = table.take(pa.array(np.argsort(groups, kind="stable")))
    ends = np.cumsum(np.bincount(groups))
    for first, end in pairwise([0, *ends]):
        yield partial(_entries, table.slice(first, end - first))


def _entries(rows: pa.Table) -> Iterator[Entry]:
    for row in rows.to_pylist():
        written = row["captured"] or row["modified"] or _NEVER
        yield Entry(row["name"], row["size"], row["etag"], written, row["captured"])


def _relative(root: Location, path: str) -> str:
    return str(path).removeprefix(root.path.rstrip("/")).removeprefix("/")
