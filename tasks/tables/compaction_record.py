"""Which merged files replace the files of which shards: ``_compactions/<scan_id>/<day>.<number>.json``, create-only.

The record with the greatest number of a day counts. If an older one still exists, the files before it may still exist,
too.
"""

import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import date

from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import CompactionRecord
from tasks.storage import Location, create_file, file_names, read_file, remove_files

_READING_THREADS = 16
_NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.(\d{6})\.json")
_RECORD = TypeAdapter(CompactionRecord)


def read_compactions(root: Location, scan_id: str) -> dict[date, CompactionRecord]:
    """The record of each compacted day of a generation. Raises UserError when one cannot be read."""
    newest = [(day, numbers[-1]) for day, numbers in compaction_numbers(root, scan_id).items()]
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        records = pool.map(lambda item: _parse(place_of(root, scan_id, *item)), newest)
        return {record.day: record for record in records}


def read_compaction(root: Location, scan_id: str, day: date, number: int) -> CompactionRecord:
    """One record. Raises UserError when it cannot be read."""
    return _parse(place_of(root, scan_id, day, number))


def compaction_numbers(root: Location, scan_id: str) -> dict[date, list[int]]:
    """The numbers of the records of each day, lowest first."""
    found: dict[date, list[int]] = defaultdict(list)
    for name in file_names(root.child(f"_compactions/{scan_id}"), ".json"):
        if match := _NAME.fullmatch(name):
            found[date.fromisoformat(match[1])].append(int(match[2]))
    return dict(found)


def publish_compaction(root: Location, record: CompactionRecord) -> bool:
    """Write a record, after its files; returns whether it counts. It does not if another compaction took its number
    first, or published a higher one.

    Raises UserError when it cannot be written.
    """
    place = place_of(root, record.scan_id, record.day, record.number)
    # If the response was lost on the way, the record that exists is this one.
    written = create_file(place, _RECORD.dump_json(record, indent=1)) or _parse(place) == record
    return written and compaction_numbers(root, record.scan_id)[record.day][-1] == record.number


def remove_older(root: Location, record: CompactionRecord) -> None:
    """Remove the records that this one replaced."""
    numbers = compaction_numbers(root, record.scan_id).get(record.day, [])
    remove_files(place_of(root, record.scan_id, record.day, number) for number in numbers if number < record.number)


def place_of(root: Location, scan_id: str, day: date, number: int) -> Location:
    """The place of a record."""
    return root.child(f"_compactions/{scan_id}/{day.isoformat()}.{number:06d}.json")


def _parse(place: Location) -> CompactionRecord:
    try:
        return _RECORD.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(
            f"{place.url} is damaged. Restore it from a copy; if there is none and its files are younger than "
            "the grace, remove it: the files of before are still there, and compact merges them again."
        ) from error
