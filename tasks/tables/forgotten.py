"""Sources that were forgotten on request: ``_forgotten/<number>.json``, create-only.

As soon as such a record exists, no reader sees rows of its sources: in every commit record that names a source with
exactly this content, its outcome is ``forgotten``. Compaction then leaves its rows out of the files.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Outcome
from tasks.storage import Location, file_names, read_file
from tasks.tables.scans import create_numbered


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


_RECORD = TypeAdapter(ForgetRecord)


def read_forget_records(root: Location) -> list[ForgetRecord]:
    """Everything that was forgotten, oldest first. Raises UserError when a record cannot be read."""
    folder = root.child("_forgotten")
    records = []
    for name in file_names(folder, ".json"):
        place = folder.child(name)
        try:
            records.append(_RECORD.validate_json(read_file(place)))
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
    data = _RECORD.dump_json(ForgetRecord(datetime.now(UTC), sources), indent=1)
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
