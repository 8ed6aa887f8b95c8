"""A Delta Lake log over Parquet files that exist already: what it names, and one commit that changes this.

The log of a table is ``<table>/_delta_log``, and the files lie in the folder of the table. Only versions are added to a
log, each create-only: of two programs that write the same version, one has done nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, create_table_with_add_actions

from clipomaly_core.errors import UserError
from tasks.storage import Location, file_names, is_local, read_file, reason
from tasks.tables.delta_statistics import statistics

FOLDER = "_delta_log"
PARTITIONS = ("scan", "dt")

_STORES = ("s3://", "s3a://", "gs://", "az://", "abfs://", "abfss://")  # that the library reaches
_VERSION = re.compile(r"(\d{20})\.json")
_ASKED_FOR = re.compile(rb'"(commitInfo|remove)"')
_OURS = "clipomaly"  # a key in the commits that Clipomaly writes
# The library writes a checkpoint every tenth version, and then removes entries that are older than this.
_SETTINGS = {
    "delta.checkpointInterval": "10",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 30 days",
}
_ROWS = "clipomaly.rows"  # a key there: which rows the version shows


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is to come into a log: its path in the table's folder, size in bytes, partition, when its rows were
    recorded, and its footer."""

    path: str
    size: int
    scan_id: str
    day: date
    recorded: datetime
    footer: pq.FileMetaData


@dataclass(frozen=True, slots=True)
class LoggedFile:
    """A file that a log names: its size in bytes, partition, and when its rows were recorded, in milliseconds."""

    size: int
    scan_id: str | None
    day: date | None
    recorded: int


def milliseconds(moment: datetime) -> int:
    """A moment in the form of the log: milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def is_published(table: Location) -> bool:
    """Whether a table has a log. Raises UserError when the storage cannot be asked."""
    return bool(file_names(table.child(FOLDER), ".json"))


class DeltaLog:
    """The log of one table at its newest version, as it was when this was made."""

    def __init__(self, table: Location) -> None:
        """Raises UserError when the log cannot be read, or is that of a table with other columns."""
        self._place = table
        try:
            self._log = DeltaTable(_uri(table), storage_options=_options(table))
            partitions = tuple(self._log.metadata().partition_columns)
        except (DeltaError, OSError) as error:
            raise UserError(f"{table.child(FOLDER).url} cannot be read: {reason(error)}. {_anew(table)}") from error
        if partitions != PARTITIONS:
            told = ", ".join(partitions) or "nothing"
            raise UserError(
                f"{table.child(FOLDER).url} was replaced by another program: the table is partitioned by {told} "
                f"instead of {', '.join(PARTITIONS)}. {_anew(table)}"
            )

    @property
    def version(self) -> int:
        """The number of the newest version, from 0."""
        return int(self._log.version())

    def files(self) -> dict[str, LoggedFile]:
        """The files of the table, by path."""
        actions = pa.table(self._log.get_add_actions(flatten=True))
        if not actions.num_rows:
            return {}
        columns = ("path", "size_bytes", "partition.scan", "partition.dt", "modification_time")
        known = (actions[name].to_pylist() for name in columns)
        return {path: LoggedFile(*told) for path, *told in zip(*known, strict=True)}

    def change(self, schema: pa.Schema, new: Sequence[NewFile], gone: Iterable[str], rows_digest: str = "") -> bool:
        """Commit at once which files come and which go; a path that is there is replaced by a new file with this path.
        False when another program wrote a version meanwhile: nothing changed then.

        ``rows_digest`` says which rows the files hold. If the version before held the same, the change is marked as
        one of files and not of data, so that programs which follow the table do not read the rows again.
        """
        there = self.files()
        changes_data = not rows_digest or self._rows_digest() != rows_digest
        now = milliseconds(datetime.now(UTC))
        removed = [
            RemoveAction(path, changes_data, now, there[path].size, _partition(there[path].scan_id, there[path].day))
            for path in gone
        ]
        try:
            self._add_columns(schema)
            self._log.create_write_transaction(
                [*(_add(file, changes_data) for file in new), *removed],
                "append",
                Schema.from_arrow(schema),
                list(PARTITIONS),
                commit_properties=_commit(rows_digest),
            )
        except CommitFailedError:
            return False
        except (DeltaError, OSError) as error:
            raise _cannot_write(self._place, error) from error
        return True

    def _rows_digest(self) -> str:
        """Which rows the newest version shows; empty if another program wrote it, or an older Clipomaly."""
        for version, told, _ in _versions(self._place):
            return str(told.get(_ROWS, "")) if version == self.version else ""
        return ""

    def _add_columns(self, schema: pa.Schema) -> None:
        """Columns of newer schema versions, in a version of its own."""
        there = {field.name: field for field in self._log.schema().fields}
        wanted = Schema.from_arrow(schema).fields
        if differs := [field.name for field in wanted if field.name in there and there[field.name].type != field.type]:
            raise UserError(
                f"{self._place.child(FOLDER).url} was changed by another program: column {differs[0]} has another "
                f"type. {_anew(self._place)}"
            )
        if missing := [field for field in wanted if field.name not in there]:
            self._log.alter.add_columns(missing, commit_properties=_commit(self._rows_digest()))


def create_log(table: Location, schema: pa.Schema, new: Sequence[NewFile], rows_digest: str = "") -> bool:
    """Begin a log with these files; False when another program began it first."""
    try:
        create_table_with_add_actions(
            _uri(table),
            Schema.from_arrow(schema),
            [_add(file, True) for file in new],
            partition_by=list(PARTITIONS),
            configuration=_SETTINGS,
            storage_options=_options(table),
            commit_properties=_commit(rows_digest),
        )
    except (DeltaError, OSError) as error:
        if is_published(table):
            return False
        raise _cannot_write(table, error) from error
    return True


def removed_since(table: Location, moment: datetime) -> dict[str, datetime]:
    """The paths that versions of a log since ``moment`` removed, and when the last of these did."""
    removed: dict[str, datetime] = {}
    for _, told, actions in _versions(table):
        when = datetime.fromtimestamp(told.get("timestamp", 0) / 1000, UTC)
        if when < moment:
            break
        for action in actions:
            if "remove" in action:
                removed.setdefault(action["remove"]["path"], when)
    return removed


def written_by_others(table: Location) -> list[str]:
    """A line for each of the newest versions of a log that Clipomaly did not write, up to the last that it wrote."""
    lines = []
    for version, told, _ in _versions(table):
        if _OURS in told:
            break
        program = told.get("engineInfo") or "an unknown program"
        lines.append(f"version {version}, {told.get('operation') or 'an unknown operation'}, by {program}")
    return lines


def _versions(table: Location) -> Iterator[tuple[int, dict[str, Any], list[dict[str, Any]]]]:
    """The versions of a log, newest first: number, commit info, and what it removed. They are read while they are asked
    for."""
    place = table.child(FOLDER)
    for name in sorted(file_names(place, ".json"), reverse=True):
        if found := _VERSION.fullmatch(name):
            try:
                # Most lines are files that were added: of a first version, a hundred thousand.
                lines = [line for line in read_file(place.child(name)).splitlines() if _ASKED_FOR.search(line)]
                actions = [json.loads(line) for line in lines]
                told: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
            except (ValueError, TypeError) as error:
                raise UserError(f"{place.child(name).url} is damaged. {_anew(table)}") from error
            yield int(found[1]), told, actions


def _anew(table: Location) -> str:
    return f"Rows do not depend on it: move {table.child(FOLDER).url} away and publish again."


def _cannot_write(table: Location, error: Exception) -> UserError:
    return UserError(f"Cannot write {table.child(FOLDER).url}: {reason(error)}. Check that it may be written.")


def _commit(rows_digest: str) -> CommitProperties:
    # What is to change was computed without a version that another program writes meanwhile: that must be an error.
    return CommitProperties(custom_metadata={_OURS: "publish", _ROWS: rows_digest}, max_commit_retries=0)


def _add(file: NewFile, changes_data: bool) -> AddAction:
    partition, recorded = _partition(file.scan_id, file.day), milliseconds(file.recorded)
    return AddAction(file.path, file.size, partition, recorded, changes_data, statistics(file.footer))


def _partition(scan_id: str | None, day: date | None) -> dict[str, str | None]:
    return {"scan": scan_id, "dt": day.isoformat() if day else None}


def _uri(table: Location) -> str:
    if not is_local(table.fs):
        if not table.url.startswith(_STORES):
            raise UserError(
                f"Tables at {table.url} cannot be published: only on a disk, S3, Google's or Azure's store."
            )
        return table.url
    if "%" in table.path:
        raise UserError(f"Tables below a folder with % in its name cannot be published: {table.path}. Rename it.")
    return table.path


def _options(table: Location) -> dict[str, str] | None:
    """Options of an S3 store that only fsspec knows, for the library. The library reads the environment itself."""
    if not table.url.startswith(("s3://", "s3a://")):
        return None
    told: dict[str, Any] = getattr(table.fs, "storage_options", {})
    client = told.get("client_kwargs") or {}
    endpoint = told.get("endpoint_url") or client.get("endpoint_url")
    options = {
        "aws_access_key_id": told.get("key"),
        "aws_secret_access_key": told.get("secret"),
        "aws_session_token": told.get("token"),
        "aws_region": client.get("region_name"),
        "aws_endpoint": endpoint,
        "aws_allow_http": "true",  # the endpoint decides whether HTTP is used
        "aws_conditional_put": "etag",
    }
    return {name: str(value) for name, value in options.items() if value}
