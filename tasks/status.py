"""What the scans of these tables did and what they left: read from their records, so that it is true whoever ran
them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.records import CommitRecord, Outcome, ScanRecord, SourceOutcome, Stages
from tasks.commits import read_commits, read_scan_records
from tasks.plan_record import LeftShard, read_left


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """One generation: how many shards and sources had which outcome, those that were not read whole, what else the
    commits note, and the shards that are left.

    A shard is ``failed`` when all its sources are, ``partial`` when any source lost something, ``empty`` when
    nothing was found in any. ``frames_per_second`` is what one worker does: frames by the seconds of the slowest
    stage, as stages overlap; None before there is any.
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


def read_status(tables: str) -> list[ScanStatus]:
    """The generations of these tables, oldest first; none where nothing was ever scanned.

    Raises:
        UserError: records that cannot be read.
    """
    return [scan_status(tables, record) for record in read_scan_records(tables)]


def scan_status(tables: str, record: ScanRecord) -> ScanStatus:
    """One generation. Raises UserError when its records cannot be read."""
    commits = read_commits(tables, record.scan_id)
    sources = [source for commit in commits for source in commit.sources]
    frames = sum(source.frames for source in sources)
    seconds = sum((commit.seconds for commit in commits), Stages(0, 0, 0))
    slowest = max(seconds.reading, seconds.inferring, seconds.writing)
    return ScanStatus(
        scan_id=record.scan_id,
        model=record.model,
        fps=record.fps,
        created=record.created,
        shards=Counter(shard_outcome(commit.sources) for commit in commits),
        left=tuple(read_left(tables, record.scan_id, commits)),
        outcomes=Counter(source.outcome for source in sources),
        frames=frames,
        instances=sum(source.instances for source in sources),
        seconds=seconds,
        frames_per_second=frames / slowest if frames and slowest else None,
        troubles=_still_troubled(commits),
        notes=tuple(note for commit in commits for note in commit.notes),
    )


def shard_outcome(sources: Sequence[SourceOutcome]) -> Outcome:
    """What became of a shard, from what became of its sources."""
    found = {source.outcome for source in sources}
    if found == {Outcome.FAILED}:
        return Outcome.FAILED
    if found & {Outcome.FAILED, Outcome.PARTIAL}:
        return Outcome.PARTIAL
    return Outcome.OK if Outcome.OK in found else Outcome.EMPTY


def _still_troubled(commits: Sequence[CommitRecord]) -> tuple[SourceOutcome, ...]:
    """Sources that were not read whole, but for those that a later commit read after all."""
    newest: dict[str, SourceOutcome] = {}
    for commit in sorted(commits, key=lambda commit: commit.committed):
        newest.update((source.uri, source) for source in commit.sources)
    return tuple(source for _, source in sorted(newest.items()) if source.error)
