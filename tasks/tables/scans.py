"""Scan records: what each generation of rows is, in ``_scans/<scan_id>.json``; and the numbers of runs.

A run takes the next number, ``_runs/<number>.json``, create-only. So which of two runs is the later one is told by the
tables and not by the clock of a machine, which may be wrong.
"""

import json
import re
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import ScanRecord
from tasks.storage import Location, create_file, file_names, read_file

_SCAN = TypeAdapter(ScanRecord)
_RUN = re.compile(r"(\d+)\.json")


def write_scan_record(root: Location, record: ScanRecord) -> None:
    """Write ``_scans/<scan_id>.json`` unless it is there. Raises UserError when it cannot be written."""
    create_file(root.child("_scans").child(f"{record.scan_id}.json"), _SCAN.dump_json(record, indent=1))


def read_scan_records(root: Location) -> list[ScanRecord]:
    """Every generation of these tables, oldest first; none where nothing was ever scanned."""
    folder = root.child("_scans")
    records = []
    for name in file_names(folder, ".json"):
        place = folder.child(name)
        try:
            records.append(_SCAN.validate_json(read_file(place)))
        except ValidationError as error:
            raise UserError(f"{place.url} is no scan record. Remove it if it is not of Clipomaly.") from error
    return sorted(records, key=lambda record: (record.run, record.created, record.scan_id))


def scans_there(root: Location) -> list[ScanRecord]:
    """Every generation of these tables, oldest first, at least one. Raises UserError where nothing was scanned."""
    scans = read_scan_records(root)
    if not scans:
        raise UserError(f"There are no tables at {root.url}. Scan an archive into it first.")
    return scans


def next_run(root: Location, scan_id: str) -> int:
    """Take the next number for a run of a generation, from 1. Raises UserError when it cannot be written."""
    folder = root.child("_runs")
    taken = [int(match[1]) for name in file_names(folder, ".json") if (match := _RUN.fullmatch(name))]
    number = max(taken, default=0) + 1
    told = json.dumps({"scan_id": scan_id, "begun": datetime.now(UTC).isoformat()}).encode()
    while not create_file(folder.child(f"{number:06d}.json"), told):
        number += 1
    return number
