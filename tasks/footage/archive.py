"""What an archive holds: every video, recording, tar of images and folder of images under a URL, as a Source.

Sources by the million are columns of an Arrow table, which become records when they are looked at.
"""

import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, overload
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clipomaly_core.errors import UserError
from schemas.records import Source, TimestampSource
from schemas.tables import TIMESTAMP
from tasks.addresses import printable, split_chain
from tasks.errors import UsageError
from tasks.footage.capture_time import is_ahead, time_in_folders, time_in_path
from tasks.footage.frames import KINDS, is_source, open_source
from tasks.footage.image_files import (
    folder_etag,
    image_suffixes,
    is_file,
    is_image,
    is_left_by_systems,
    is_proxy,
    is_thumbnail,
)
from tasks.footage.inventory import read_inventory
from tasks.footage.layouts import event_beside, is_of_tesla, is_read_with_footage
from tasks.footage.track_files import TRACK_SUFFIXES
from tasks.footage.walk import BESIDE_SUFFIXES, Found, Listed, NoFile, Part, of_inventory, walk
from tasks.storage import Location, cannot_read, locate
from tasks.storage_errors import storage_errors
from tasks.storage_listing import Entry, entry, forget_web_files, is_web

# Large strings: those of a table may be more than 2 GB together.
SOURCES = pa.schema(
    [
        ("uri", pa.large_string()),
        ("size", pa.int64()),
        ("etag", pa.large_string()),
        ("drive", pa.string()),
        ("captured", TIMESTAMP),
        ("captured_from", pa.string()),
        ("footage_seconds", pa.float64()),
        ("error", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("sidecar", pa.large_string()),
        ("track", pa.large_string()),
        ("note", pa.string()),
    ]
)

_BLOCK = 10_000
LABEL_FOLDER_SUFFIX = ".labels"  # ground truth beside images, as SegmentMeIfYouCan names it: no footage

_THREADS = 8


class Sources(Sequence[Source]):
    """A sequence of sources over ``table``, whose columns are those of a Source."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @classmethod
    def of(cls, sources: Iterable[Source]) -> "Sources":
        """Sources of any kind as columns; what is columns already stays as it is."""
        if isinstance(sources, cls):
            return sources
        return cls(pa.Table.from_pylist([asdict(source) for source in sources], schema=SOURCES))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> "Sources": ...
    def __getitem__(self, index: int | slice) -> "Source | Sources":
        if isinstance(index, slice):
            first, end, step = index.indices(len(self))
            if step != 1:
                return self.take(np.arange(first, end, step))
            return Sources(self.table.slice(first, max(end - first, 0)))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return next(iter(Sources(self.table.slice(index % len(self), 1))))

    def __iter__(self) -> Iterator[Source]:
        for batch in self.table.to_batches(max_chunksize=_BLOCK):
            for row in batch.to_pylist():
                row["captured"] = row["captured"].astimezone(UTC)
                row["captured_from"] = TimestampSource(row["captured_from"])
                yield Source(**row)

    def take(self, rows: npt.NDArray[np.int64]) -> "Sources":
        """The sources at these places, in this order."""
        return Sources(self.table.take(pa.array(rows)))

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of numbers or times (microseconds) as (N,) int64 or float64."""
        values = self.table[name]
        values = values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values
        numbers: npt.NDArray[Any] = values.to_numpy()
        return numbers


@dataclass(frozen=True, slots=True)
class Listing:
    """The sources of an archive in order of their URI, the URIs of files that are none, and how many files and folders
    are what systems and recorders keep for themselves (hidden ones, recycle bins, thumbnails)."""

    sources: Sequence[Source]
    ignored: tuple[str, ...]
    left_over: int = 0


def list_sources(url: str) -> Listing:
    """List an archive as ``find_sources`` does, and open each source for facts that only its content has.

    Raises UserError when there is no such archive, it may not be read, or it holds no source.
    """
    listing = find_sources(url)
    with ThreadPoolExecutor(_THREADS) as pool:
        return replace(listing, sources=tuple(pool.map(open_source, listing.sources)))


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
    forget_web_files()
    if inventory is not None:
        if prefixes:
            raise UsageError("Give --inventory or --prefix: an inventory says itself what is to be scanned.")
        return _listing(root, of_inventory(read_inventory(inventory, root)), inventory)
    try:
        info = (
            {"type": "directory"}
            if is_web(root.fs) and not is_source(root.path.rstrip("/"))
            else root.fs.info(root.path)
        )
        if info["type"] == "directory":
            return _listing(root, walk(root, prefixes), root.url)
        base, found = _single_file(root, info)
        return _listing(base, [partial(iter, found)], root.url)
    except FileNotFoundError as error:
        raise UserError(f"There is no archive at {root.url}. Check the address.") from error
    except storage_errors() as error:
        raise cannot_read(root, error) from error


def _listing(base: Location, parts: Iterable[Part], what: str) -> Listing:
    def digest(part: Part) -> tuple[pa.Table, _Sorted]:
        sorted_out = _sort_out(part())
        return _columns(base, sorted_out.found), sorted_out

    with ThreadPoolExecutor(_THREADS) as pool:  # waits for the store, mostly
        digests = list(pool.map(digest, parts))
    table = pa.concat_tables([SOURCES.empty_table(), *(sources for sources, _ in digests)])
    if not len(table):
        others = sorted({posixpath.basename(name) for _, part in digests for name in part.ignored})
        there = f" There are {len(others)} files of other kinds, such as {printable(others[0])}." if others else ""
        suffixes = [suffix for end in KINDS for suffix in (image_suffixes() if end == "/" else (end,))]
        raise UserError(f"The archive {what} holds nothing to scan. Clipomaly reads {_spoken(suffixes)}.{there}")
    ignored = sorted({name for _, others in digests for name in others.ignored})
    left_over = sum(others.left_over for _, others in digests)
    return Listing(Sources(table.sort_by("uri")), tuple(base.child(name).url for name in ignored), left_over)


def _single_file(file: Location, info: dict[str, Any]) -> tuple[Location, list[Listed]]:
    """The folder of a file that is itself the archive, and the file with its sidecar."""
    folder, name = posixpath.split(file.path)
    if not is_file(info):
        raise UserError(f"{file.url} is no file: a pipe, a socket or a device.")
    if name.lower().endswith(".zip"):
        raise UserError(f"{file.url} is a ZIP file. What lies in it is scanned as zip://::{file.url}")
    if is_image(name):
        raise UserError(f"{file.url} is one image. Name its folder, or try `clipomaly segment` on it.")
    inside, packed = split_chain(file.url)
    above = inside.removesuffix(name)
    base = Location(file.fs, folder, f"{above}::{packed}" if packed else above)
    found: list[Listed] = [entry(name, info)]
    stems = (name, posixpath.splitext(name)[0])
    suffixes = [spelt for suffix in BESIDE_SUFFIXES for spelt in (suffix, suffix.upper())]
    for beside in (f"{stem}{suffix}" for suffix in suffixes for stem in stems):
        if beside != name and file.fs.exists(base.child(beside).path):
            found.append(entry(beside, file.fs.info(base.child(beside).path)))
    return base, found


def _spoken(suffixes: Iterable[str]) -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in suffixes)


@dataclass(frozen=True, slots=True)
class _Sorted:
    found: list[Found]
    ignored: set[str]
    left_over: int


def _sort_out(listed: Iterable[Listed]) -> _Sorted:
    """Tell sources from sidecars, from the names of files that are neither and from what systems leave."""
    found: list[Found] = []
    files: list[Entry] = []
    proxies: list[Entry] = []
    images: defaultdict[str, list[Entry]] = defaultdict(list)
    beside: dict[str, Entry] = {}  # sidecars and tracks, by their names in lower case
    ignored: set[str] = set()
    left_over = 0
    for item in listed:
        if isinstance(item, Found):
            found.append(item)
        elif isinstance(item, NoFile):
            ignored.add(item.name)
        elif is_left_by_systems(item.name) or is_thumbnail(item.name):
            left_over += 1
        elif posixpath.dirname(item.name).endswith(LABEL_FOLDER_SUFFIX) or is_read_with_footage(item.name):
            continue
        elif item.name.endswith("/"):
            ignored.add(item.name)
        elif is_proxy(item.name):
            proxies.append(item)
        elif is_source(item.name):
            files.append(item)
        elif is_image(item.name):
            images[item.name.rpartition("/")[0]].append(item)
        elif item.name.lower().endswith(BESIDE_SUFFIXES):
            ignored |= {item.name} if beside.setdefault(item.name.lower(), item) is not item else set()
        else:
            ignored.add(item.name)

    # Where somebody kept only the small copies, they are the footage.
    with_footage = {posixpath.dirname(item.name) for item in files}
    alone = [item for item in proxies if posixpath.dirname(item.name) not in with_footage]
    left_over += len(proxies) - len(alone)
    files += alone

    def of(name: str, *suffixes: str) -> Entry | None:
        stems = [name.lower(), posixpath.splitext(name.lower())[0]]
        if is_of_tesla(name):
            stems.append(event_beside(name))
        return next((beside[stem + end] for end in suffixes for stem in stems if stem + end in beside), None)

    for item in files:
        found.append(Found(item, (), of(item.name, ".json"), of(item.name, *TRACK_SUFFIXES)))
    for folder, members in images.items():
        found.append(_folder(folder, members, beside.get(f"{folder.lower()}.json"), of(folder, *TRACK_SUFFIXES)))
    if beside:
        described = {folder.lower() for folder in images}
        for item in (*files, *(member for members in images.values() for member in members)):
            described |= {item.name.lower(), posixpath.splitext(item.name.lower())[0]}
            if is_of_tesla(item.name):
                described.add(event_beside(item.name))
        ignored |= {item.name for name, item in beside.items() if posixpath.splitext(name)[0] not in described}
    return _Sorted(found, ignored, left_over)


def _folder(name: str, images: Iterable[Entry], sidecar: Entry | None, track: Entry | None) -> Found:
    members = tuple(sorted(images, key=lambda member: member.name))
    whole = Entry(
        f"{name}/" if name else "",
        sum(member.size for member in members),
        folder_etag(members),
        members[0].modified,
        members[0].captured,
    )
    # Filesystems take two slashes for one: it would be read as another folder.
    error = (
        "its folder has no name (two slashes in a row), so its images cannot be read" if "//" in whole.name else None
    )
    return Found(whole, members, sidecar, track, error)


def _columns(base: Location, found: Sequence[Found]) -> pa.Table:
    """What is listed as the columns of ``SOURCES``."""
    own = posixpath.basename(base.path.rstrip("/"))
    spoken: Callable[[str], str] = unquote if is_web(base.fs) else str
    rows = []
    for source in found:
        name = source.entry.name
        captured, captured_from = _captured(source, spoken)
        first, _, rest = name.partition("/")
        rows.append(
            (
                base.child(name).url,
                source.entry.size,
                source.entry.etag,
                printable(spoken(first if rest or name.endswith("/") else own)),
                captured,
                captured_from.value,
                float(len(source.members)),
                source.error,
                base.child(source.sidecar.name).url if source.sidecar else None,
                base.child(source.track.name).url if source.track else None,
            )
        )
    told = [name for name in SOURCES.names if name not in ("latitude", "longitude", "note")]
    columns = dict(zip(told, zip(*rows, strict=True), strict=True)) if rows else {}
    return pa.table([columns.get(name, [None] * len(rows)) for name in SOURCES.names], schema=SOURCES)


def _captured(found: Found, spoken: Callable[[str], str]) -> tuple[datetime, TimestampSource]:
    """When it was captured, as far as a listing shows it."""
    if found.entry.captured:
        return found.entry.captured, TimestampSource.INVENTORY
    name, first = spoken(found.entry.name), spoken(found.members[0].name if found.members else "")
    named = time_in_path(name.rstrip("/")) or time_in_path(f"{name.rstrip('/')}/{posixpath.basename(first)}")
    if named and not is_ahead(named, found.entry.modified):
        return named, TimestampSource.FILENAME
    if by_folder := time_in_folders(name, found.entry.modified):
        return by_folder, TimestampSource.FILENAME
    return found.entry.modified, TimestampSource.MTIME
