"""What the scans into these tables did, and what they left: read from their records, so it is true for every runner."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import Outcome, ScanRecord, SourceOutcome, Stages
from tasks.errors import UserError
from tasks.scanning.scan_record import LeftShard, calibration_misfit, read_left
from tasks.storage import Location, file_names, folder_names, locate
from tasks.tables import Tables
from tasks.tables.commits import done_in

_MOST_NEAR = 3
_MOST_ABOVE = 4  # how many folders upwards, and folders in each, are searched for tables
_MOST_BESIDE = 100


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """One generation: how many shards and sources had which outcome, those that were not read whole, what else the
    commits note, and the shards that are left.

    A shard is ``failed`` when all its sources are, ``partial`` when any source lost something, ``empty`` when
    nothing was found in any. ``frames_per_second`` is what one worker does: frames by the seconds of the slowest
    stage, as stages overlap; None before there is any. ``damaged`` has a line for each file that is gone or has another
    size than was written. ``reference`` is the id of what the scan was calibrated on, and ``misfit`` says that it found
    far more or less than that promised. ``fetched_bytes`` is how much of videos was fetched from a store.
    """

    scan_id: str
    model: str
    fps: float
    created: datetime
    shards: Counter[Outcome]
    left: tuple[LeftShard, ...]
    outcomes: Counter[Outcome]
    frames: int
    instances: int
    seconds: Stages
    frames_per_second: float | None
    troubles: tuple[SourceOutcome, ...]
    notes: tuple[str, ...]
    damaged: tuple[str, ...] = ()
    reference: str | None = None
    misfit: str | None = None
    fetched_bytes: int = 0


def read_status(tables: Tables) -> list[ScanStatus]:
    """The generations of these tables, oldest first; none where nothing was ever scanned.

    Raises:
        UserError: records that cannot be read.
    """
    return [scan_status(tables, record) for record in tables.scans()]


def scan_status(tables: Tables, record: ScanRecord) -> ScanStatus:
    """One generation. Raises UserError when its records cannot be read."""
    commits = tables.commit_table(record.scan_id)
    sources = pa.Table.from_struct_array(pc.list_flatten(commits["sources"]))
    shards = np.repeat(np.arange(len(commits)), pc.list_value_length(commits["sources"]).to_numpy())
    outcomes = pc.value_counts(sources["outcome"]).to_pylist()
    frames, instances = (_total(sources, name) for name in ("frames", "instances"))
    stages = (pc.sum(pc.struct_field(commits["seconds"], stage.name)).as_py() or 0 for stage in fields(Stages))
    seconds = Stages(*stages)
    slowest = max(seconds.reading, seconds.inferring, seconds.writing)
    return ScanStatus(
        scan_id=record.scan_id,
        model=record.model,
        fps=record.fps,
        created=record.created,
        shards=_shard_outcomes(sources["outcome"], shards, len(commits)),
        left=tuple(read_left(tables, record.scan_id, done_in(commits))),
        outcomes=Counter({Outcome(count["values"]): count["counts"] for count in outcomes}),
        frames=frames,
        instances=instances,
        seconds=seconds,
        frames_per_second=frames / slowest if frames and slowest else None,
        troubles=_still_troubled(sources, commits.select(["run", "committed"]).take(pa.array(shards))),
        notes=tuple(pc.list_flatten(commits["notes"]).to_pylist()),
        damaged=tuple(tables.missing_files(record.scan_id, commits)),
        reference=record.reference.reference_id if record.reference else None,
        misfit=calibration_misfit(record, frames, instances),
        fetched_bytes=_total(sources, "fetched_bytes"),
    )


def _total(sources: pa.Table, column: str) -> int:
    return int(pc.sum(sources[column]).as_py() or 0)


def _shard_outcomes(outcomes: pa.ChunkedArray, shards: npt.NDArray[np.int64], count: int) -> Counter[Outcome]:
    """The outcomes of shards, from the outcomes of their sources."""

    def of(outcome: Outcome) -> npt.NDArray[np.int64]:
        return np.bincount(shards[pc.equal(outcomes, outcome.value).to_numpy()], minlength=count)

    failed = of(Outcome.FAILED) == np.bincount(shards, minlength=count)
    partial = ~failed & (of(Outcome.FAILED) + of(Outcome.PARTIAL) > 0)
    ok = ~failed & ~partial & (of(Outcome.OK) > 0)
    empty = ~failed & ~partial & ~ok
    kinds = {Outcome.OK: ok, Outcome.EMPTY: empty, Outcome.PARTIAL: partial, Outcome.FAILED: failed}
    return Counter({outcome: int(those.sum()) for outcome, those in kinds.items() if those.any()})


def _still_troubled(sources: pa.Table, age: pa.Table) -> tuple[SourceOutcome, ...]:
    """Sources that were not read whole, without those that a later commit read. ``age`` orders the commits that the
    sources are of, oldest first."""
    troubled = pc.is_in(sources["uri"], pc.unique(sources["uri"].filter(pc.is_valid(sources["error"]))))
    order = pc.sort_indices(age.filter(troubled), [(name, "ascending") for name in age.column_names])
    newest: dict[str, SourceOutcome] = {}
    for row in sources.filter(troubled).take(order).to_pylist():
        newest[row["uri"]] = SourceOutcome(**row | {"outcome": Outcome(row["outcome"])})
    return tuple(source for _, source in sorted(newest.items()) if source.error)


def no_tables(tables: str) -> UserError:
    """The message for a place without tables: it names the nearest tables."""
    place = locate(tables)
    near = sorted(Tables.at(url).name for url in _tables_near(place))
    hint = f"there are tables at {', '.join(near[:_MOST_NEAR])}" if near else "scan into it first, or check the address"
    return UserError(f"There are no tables at {Tables(place).name}: {hint}.")


def _tables_near(place: Location) -> list[str]:
    """Folders with records of scans: below a place, or else below the nearest folder above it that has some."""
    start = place
    for _ in range(_MOST_ABOVE):
        found = list(_tables_in(start))
        parent = start.url.rstrip("/").rpartition("/")[0]
        if found or not parent or parent.endswith((":", "/")):
            return found
        start = locate(parent)
    return []


def _tables_in(start: Location) -> Iterator[str]:
    with suppress(UserError):  # what may not be read offers nothing
        names = folder_names(start)[:_MOST_BESIDE]
        for url in (start.url, *(start.child(name).url for name in names)):
            if file_names(locate(url).child("_scans"), ".json"):
                yield url
