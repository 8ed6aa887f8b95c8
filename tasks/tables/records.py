"""Records beside the commits: what each generation of rows is, and what was merged, forgotten and moved.

``_scans/<scan_id>.json`` holds what a generation is, ``_compactions/<scan_id>/<day>.<number>.json`` which merged files
replace the files of which shards: the record with the greatest number of a day counts. If an older one still exists,
the files before it may still exist, too. ``_moved/<archive>.json`` says which footage was moved from where to where, as
scans found it, an object of strings.

``_forgotten/<number>.json`` holds sources that were forgotten on request. As soon as such a record exists, no reader
sees rows of its sources: in every commit record that names a source with exactly this content, its outcome is
``forgotten``. Compaction then leaves its rows out of the files.
"""

import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, CompactionRecord, Outcome, ScanRecord
from tasks.storage import Location, create_file, exists, file_names, folder_names, read_file, remove_files, replace_file

_SCAN = TypeAdapter(ScanRecord)
_ADVICE = "Run clipomaly check --repair on these tables, or the same scan again."
_READING_THREADS = 16
_COMPACTION_NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.(\d{6})\.json")
_COMPACTION = TypeAdapter(CompactionRecord)
_MOVES = TypeAdapter(dict[str, str])


def write_scan_record(root: Location, record: ScanRecord) -> None:
    """Write ``_scans/<scan_id>.json`` unless it is there. Raises UserError when it cannot be written."""
    if not create_file(scan_place(root, record.scan_id), _SCAN.dump_json(record, indent=1)):
        read_scan_record(root, record.scan_id)  # raises if it is damaged, before anything is scanned


def read_scan_records(root: Location) -> list[ScanRecord]:
    """Every generation of these tables, oldest first; empty if nothing was ever scanned."""
    records = [read_scan_record(root, name.removesuffix(".json")) for name in file_names(root.child("_scans"), ".json")]
    lost = set(folder_names(root.child("_commits"))).difference(record.scan_id for record in records)
    if lost:
        raise UserError(_lost(root, min(lost)))
    return sorted(records, key=lambda record: (record.run, record.created, record.scan_id))


def read_scan_record(root: Location, scan_id: str) -> ScanRecord:
    """The record of one generation. Raises UserError when it is gone or damaged."""
    place = scan_place(root, scan_id)
    if not exists(place):
        raise UserError(_lost(root, scan_id))
    try:
        record = _SCAN.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is damaged: it is not a scan record. {_ADVICE}") from error
    if record.scan_id != scan_id:
        raise UserError(f"{place.url} is damaged: it is the record of scan {record.scan_id}. {_ADVICE}")
    return record


def restore_scan_record(root: Location, scan_id: str, copy: bytes) -> None:
    """Write a scan record from a copy of it."""
    replace_file(scan_place(root, scan_id), copy)


def scan_ids(root: Location) -> list[str]:
    """Every generation that has a record or a commit, damaged or not."""
    recorded = (name.removesuffix(".json") for name in file_names(root.child("_scans"), ".json"))
    return sorted({*recorded, *folder_names(root.child("_commits"))})


def scan_place(root: Location, scan_id: str) -> Location:
    """The place of the record of a generation."""
    return root.child(f"_scans/{scan_id}.json")


def _lost(root: Location, scan_id: str) -> str:
    return (
        f"{scan_place(root, scan_id).url} is lost, the record of scan {scan_id}, of which there are commits. {_ADVICE}"
    )


def scans_there(root: Location) -> list[ScanRecord]:
    """Every generation of these tables, oldest first, at least one. Raises UserError where nothing was scanned."""
    scans = read_scan_records(root)
    if not scans:
        raise UserError(f"There are no tables at {root.url}. Scan an archive into it first.")
    return scans


def next_run(root: Location, scan_id: str) -> int:
    """Take the next number for a run of a generation, from 1. Raises UserError when it cannot be written."""
    told = {"scan_id": scan_id, "begun": datetime.now(UTC).isoformat()}
    return create_numbered(root.child("_runs"), json.dumps(told).encode())


_NAME = re.compile(r"(\d+)\.json")


def create_numbered(folder: Location, data: bytes) -> int:
    """Write a file with the next number, from 1, and return that. Raises UserError when it cannot be written."""
    taken = [int(match[1]) for name in file_names(folder, ".json") if (match := _NAME.fullmatch(name))]
    number = max(taken, default=0) + 1
    while not create_file(folder.child(f"{number:06d}.json"), data):
        number += 1
    return number


def read_compactions(root: Location, scan_id: str) -> dict[date, CompactionRecord]:
    """The record of each compacted day of a generation. Raises UserError when one cannot be read."""
    newest = [(day, numbers[-1]) for day, numbers in compaction_numbers(root, scan_id).items()]
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        records = pool.map(lambda item: _read_compaction(compaction_place(root, scan_id, *item)), newest)
        return {record.day: record for record in records}


def read_compaction(root: Location, scan_id: str, day: date, number: int) -> CompactionRecord:
    """One record. Raises UserError when it cannot be read."""
    return _read_compaction(compaction_place(root, scan_id, day, number))


def compaction_numbers(root: Location, scan_id: str) -> dict[date, list[int]]:
    """The numbers of the records of each day, lowest first."""
    found: dict[date, list[int]] = defaultdict(list)
    for name in file_names(root.child(f"_compactions/{scan_id}"), ".json"):
        if match := _COMPACTION_NAME.fullmatch(name):
            found[date.fromisoformat(match[1])].append(int(match[2]))
    return dict(found)


def publish_compaction(root: Location, record: CompactionRecord) -> bool:
    """Write a record, after its files; returns whether it counts. It does not if another compaction took its number
    first, or published a higher one.

    Raises UserError when it cannot be written.
    """
    place = compaction_place(root, record.scan_id, record.day, record.number)
    # If the response was lost on the way, the record that exists is this one.
    written = create_file(place, _COMPACTION.dump_json(record, indent=1)) or _read_compaction(place) == record
    return written and compaction_numbers(root, record.scan_id)[record.day][-1] == record.number


def remove_older(root: Location, record: CompactionRecord) -> None:
    """Remove the records that this one replaced."""
    numbers = compaction_numbers(root, record.scan_id).get(record.day, [])
    remove_files(
        compaction_place(root, record.scan_id, record.day, number) for number in numbers if number < record.number
    )


def compaction_place(root: Location, scan_id: str, day: date, number: int) -> Location:
    """The place of a record."""
    return root.child(f"_compactions/{scan_id}/{day.isoformat()}.{number:06d}.json")


def _read_compaction(place: Location) -> CompactionRecord:
    try:
        return _COMPACTION.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(
            f"{place.url} is damaged. Restore it from a copy; if there is none and its files are younger than "
            "the grace, remove it: the files of before are still there, and compact merges them again."
        ) from error


@dataclass(frozen=True, slots=True)
class ForgottenSource:
    """A source as it was committed, by its ``uri`` and ``etag``, and how many rows of ``instances`` it had."""

    uri: str
    etag: str
    instances: int


@dataclass(frozen=True, slots=True)
class ForgetRecord:
    """The sources that one call forgot, and when."""

    forgotten: datetime
    sources: tuple[ForgottenSource, ...]


_FORGOTTEN = TypeAdapter(ForgetRecord)


def read_forget_records(root: Location) -> list[ForgetRecord]:
    """Everything that was forgotten, oldest first. Raises UserError when a record cannot be read."""
    folder = root.child("_forgotten")
    records = []
    for name in file_names(folder, ".json"):
        place = folder.child(name)
        try:
            records.append(_FORGOTTEN.validate_json(read_file(place)))
        except ValidationError as error:
            raise UserError(
                f"{place.url} is damaged: it says what was forgotten. Restore it from a copy; if there is none, "
                "remove it and forget the sources again."
            ) from error
    return records


def read_forgotten(root: Location) -> frozenset[tuple[str, str]]:
    """(uri, etag) of every source that was forgotten. Raises UserError when a record cannot be read."""
    return frozenset((source.uri, source.etag) for record in read_forget_records(root) for source in record.sources)


def write_forgotten(root: Location, sources: tuple[ForgottenSource, ...]) -> None:
    """Record that sources are forgotten: from now on no reader sees their rows."""
    data = _FORGOTTEN.dump_json(ForgetRecord(datetime.now(UTC), sources), indent=1)
    create_numbered(root.child("_forgotten"), data)


def without_forgotten(commit: CommitRecord, forgotten: frozenset[tuple[str, str]]) -> CommitRecord:
    """A commit record with these sources marked as forgotten."""
    if not any((source.uri, source.etag) in forgotten for source in commit.sources):
        return commit
    sources = tuple(
        replace(source, outcome=Outcome.FORGOTTEN, error=None, frames=0, failed_frames=0, instances=0)
        if (source.uri, source.etag) in forgotten
        else source
        for source in commit.sources
    )
    return replace(commit, sources=sources)


def count_forgotten(commit: CommitRecord) -> int:
    """How many sources of a commit are forgotten."""
    return sum(source.outcome is Outcome.FORGOTTEN for source in commit.sources)


def read_moved(root: Location) -> dict[str, str]:
    """From the old address to the new one, of all archives. Raises UserError when a record cannot be read."""
    folder = root.child("_moved")
    moves: dict[str, str] = {}
    for name in file_names(folder, ".json"):
        moves |= read_moves_of(folder.child(name))
    return moves


def read_moves_of(place: Location) -> dict[str, str]:
    """Those of one archive; none where there is no record. Raises UserError when it cannot be read."""
    if not exists(place):
        return {}
    try:
        return _MOVES.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is damaged. Remove it: the next scan writes it again.") from error
