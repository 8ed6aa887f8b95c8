"""Scan records, ``_scans/<scan_id>.json``: what each generation of rows is; and the numbers of runs.

A run takes the next number, ``_runs/<number>.json``, create-only. So the tables say which of two runs is the later one,
and not the clock of a machine, which may be wrong.
"""

import json
import re
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import ScanRecord
from tasks.storage import Location, create_file, exists, file_names, folder_names, read_file, replace_file

_SCAN = TypeAdapter(ScanRecord)
_ADVICE = "Run clipomaly check --repair on these tables, or the same scan again."


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
