"""Footage that was moved or renamed between two scans: the same content, and the old address is gone.

``_moved/<archive>.json`` maps old addresses to new ones. As soon as the new address is scanned, the rows of the old one
no longer count; otherwise the footage would count twice. If the old address exists again, the entry is removed.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import Outcome
from tasks.addresses import file_name, place_in_chain
from tasks.errors import UserError
from tasks.footage.archive import Sources
from tasks.footage.stored_file import fingerprint
from tasks.storage import exists, is_local, locate, replace_file
from tasks.tables import Tables
from tasks.tables.records import read_moved, read_moves_of

_THREADS = 16
_COLUMNS = ["uri", "etag", "fingerprint"]


@dataclass(frozen=True, slots=True)
class _Known:
    """A committed source that the listing does not have."""

    uri: str
    etag: str
    fingerprint: str | None


def note_moved(tables: Tables, archive: str, sources: Sources) -> Mapping[str, str]:
    """Find out which committed sources were moved to an address of this listing, and record it: from old to new.

    A source was moved where a listed one has the same content and its own address is gone. The same content is the same
    fingerprint (size, hash of both ends); where none is recorded, the same etag in a store whose etags are of the
    content, and elsewhere the same etag (size and time) and the same name.

    Raises UserError when the tables cannot be read or written.
    """
    place = tables.root.child(f"_moved/{hashlib.sha256(archive.encode()).hexdigest()[:12]}.json")
    before = read_moves_of(place)
    moved = {old: new for old, new in before.items() if not _is_there(old)}
    committed = _committed(tables)
    listed = sources.table["uri"]
    absent = committed.filter(pc.invert(pc.is_in(committed["uri"], listed.cast(pa.string()))))
    absent = absent.filter(pc.invert(pc.is_in(absent["uri"], pa.array(list(read_moved(tables.root)), pa.string()))))
    if len(absent):
        candidates = dict(_same_content(absent, committed, sources))
        with ThreadPoolExecutor(_THREADS) as pool:
            gone = pool.map(lambda old: not _is_there(old), candidates)
            moved |= {old: new for (old, new), is_gone in zip(candidates.items(), gone, strict=True) if is_gone}
    if moved != before:
        replace_file(place, json.dumps(moved, indent=1).encode())
    return moved


def _is_there(uri: str) -> bool:
    """Whether there is something at an address; True if the storage cannot say."""
    try:
        return exists(locate(uri))
    except UserError:
        return True


def _committed(tables: Tables) -> pa.Table:
    """Every source that any generation has read, once for each content."""
    parts = [pa.table({name: pa.array([], pa.string()) for name in _COLUMNS})]
    for scan in tables.scans():
        sources = pa.Table.from_struct_array(pc.list_flatten(tables.commit_table(scan.scan_id)["sources"]))
        unread = pa.array([Outcome.FAILED.value, Outcome.FORGOTTEN.value])
        parts.append(sources.filter(pc.invert(pc.is_in(sources["outcome"], unread))).select(_COLUMNS))
    return pa.concat_tables(parts).group_by(_COLUMNS).aggregate([])


def _same_content(absent: pa.Table, committed: pa.Table, sources: Sources) -> Iterator[tuple[str, str]]:
    """Each absent source with the same content as a listed one, and the listed one."""
    # As columns first: a night of a large fleet lists one day, so everything scanned before is absent from the listing.
    hexadecimal = [f"{size:x}" for size in pc.unique(sources.table["size"]).to_pylist()]
    size_of = pc.list_element(pc.split_pattern(pc.fill_null(absent["fingerprint"], "none"), "-"), 0)
    of_a_listed_size = pc.is_in(size_of, pa.array(hexadecimal, pa.string()))
    of_a_listed_etag = pc.is_in(absent["etag"], pc.unique(sources.table["etag"]).cast(pa.string()))
    known = [_Known(**row) for row in absent.filter(pc.or_(of_a_listed_size, of_a_listed_etag)).to_pylist()]
    sizes = {int(source.fingerprint.split("-")[0], 16) for source in known if source.fingerprint}
    etags = {source.etag for source in known if source.etag}
    table = sources.table
    alike = pc.or_(
        pc.is_in(table["size"], pa.array(sorted(sizes), pa.int64())),
        pc.is_in(table["etag"], pa.array(sorted(etags), pa.large_string())),
    )
    listed = table.filter(alike).select(["uri", "size", "etag"]).to_pylist()
    met = committed.filter(pc.is_in(committed["uri"], pa.array([row["uri"] for row in listed], pa.string())))
    recorded = {(row["uri"], row["etag"]): row["fingerprint"] for row in met.to_pylist()}
    by_print: dict[str, str] = {}
    by_etag: defaultdict[str, list[str]] = defaultdict(list)

    def told_by(row: dict[str, object]) -> str | None:
        uri, size = str(row["uri"]), int(str(row["size"]))
        stored = recorded.get((uri, row["etag"]))
        return stored or (fingerprint(uri, size) if size in sizes else None)

    with ThreadPoolExecutor(_THREADS) as pool:
        for row, found in zip(listed, pool.map(told_by, listed), strict=True):
            by_etag[row["etag"]].append(row["uri"])
            if found:
                by_print.setdefault(found, row["uri"])
    for source in known:
        new = by_print.get(source.fingerprint) if source.fingerprint else _by_etag(source, by_etag.get(source.etag, []))
        if new is not None:
            yield source.uri, new


def _by_etag(known: _Known, listed: list[str]) -> str | None:
    name = file_name(known.uri)
    # On a disk, the etag is size and time, which two files may share. The etag of a folder comes from its files.
    weak = not place_in_chain(known.uri).endswith("/") and is_local(locate(known.uri).fs)
    return next((uri for uri in listed if not weak or file_name(uri) == name), None)
