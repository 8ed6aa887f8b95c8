"""The records of a scan: what generation of rows it makes, its plan, and what of that is left in the morning."""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipomaly_core.errors import UserError
from schemas.records import CommitRecord, Outcome, ScanRecord
from schemas.tables import SCHEMA_VERSION
from schemas.version import VERSION, commit
from tasks.storage import Location, file_names, read_file, replace_file
from tasks.tables import Tables
from tasks.tables.commits import done_of, match_done

if TYPE_CHECKING:
    from tasks.model import ModelDescription
    from tasks.scanning.plan import Plan

_DIGITS = 12
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
_FACTOR = 4.0
"""Finds an hour may differ from the prediction by this factor."""
_LEAST_FINDS = 10
"""With fewer finds, found or predicted, the check is not reliable."""
_UNCALIBRATED = 0.5
"""From this many finds a frame on, a model without a reference does not fit."""
_MEND = (
    "make a reference of ordinary footage like this: clipomaly reference build ARCHIVE --out FILE, and scan with "
    "--reference FILE"
)


def make_scan_record(
    model: "ModelDescription", *, fps: float, keyframes: bool = False, decoder: str | None = None
) -> ScanRecord:
    """Describe a scan. ``scan_id`` is the letter s and 12 hex digits of the SHA-256 over canonical JSON of the model's
    description, ``fps`` and the schema version: everything that can change a row. Code version and time are
    told, not hashed. ``keyframes`` and ``decoder`` are hashed where they are set: without them the id is that of
    earlier versions. Another decoder converts colours a little differently, which may change a row at a threshold.

    Raises UserError when ``fps`` (frames a second to sample) is not a positive number, or PyAV is missing for
    ``keyframes``.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UserError(f"--fps must be a number above 0, not {fps}.")
    options = dict(model.options)
    reference = model.reference
    if reference is not None and reference.fps != fps:
        raise UserError(
            f"The reference was made at {reference.fps:g} frames a second, this scan takes {fps:g}: "
            "make another with clipomaly reference build --fps, or scan at its rate."
        )
    hashed = asdict(model) | {"options": options, "fps": float(fps), "schema_version": SCHEMA_VERSION}
    del hashed["reference"]  # without a reference the id does not change, and the place of the file is not part of it
    if reference is not None:
        hashed["reference"] = reference.reference_id
    if keyframes:
        hashed["keyframes"] = True
    if decoder:
        hashed["decoder"] = decoder
    canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return ScanRecord(
        # Without the letter, engines read one in 150 as a number, as in ``scan=1977811083e4``.
        scan_id="s" + hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS],
        schema_version=SCHEMA_VERSION,
        model=model.model,
        weights_sha256=model.weights_sha256,
        embedding_dimension=model.embedding_dimension,
        vocabulary=model.vocabulary,
        vocabulary_sha256=model.vocabulary_sha256,
        known_classes=model.known_classes,
        fps=float(fps),
        options=options,
        code_version=VERSION,
        created=datetime.now(UTC),
        keyframes=keyframes,
        code_commit=commit(),
        reference=reference,
        decoder=decoder,
    )


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
    plan: "Plan",
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


def calibration_misfit(record: ScanRecord, frames: int, instances: int) -> str | None:
    """A warning if a scan found far more or far less than its calibration predicts.

    Args:
        record: of the scan.
        frames: scanned.
        instances: found in them.

    Returns:
        One line with the numbers and the command that solves it; ``None`` if it fits, or finds are too few.
    """
    if not frames:
        return None
    hours = frames / record.fps / 3600
    found = instances / hours
    if record.reference is None:
        if instances < _LEAST_FINDS or instances < _UNCALIBRATED * frames:
            return None
        return f"calibration does not fit: {instances} finds in {frames} frames; {_MEND}"
    promised = record.options.get("finds_per_hour")
    if not isinstance(promised, int | float):
        return None
    expected = promised * hours
    too_many = instances >= _LEAST_FINDS and found > _FACTOR * promised
    too_few = expected >= _LEAST_FINDS and found < promised / _FACTOR
    if not (too_many or too_few):
        return None
    return (
        f"calibration does not fit: {found:.0f} finds an hour ({instances} in {frames} frames), where "
        f"{promised:g} were expected with reference {record.reference.reference_id}; {_MEND}"
    )
