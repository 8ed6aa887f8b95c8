"""The plan of a scan, so that it is known in the morning what is left.

``_plans/<scan_id>/<archive>.parquet`` holds the sources that the last scan of an archive planned: those that no commit
names are left. Scans only write it, and it is only read for people: it does not decide what is scanned.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Outcome
from tasks.scanning.plan import Plan, match_done
from tasks.storage import Location, file_names, read_file, replace_file
from tasks.tables import Tables
from tasks.tables.commits import done_of

_PLAN = pa.schema(
    [
        ("planned", pa.timestamp("us", tz="UTC")),
        ("shard_id", pa.string()),
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("error", pa.string()),
        ("run", pa.int64()),  # null in plans of old versions
        ("trace", pa.string()),  # since version 0.2: older files have none
    ]
)


_LEFT = ("shard_id", "uri_count", "uri_min", "error_max", "trace_max")  # as a LeftShard has them


@dataclass(frozen=True, slots=True)
class Loss:
    """A shard that ended in an error: the first of its sources, how many these are, the reason in one line, and the
    trace of the error."""

    first: str
    sources: int
    reason: str
    trace: str

    @property
    def what(self) -> str:
        """Its sources in a few words."""
        return f"{self.first} and {self.sources - 1} more" if self.sources > 1 else self.first


@dataclass(frozen=True, slots=True)
class LeftShard:
    """A planned shard that is not fully committed: how many sources are missing, the first of them, and the reason and
    trace if the scan tried it."""

    shard_id: str
    sources: int
    first: str
    error: str | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class PlanProgress:
    """The state of planned sources: ``done`` are committed, and ``failed`` of them could not be read; ``lost`` were in
    shards that ended in an error; ``left`` were not begun or are being scanned. ``shards`` are the shards of the lost
    and left ones.
    """

    planned: int
    done: int
    failed: int
    lost: int
    left: int
    shards: tuple[LeftShard, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every planned source is committed."""
        return self.done == self.planned


def write_plan(
    tables: Tables,
    scan_id: str,
    archive: str,
    plan: Plan,
    lost: Mapping[str, Loss] | None = None,
    *,
    run: int = 0,
) -> None:
    """Record the plan of a run for an archive, and again at the end, with the reason for each lost shard by its id.
    Raises UserError when it cannot be written."""
    shards = pa.array(np.repeat(np.arange(len(plan)), plan.sizes))
    losses = [(lost or {}).get(shard_id) for shard_id in plan.shard_ids]
    errors = [loss and loss.reason for loss in losses]
    traces = [loss and loss.trace for loss in losses]
    columns = {
        "planned": pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", tz="UTC")), len(plan.sources)),
        "shard_id": pa.array(plan.shard_ids, pa.string()).take(shards),
        "uri": plan.sources.table["uri"],
        "etag": plan.sources.table["etag"],
        "error": pa.array(errors, pa.string()).take(shards),
        "run": pa.repeat(pa.scalar(run, pa.int64()), len(plan.sources)),
        "trace": pa.array(traces, pa.string()).take(shards),
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns).cast(_PLAN), buffer, compression="zstd")
    name = hashlib.sha256(archive.encode()).hexdigest()[:12]
    replace_file(_plans(tables.root, scan_id).child(f"{name}.parquet"), buffer.getvalue())


def read_left(tables: Tables, scan_id: str, done: pa.Table) -> list[LeftShard]:
    """The planned shards that are not done (``done`` as of ``Tables.done``), in order of their id. Of a source in
    several plans the newest counts.

    Raises UserError when a plan cannot be read.
    """
    planned = _planned(tables, scan_id)
    return _left_shards(planned.filter(pa.array(~match_done(planned, done)[0])))


def read_progress(
    tables: Tables, commits: Sequence[CommitRecord], night: Sequence[CommitRecord], scan_id: str, since: int
) -> PlanProgress:
    """The state of the plans of a generation from run number ``since`` on. ``commits`` are those of the generation, and
    ``night`` of them those of the night: a scan that was cut off and run again plans only the rest, and what the first
    run committed was planned all the same.

    Raises UserError when a plan cannot be read.
    """
    planned = _planned(tables, scan_id)
    planned = planned.filter(pc.greater_equal(pc.fill_null(planned["run"], 0), since))
    done = match_done(planned, done_of(commits))[0]
    of_done = planned.filter(pa.array(done))
    open_ones = planned.filter(pa.array(~done))
    lost = pc.sum(pc.is_valid(open_ones["error"])).as_py() or 0
    committed = {*of_done["uri"].to_pylist()}
    if len(planned):  # tables of old versions keep no plan
        committed.update(source.uri for commit in night for source in commit.sources)
        committed.difference_update(open_ones["uri"].to_pylist())
    failed = {source.uri for commit in commits for source in commit.sources if source.outcome is Outcome.FAILED}
    return PlanProgress(
        planned=len(committed) + len(open_ones),
        done=len(committed),
        failed=len(committed & failed),
        lost=lost,
        left=len(open_ones) - lost,
        shards=tuple(_left_shards(open_ones)),
    )


def _planned(tables: Tables, scan_id: str) -> pa.Table:
    """The planned sources, of each the newest plan."""
    folder = _plans(tables.root, scan_id)
    plans = [_read(folder.child(name)) for name in file_names(folder, ".parquet")]
    table = pa.concat_tables([_PLAN.empty_table(), *plans])
    table = table.set_column(table.schema.get_field_index("run"), "run", pc.fill_null(table["run"], 0))
    table = table.sort_by([("run", "ascending"), ("planned", "ascending")])
    codes = table["uri"].combine_chunks().dictionary_encode().indices.to_numpy()
    newest = np.zeros(codes.max(initial=-1) + 1, np.int64)
    newest[codes] = np.arange(len(codes))  # of several the last stays
    return table.take(pa.array(newest))


def _left_shards(left: pa.Table) -> list[LeftShard]:
    shards = left.group_by("shard_id").aggregate([("uri", "count"), ("uri", "min"), ("error", "max"), ("trace", "max")])
    columns = (shards.sort_by("shard_id")[name].to_pylist() for name in _LEFT)
    return [LeftShard(*shard) for shard in zip(*columns, strict=True)]


def _read(place: Location) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(read_file(place)), schema=_PLAN)
    except pa.ArrowInvalid as error:
        raise UserError(f"{place.url} is damaged. Remove it: the next scan writes it again.") from error


def _plans(root: Location, scan_id: str) -> Location:
    return root.child(f"_plans/{scan_id}")
