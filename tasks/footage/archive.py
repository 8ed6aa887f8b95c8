"""What an archive holds: every video, recording, tar of images and folder of images under a URL, as a Source."""

import posixpath
import re
from collections import defaultdict
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
from schemas.records import Source, TimestampSource
from tasks.errors import UsageError
from tasks.footage.capture_time import is_ahead, time_in_name
from tasks.footage.image_files import IMAGE_SUFFIXES, folder_etag, follow, image_members, is_image
from tasks.footage.inventory import read_inventory
from tasks.footage.kinds import KINDS, is_source
from tasks.footage.opening import open_source
from tasks.footage.positions import TRACK_SUFFIXES
from tasks.footage.sources import SOURCES, Sources
from tasks.storage import (
    STORAGE_ERRORS,
    Entry,
    Location,
    cannot_read,
    entry,
    is_object_store,
    locate,
    reason,
)

LABEL_FOLDER_SUFFIX = ".labels"  # ground truth beside images, as SegmentMeIfYouCan names it: no footage

_THREADS = 8
# An archive is read in parts, so that never all of it lies in memory as a store tells it: into folders of folders
# until there are many, but not so deep that every one would be a request.
_MANY_FOLDERS = 64
_LEVELS = 3
_BESIDE_SUFFIXES = (".json", *TRACK_SUFFIXES)
_BESIDE = rf"(?i)({'|'.join(re.escape(suffix) for suffix in _BESIDE_SUFFIXES)})$"
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Listing:
    """The sources of an archive in order of their URI, and the URIs of files that are none."""

    sources: Sequence[Source]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A source as it is listed. ``members`` are the images of a folder, else empty."""

    entry: Entry
    members: tuple[Entry, ...] = ()
    sidecar: Entry | None = None
    track: Entry | None = None
    error: str | None = None


_Listed = Entry | _Found
_Part = Callable[[], Iterable[_Listed]]


def list_sources(url: str) -> Listing:
    """List an archive as ``find_sources`` does, and open each source for what only its inside tells.

    Raises UserError when there is no such archive, it may not be read, or it holds no source.
    """
    listing = find_sources(url)
    with ThreadPoolExecutor(_THREADS) as pool:
        return Listing(tuple(pool.map(open_source, listing.sources)), listing.ignored)


def find_sources(url: str, prefixes: Sequence[str] = (), inventory: str | None = None) -> Listing:
    """List an archive, any fsspec URL or local path of a folder or of one such file, without opening a source.

    ``prefixes`` are folders below it, such as dates or drives, and the only ones to be listed; an ``inventory`` is
    a file that lists instead of the storage (see ``tasks.footage.inventory``). A folder that directly holds images
    is one source whose URI ends in a slash; its etag covers its images. The drive is the first folder under the archive
    (for files directly in it, its own name). Capture time is, for now, that of the inventory, the name or the
    modification time. A folder that cannot be listed is a source with ``error``. Hidden files, sidecars and
    ``*.labels`` folders are left out; everything else that is no source is in ``ignored``.

    Raises UserError when there is no such archive, it may not be read, or it holds no source; UsageError for an
    inventory that is none.
    """
    root = locate(url)
    if inventory is not None:
        if prefixes:
            raise UsageError("Give --inventory or --prefix: an inventory says itself what is to be scanned.")
        return _listing(root, _of_inventory(read_inventory(inventory, root)), inventory)
    try:
        info = root.fs.info(root.path)
        if info["type"] == "directory":
            return _listing(root, _walk(root, prefixes), root.url)
        base, found = _single_file(root, info)
        return _listing(base, [partial(iter, found)], root.url)
    except FileNotFoundError as error:
        raise UserError(f"There is no archive at {root.url}. Check the address.") from error
    except STORAGE_ERRORS as error:
        raise cannot_read(root, error) from error


def _listing(base: Location, parts: Iterable[_Part], what: str) -> Listing:
    def digest(part: _Part) -> tuple[pa.Table, set[str]]:
        candidates, others = _sort_out(part())
        return _columns(base, candidates), others

    with ThreadPoolExecutor(_THREADS) as pool:  # waits for the store, mostly
        digests = list(pool.map(digest, parts))
    table = pa.concat_tables([SOURCES.empty_table(), *(sources for sources, _ in digests)])
    if not len(table):
        suffixes = [suffix for end in KINDS for suffix in (IMAGE_SUFFIXES if end == "/" else (end,))]
        raise UserError(f"The archive {what} holds nothing to scan. Clipomaly reads {_spoken(suffixes)}.")
    ignored = sorted({name for _, others in digests for name in others})
    return Listing(Sources(table.sort_by("uri")), tuple(base.child(name).url for name in ignored))


def _single_file(file: Location, info: dict[str, Any]) -> tuple[Location, list[_Listed]]:
    """The folder of a file that is itself the archive, and the file with its sidecar."""
    folder, name = posixpath.split(file.path)
    if is_image(name):
        raise UserError(f"{file.url} is one image. Name its folder, or try `clipomaly segment` on it.")
    base = Location(file.fs, folder, file.url.removesuffix(f"/{name}"))
    found: list[_Listed] = [entry(name, info)]
    stems = (name, posixpath.splitext(name)[0])
    for beside in (f"{stem}{suffix}" for suffix in (".json", *TRACK_SUFFIXES) for stem in stems):
        if beside != name and file.fs.exists(base.child(beside).path):
            found.append(entry(beside, file.fs.info(base.child(beside).path)))
    return base, found


def list_images(url: str) -> list[str]:
    """URLs of the images at a URL: itself, or those directly in it, by name.

    Raises UserError when there are none or they cannot be listed.
    """
    place = locate(url)
    if is_image(place.path):
        return [place.url]
    try:
        images = [place.child(member.name).url for member in image_members(place)]
    except FileNotFoundError as error:
        raise UserError(f"There is nothing at {place.url}. Check the address.") from error
    except STORAGE_ERRORS as error:
        raise cannot_read(place, error) from error
    if not images:
        raise UserError(f"No images at {place.url}. Clipomaly reads {_spoken(IMAGE_SUFFIXES)}.")
    return images


def _spoken(suffixes: Iterable[str]) -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in suffixes)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder by its name below the archive, and the sidecar and track beside it that are named like it."""

    name: str
    beside: tuple[Entry, ...] = ()


def _walk(root: Location, prefixes: Sequence[str]) -> Iterator[_Part]:
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
    """The folders of which none is below another, in order of their names."""
    kept: list[str] = []
    for name in sorted(prefix.strip("/") for prefix in prefixes):
        if not name or ".." in name.split("/"):
            raise UsageError(f"--prefix {name!r}: give a folder below the archive, such as 2026-11-22 or car7.")
        if not kept or not f"{name}/".startswith(f"{kept[-1]}/"):
            kept.append(name)
    return kept


def _level(root: Location, folder: _Folder) -> tuple[list[_Listed], list[_Folder]]:
    """The files directly in a folder, with those beside it, and the folders in it."""
    place = root.child(folder.name) if folder.name else root
    try:
        infos = root.fs.ls(place.path, detail=True)
    except OSError as error:
        if not folder.name or is_object_store(root.fs):
            raise
        whole = entry(f"{folder.name}/", root.fs.info(place.path))
        if isinstance(error, PermissionError):
            return [_Found(whole)], []  # left to the scan, as files are
        return [_Found(whole, error=f"the folder cannot be opened: {reason(error)}")], []
    named = [(_relative(root, info["name"]), info) for info in infos]
    named = [(name, info) for name, info in named if name and name != folder.name and not _hidden(name)]
    files = [entry(name, follow(root, info)) for name, info in named if info["type"] != "directory"]
    beside = _beside_folders(files, [name for name, info in named if info["type"] == "directory"])
    taken = {file.name for files in beside.values() for file in files}
    return [*(file for file in files if file.name not in taken), *folder.beside], [
        _Folder(name, tuple(files)) for name, files in beside.items()
    ]


def _below(root: Location, folder: _Folder) -> Iterator[_Listed]:
    yield from folder.beside
    place = root.child(folder.name)
    if is_object_store(root.fs):
        for path, info in root.fs.find(place.path, detail=True).items():
            if info["type"] != "directory":
                yield entry(_relative(root, path), info)
        return
    files, folders = _level(root, _Folder(folder.name))
    yield from files
    for deeper in folders:
        yield from _below(root, deeper)


def _beside_folders(files: Sequence[Entry], folders: Iterable[str]) -> dict[str, list[Entry]]:
    """By folder, the sidecars and tracks that are named like it and lie beside it, where no file is named so."""
    beside: dict[str, list[Entry]] = {folder: [] for folder in folders}
    stems = [posixpath.splitext(file.name) for file in files]
    sources = {stem for stem, suffix in stems if suffix.lower() not in _BESIDE_SUFFIXES}
    for file, (stem, suffix) in zip(files, stems, strict=True):
        if stem in beside and stem not in sources and suffix.lower() in _BESIDE_SUFFIXES:
            beside[stem].append(file)
    return beside


def _of_inventory(table: pa.Table) -> Iterator[_Part]:
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
        yield Entry(row["name"], row["size"], row["etag"], row["captured"] or _NEVER, row["captured"])


def _relative(root: Location, path: str) -> str:
    return str(path).removeprefix(root.path.rstrip("/")).lstrip("/")


def _hidden(name: str) -> bool:
    marked = f"/{name}/"
    return "/." in marked or "/__MACOSX/" in marked


def _sort_out(found: Iterable[_Listed]) -> tuple[list[_Found], set[str]]:
    """Tell sources from sidecars and from the names of files that are neither."""
    candidates: list[_Found] = []
    files: list[Entry] = []
    images: defaultdict[str, list[Entry]] = defaultdict(list)
    json: dict[str, Entry] = {}
    tracks: dict[str, Entry] = {}
    ignored: set[str] = set()
    for item in found:
        if isinstance(item, _Found):
            candidates.append(item)
        elif _hidden(item.name) or posixpath.dirname(item.name).endswith(LABEL_FOLDER_SUFFIX):
            continue
        elif is_source(item.name):
            files.append(item)
        elif is_image(item.name):
            images[posixpath.dirname(item.name)].append(item)
        elif item.name.lower().endswith(".json"):
            json[item.name] = item
        elif item.name.lower().endswith(TRACK_SUFFIXES):
            tracks[item.name] = item
        else:
            ignored.add(item.name)

    def beside(name: str, files: dict[str, Entry], *suffixes: str) -> Entry | None:
        if not files:
            return None
        names = (f"{stem}{suffix}" for suffix in suffixes for stem in (name, posixpath.splitext(name)[0]))
        return next((files[name] for name in names if name in files), None)

    for item in files:
        candidates.append(
            _Found(item, (), beside(item.name, json, ".json"), beside(item.name, tracks, *TRACK_SUFFIXES))
        )
    for folder, listed in images.items():
        members = tuple(sorted(listed, key=lambda member: member.name))
        whole = Entry(
            f"{folder}/" if folder else "",
            sum(member.size for member in members),
            folder_etag(members),
            members[0].modified,
            members[0].captured,
        )
        candidates.append(_Found(whole, members, json.get(f"{folder}.json"), beside(folder, tracks, *TRACK_SUFFIXES)))
    if json or tracks:
        described = set(images)
        for item in (*files, *(member for members in images.values() for member in members)):
            described |= {item.name, posixpath.splitext(item.name)[0]}
        ignored |= {name for name in (*json, *tracks) if posixpath.splitext(name)[0] not in described}
    return candidates, ignored


def _columns(base: Location, found: Sequence[_Found]) -> pa.Table:
    """What is listed as the columns of ``SOURCES``."""
    own = posixpath.basename(base.path.rstrip("/"))
    root = f"{base.url.rstrip('/')}/"
    rows = []
    for source in found:
        name = source.entry.name
        captured, captured_from = _captured(source)
        first, _, rest = name.partition("/")
        rows.append(
            (
                root + name,
                source.entry.size,
                source.entry.etag,
                first if rest or name.endswith("/") else own,
                captured,
                captured_from.value,
                float(len(source.members)),
                source.error,
                root + source.sidecar.name if source.sidecar else None,
                root + source.track.name if source.track else None,
            )
        )
    told = [name for name in SOURCES.names if name not in ("latitude", "longitude", "note")]
    columns = dict(zip(told, zip(*rows, strict=True), strict=True)) if rows else {}
    return pa.table([columns.get(name, [None] * len(rows)) for name in SOURCES.names], schema=SOURCES)


def _captured(found: _Found) -> tuple[datetime, TimestampSource]:
    """When it was captured, as far as a listing can tell."""
    if found.entry.captured:
        return found.entry.captured, TimestampSource.INVENTORY
    first = found.members[0].name if found.members else ""
    named = time_in_name(posixpath.basename(found.entry.name.rstrip("/"))) or time_in_name(posixpath.basename(first))
    if named and not is_ahead(named, found.entry.modified):
        return named, TimestampSource.FILENAME
    return found.entry.modified, TimestampSource.MTIME
