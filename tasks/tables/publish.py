"""Publish tables for engines that know Delta Lake. ``published.py`` chooses the files, this file publishes them.

For each table: see what its log names and what it is to name, make the files that are missing, and commit the
difference in one version. Then files that nobody needs any more are removed. It can be ended at any moment: until the
commit nothing has changed for readers, and what it left is removed later.
"""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from clipomaly_core.errors import UserError
from tasks.storage import Location, cannot_read, copy_file, files_below, remove_files, replace_file
from tasks.storage_errors import storage_errors
from tasks.storage_listing import Entry
from tasks.tables.dataset import filtered, row_schema
from tasks.tables.delta_log import (
    FOLDER,
    PARTITIONS,
    DeltaLog,
    LoggedFile,
    NewFile,
    create_log,
    is_published,
    milliseconds,
    removed_since,
    written_by_others,
)
from tasks.tables.parts import parquet_writer
from tasks.tables.published import Published, Wanted, wanted_files
from tasks.tables.selection import Selection, choose, read_committed, select

_TRIES = 10
_THREADS = 16
# Another publisher may be about to add a file that no version names yet.
_YOUNGEST = timedelta(hours=1)

KEEP = timedelta(days=7)
"""How long replaced files stay by default."""


@dataclass(frozen=True, slots=True)
class TablePublished:
    """The result for a table: the ``version`` of its log, how many files came into it and went out, and how many that
    nobody needs any more were removed. ``others`` has a line for each version that another program had written."""

    table: Published
    version: int
    added: int
    removed: int
    cleaned: int
    others: tuple[str, ...]


def publish(root: Location, grace: timedelta) -> Iterator[TablePublished]:
    """Make the logs of these tables equal to the tables: one version a table, none where nothing changed.

    ``grace`` is how long files stay that were made for a log and that its newest version no longer names. Raises
    UserError when there are no tables, or when they or the logs cannot be read or written.
    """
    for published in Published:
        yield _publish_table(root, published, grace)


def publish_again(root: Location, grace: timedelta) -> Iterator[TablePublished]:
    """``publish`` where there is a log already; else nothing."""
    if any(is_published(root.child(published)) for published in Published):
        yield from publish(root, grace)


def behind(root: Location) -> Iterator[str]:
    """A line for each log that does not name what it is to name; none where nothing is published.

    Raises UserError when the tables or a log cannot be read.
    """
    if not any(is_published(root.child(published)) for published in Published):
        return
    committed = read_committed(root)
    for published in Published:
        place = root.child(published)
        if not is_published(place):
            yield f"{published}: not published yet"
            continue
        log = DeltaLog(place)
        if others := written_by_others(place):
            yield f"{published}: another program wrote into the log: {others[0]}"
            continue
        selection = choose(committed, published.of, newest=published.is_latest)
        work = _work(published, place, selection, log.files())
        if work.coming or work.gone:
            yield f"{published}: files to add: {len(work.coming):,}, to remove: {len(work.gone):,}"


def files_in_use(root: Location, since: datetime) -> frozenset[str]:
    """Files of the tables, relative to ``root``, that somebody needs who opened a log at ``since`` or later."""
    return frozenset(
        f"{published}/{path}"
        for published in Published
        if not published.is_latest and is_published(root.child(published))
        for path in _named_since(root.child(published), DeltaLog(root.child(published)), since)
    )


def _named_since(place: Location, log: DeltaLog, since: datetime) -> set[str]:
    return {*log.files(), *removed_since(place, since)}


@dataclass(frozen=True, slots=True)
class _Work:
    """Files that are to come into a log, paths that are to go, and the files that were made for it."""

    coming: list[Wanted]
    gone: list[str]
    own: dict[str, Entry]


def _work(published: Published, place: Location, selection: Selection, there: dict[str, LoggedFile]) -> _Work:
    own = _own_files(published, place)
    wanted = {item.path: item for item in wanted_files(published, selection)}

    def is_right(item: Wanted) -> bool:
        logged = there.get(item.path)
        # Recorded at another time: a repair removed it, and it was scanned again, perhaps to the same path.
        if logged is None or logged.recorded != milliseconds(item.item.recorded):
            return False
        lies = own.get(item.path) if item.is_own else item.item.file
        return lies is not None and lies.size == logged.size

    coming = [item for path, item in sorted(wanted.items()) if not is_right(item)]
    return _Work(coming, sorted(there.keys() - wanted.keys()), own)


def _own_files(published: Published, place: Location) -> dict[str, Entry]:
    """The files that were made for a log, by path in the folder of its table."""
    folder = published.own_folder
    found = files_below(place.child(folder) if folder else place)
    return {f"{folder}{path}": file for path, file in found.items() if not path.startswith(f"{FOLDER}/")}


def _publish_table(root: Location, published: Published, grace: timedelta) -> TablePublished:
    place = root.child(published)
    for _ in range(_TRIES):
        # The log before the tables: so what is committed follows from tables that are as new as the log or newer.
        log = DeltaLog(place) if is_published(place) else None
        others = tuple(written_by_others(place)) if log else ()
        selection = select(root, published.of, None, newest=published.is_latest)
        work = _work(published, place, selection, log.files() if log else {})
        if log and not (work.coming or work.gone or others):
            cleaned = _clean(place, log, work.own, grace)
            return TablePublished(published, log.version, 0, 0, cleaned, ())
        with ThreadPoolExecutor(_THREADS) as pool:
            new = list(pool.map(partial(_make, root, place, selection), work.coming))
        schema, rows = _delta_schema(selection), selection.rows_digest()
        if log.change(schema, new, work.gone, rows) if log else create_log(place, schema, new, rows):
            log = DeltaLog(place)
            cleaned = _clean(place, log, _own_files(published, place), grace)
            return TablePublished(published, log.version, len(new), len(work.gone), cleaned, others)
    raise UserError(f"Other programs wrote into the log of {place.url} {_TRIES} times meanwhile. Publish again later.")


def _delta_schema(selection: Selection) -> pa.Schema:
    """All columns may be null, as files of older schema versions lack some; those of the folders come last."""
    fields = [field.with_nullable(True).remove_metadata() for field in row_schema(selection)]
    return pa.schema(sorted(fields, key=lambda field: field.name in PARTITIONS))


def _make(root: Location, place: Location, selection: Selection, wanted: Wanted) -> NewFile:
    """Put a file where the log is to name it, unless it lies there, and read its footer."""
    item, target, size = wanted.item, place.child(wanted.path), wanted.item.file.size
    if wanted.is_rewritten:
        data = _rewrite(root, replace(selection, files=(item,), left_out=wanted.left_out))
        replace_file(target, data)
        footer, size = pq.read_metadata(io.BytesIO(data)), len(data)
    else:
        if wanted.is_own:
            copy_file(root.child(item.file.path), target, over=True)
        try:
            with target.fs.open(target.path, "rb") as file:
                footer = pq.read_metadata(file)
        except storage_errors(pa.ArrowInvalid) as error:
            raise cannot_read(target, error) from error
    return NewFile(wanted.path, size, item.scan_id, item.day, item.recorded, footer)


def _rewrite(root: Location, selection: Selection) -> bytes:
    """The rows of a selection that count as one file with all columns but those of the folders."""
    rows = filtered(root, selection)
    schema = pa.schema([field for field in rows.schema if field.name not in PARTITIONS])
    buffer = io.BytesIO()
    with parquet_writer(buffer, schema, selection.files[0].file.rows) as writer:
        for batch in rows.to_batches(columns=schema.names):
            if len(batch):
                writer.write_table(pa.Table.from_batches([batch], schema=schema))
    return buffer.getvalue()


def _clean(place: Location, log: DeltaLog, own: dict[str, Entry], grace: timedelta) -> int:
    """Remove files that were made for a log and that no reader needs any more: how many."""
    now = datetime.now(UTC)
    removed = removed_since(place, now - max(grace, _YOUNGEST))
    named = log.files().keys() | {path for path, when in removed.items() if when > now - grace}
    gone = [
        path
        for path, file in own.items()
        if path not in named and (path in removed or file.modified < now - max(grace, _YOUNGEST))
    ]
    remove_files(place.child(path) for path in sorted(gone))
    return len(gone)
