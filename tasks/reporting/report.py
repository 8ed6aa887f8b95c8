"""The facts of the nightly report: what one night's scan found, against what was there before.

The night is what was committed within some hours before the newest commit; everything else that is committed is
what came before. Both are read with ``open_table``, so that a row counts once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from schemas.images import encode_jpeg
from schemas.records import CommitRecord, Outcome, ScanRecord, SourceOutcome
from schemas.tables import Table
from tasks.errors import UsageError, UserError
from tasks.footage.archive import Listing
from tasks.reporting.finds import Find, find_picture, select_finds
from tasks.scanning.scan_record import PlanProgress, calibration_misfit, read_progress
from tasks.tables import Tables
from tasks.tables.late import Connection
from tasks.tables.query import connect

WEEKS = 4
SCORE_BINS = 40
_MOST_POSITIONS = 20_000


@dataclass(frozen=True, slots=True)
class NameLine:
    """How often a name was found.

    ``rate`` is instances in 1,000 frames of the night; ``weeks`` the same for the ``WEEKS`` weeks of capture before
    it, nearest first, None where no frame of that week is scanned. ``is_new`` when nothing before the night has it.
    """

    name: str
    instances: int
    sources: int
    best_score: float
    rate: float
    weeks: tuple[float | None, ...]
    is_new: bool

    @property
    def usual(self) -> float | None:
        """The mean rate of the weeks before."""
        known = [week for week in self.weeks if week is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class DriveLine:
    """What was scanned of a drive; ``first`` and ``last`` are capture times in UTC, ``has_file_dates`` where some of
    them are only dates of files, which a copy may have changed."""

    drive: str
    sources: int
    frames: int
    failed_frames: int
    instances: int
    first: datetime
    last: datetime
    has_file_dates: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A find with its picture, a JPEG; None and the reason where the frame cannot be read any more."""

    find: Find
    jpeg: bytes | None
    error: str | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Position:
    """Where something was, in degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Unscanned:
    """What is in the archive but not in the tables: sources without a commit, and files of an unknown kind."""

    sources: tuple[str, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One night. ``scores`` and ``scores_before`` are shares of instances in ``SCORE_BINS`` equal bins between
    ``least_score`` and 1; empty where there are none. ``unscanned`` is None where the archive was not listed. ``plan``
    is what became of the plans of the night, also of what they have not come to yet. ``objects`` are the finds to
    judge: an object that is followed over several frames counts once.
    ``misfits`` say which scans found far more or less than their calibration promised.
    """

    tables: str
    begun: datetime
    ended: datetime
    scans: tuple[ScanRecord, ...]
    outcomes: Counter[Outcome]
    frames: int
    failed_frames: int
    instances: int
    days: tuple[date, date] | None
    drives: tuple[DriveLine, ...]
    names: tuple[NameLine, ...]
    has_before: bool
    least_score: float
    scores: tuple[float, ...]
    scores_before: tuple[float, ...]
    finds: tuple[Shown, ...]
    scanned_positions: tuple[Position, ...]
    found_positions: tuple[Position, ...]
    troubles: tuple[SourceOutcome, ...]
    unscanned: Unscanned | None
    plan: PlanProgress
    objects: int
    misfits: tuple[str, ...] = ()

    @property
    def new_names(self) -> tuple[NameLine, ...]:
        """Kinds that nothing before the night has; none where there is no before."""
        return tuple(line for line in self.names if line.is_new)

    @property
    def verdict(self) -> str:
        """The night in one line: what was done, left, lost and failed, and what there is to judge."""
        sources = f"{self.plan.done:,} of {self.plan.planned:,} sources done"
        if not self.plan.planned:  # tables of old versions keep no plan
            sources = f"{self.outcomes.total():,} sources done"
        troubles = [f"{self.plan.left:,} left", f"{self.outcomes[Outcome.FAILED]:,} failed"]
        if self.plan.lost:
            troubles.insert(1, f"{self.plan.lost:,} lost")
        finds = f"{self.objects:,} {'find' if self.objects == 1 else 'finds'} to judge"
        new = len(self.new_names)
        kinds = (
            f"{new:,} new {'kind' if new == 1 else 'kinds'}" if self.has_before else "the first night, all kinds new"
        )
        return f"{sources}, {', '.join(troubles)}; {finds}, {kinds}"


def make_report(
    tables: Tables,
    *,
    hours: float = 20,
    finds: int = 24,
    listing: Listing | None = None,
) -> Report:
    """Gather one night's facts.

    Args:
        tables: what the scans wrote.
        hours: the night is the newest run, and those that began so many hours before its end or later, > 0. Less than
            a day, so that a run every day at the same time is a night of its own.
        finds: how many of the best finds to show; each is read from the archive again.
        listing: what the archive holds, to find what is not scanned.

    Raises:
        UserError: no tables there, nothing committed in them, or they cannot be read.
        UsageError: ``hours`` that is not positive.
    """
    if not hours > 0:
        raise UsageError(f"--hours {hours:g}: give a number above 0.")
    scans = {scan.scan_id: scan for scan in tables.scans()}
    commits = [commit for scan_id in scans for commit in tables.commits(scan_id)]
    if not commits:
        raise UserError(f"Nothing is scanned into {tables.name} yet. Run clipomaly scan first.")
    night = _night(commits, timedelta(hours=hours))
    ended = max(commit.committed for commit in night)
    sources = [source for commit in night for source in commit.sources if source.outcome is not Outcome.FORGOTTEN]
    with connect(tables, (Table.INSTANCES, Table.FRAMES)) as connection:
        _mark_night(connection, night)
        drives = _drives(connection)
        days = _days(connection)
        names = _names(connection, days[0] if days else None)
        [(has_before,)] = connection.execute("SELECT count(*) > 0 FROM frames_before").fetchall()
        [(objects,)] = connection.execute(
            "SELECT count(DISTINCT coalesce(track_id, instance_id)) FROM instances_night"
        ).fetchall()
        [(least,)] = connection.execute("SELECT floor(20 * min(anomaly_score)) / 20 FROM instances").fetchall()
        least = min(float(least or 0), 0.95)
        best = select_finds(connection, "instances_night", finds)
        return Report(
            tables=tables.name,
            begun=min(commit.committed for commit in night),
            ended=ended,
            scans=tuple(scans[scan_id] for scan_id in sorted({commit.scan_id for commit in night})),
            outcomes=Counter(source.outcome for source in sources),
            frames=sum(line.frames for line in drives),
            failed_frames=sum(line.failed_frames for line in drives),
            instances=sum(line.instances for line in names),
            days=days,
            drives=drives,
            names=names,
            has_before=bool(has_before),
            least_score=least,
            scores=_scores(connection, "instances_night", least),
            scores_before=_scores(connection, "instances_before", least),
            finds=tuple(_show(find, {line.name for line in names if line.is_new}) for find in best),
            scanned_positions=_positions(connection, "frames_night"),
            found_positions=_positions(connection, "instances_night"),
            troubles=tuple(source for source in sources if source.error),
            unscanned=_unscanned(commits, listing) if listing else None,
            plan=_progress(tables, commits, night),
            objects=objects,
            misfits=tuple(_misfits(scans.values(), night)),
        )


def _night(commits: Sequence[CommitRecord], length: timedelta) -> list[CommitRecord]:
    """The newest run, and those that began less than ``length`` before its end: a scan that was cut off and run again
    is one night. A commit of an earlier run that claims to be later by more than that has a clock that was ahead."""
    newest = max(commits, key=lambda commit: (commit.run, commit.committed))
    begun: dict[int, datetime] = {}
    for commit in commits:
        begun[commit.run] = min(commit.committed, begun.get(commit.run, commit.committed))
    of_night = {run for run, began in begun.items() if abs(began - newest.committed) < length}
    of_night.add(0)  # of versions that did not number their runs: their commits' times decide
    return [
        commit
        for commit in commits
        if (commit.run == newest.run and newest.run)
        or (commit.run in of_night and abs(commit.committed - newest.committed) < length)
    ]


def _progress(tables: Tables, commits: Sequence[CommitRecord], night: Sequence[CommitRecord]) -> PlanProgress:
    """The state of the plans of the night, and of later runs that have committed nothing."""
    since = min(commit.run for commit in night)
    of_scans = []
    for scan_id in [scan.scan_id for scan in tables.scans()]:
        all_of_scan, of_night = ([record for record in some if record.scan_id == scan_id] for some in (commits, night))
        of_scans.append(read_progress(tables, all_of_scan, of_night, scan_id, since))
    return PlanProgress(
        planned=sum(status.planned for status in of_scans),
        done=sum(status.done for status in of_scans),
        failed=sum(status.failed for status in of_scans),
        lost=sum(status.lost for status in of_scans),
        left=sum(status.left for status in of_scans),
        shards=tuple(shard for status in of_scans for shard in status.shards),
    )


def _misfits(scans: Iterable[ScanRecord], night: Iterable[CommitRecord]) -> Iterator[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for commit in night:
        for source in commit.sources:
            counts[commit.scan_id].update(frames=source.frames, instances=source.instances)
    for scan in scans:
        misfit = calibration_misfit(scan, counts[scan.scan_id]["frames"], counts[scan.scan_id]["instances"])
        if misfit:
            yield misfit


def _mark_night(connection: Connection, night: Iterable[CommitRecord]) -> None:
    keys = [{"scan": commit.scan_id, "shard": commit.shard_id} for commit in night]
    connection.register("night", pa.Table.from_pylist(keys))
    for table in ("instances", "frames"):
        connection.execute(
            f"CREATE TEMP VIEW {table}_night AS SELECT * FROM {table} SEMI JOIN night USING (scan, shard)"
        )
        connection.execute(
            f"CREATE TEMP VIEW {table}_before AS SELECT * FROM {table} ANTI JOIN night USING (scan, shard)"
        )


def _drives(connection: Connection) -> tuple[DriveLine, ...]:
    rows = connection.execute(
        """
        SELECT drive, count(DISTINCT source_uri), count(*), count(*) FILTER (status <> 'ok'),
               sum(instance_count)::BIGINT, min(timestamp), max(timestamp),
               coalesce(bool_or(timestamp_source = 'mtime'), false)
        FROM frames_night GROUP BY drive ORDER BY drive
        """
    ).fetchall()
    return tuple(DriveLine(*row) for row in rows)


def _days(connection: Connection) -> tuple[date, date] | None:
    [(first, last)] = connection.execute("SELECT min(dt), max(dt) FROM frames_night").fetchall()
    return (first, last) if first else None


def _names(connection: Connection, first_day: date | None) -> tuple[NameLine, ...]:
    if first_day is None:
        return ()
    # Nights differ in length, so instances in 1,000 frames are compared.
    week = "CAST(floor((? - dt - 1) / 7) AS INTEGER)"
    recent = f"dt < ? AND dt >= ? - {7 * WEEKS}"
    frames: dict[int, int] = dict(
        connection.execute(
            f"SELECT {week}, count(*) FROM frames_before WHERE {recent} GROUP BY 1", [first_day] * 3
        ).fetchall()
    )
    counts: dict[tuple[str, int], int] = {
        (name, number): count
        for name, number, count in connection.execute(
            f"SELECT name, {week}, count(*) FROM instances_before WHERE {recent} GROUP BY 1, 2", [first_day] * 3
        ).fetchall()
    }
    known = {name for (name,) in connection.execute("SELECT DISTINCT name FROM instances_before").fetchall()}
    [(has_before,)] = connection.execute("SELECT count(*) > 0 FROM frames_before").fetchall()
    [(scanned,)] = connection.execute("SELECT count(*) FROM frames_night").fetchall()
    rows = connection.execute(
        """
        SELECT name, count(*), count(DISTINCT source_uri), max(anomaly_score)
        FROM instances_night GROUP BY name ORDER BY count(*) DESC, name
        """
    ).fetchall()
    return tuple(
        NameLine(
            name=name,
            instances=count,
            sources=sources,
            best_score=best,
            rate=1000 * count / scanned,
            weeks=tuple(
                1000 * counts.get((name, number), 0) / frames[number] if number in frames else None
                for number in range(WEEKS)
            ),
            is_new=bool(has_before) and name not in known,
        )
        for name, count, sources, best in rows
    )


def _scores(connection: Connection, table: str, least: float) -> tuple[float, ...]:
    rows = connection.execute(
        f"""
        SELECT least(floor((anomaly_score - ?) / (1 - ?) * {SCORE_BINS}), {SCORE_BINS - 1})::INTEGER, count(*)
        FROM {table} GROUP BY 1
        """,
        [least, least],
    ).fetchall()
    total = sum(count for _, count in rows)
    counts = dict(rows)
    return tuple(counts.get(number, 0) / total for number in range(SCORE_BINS)) if total else ()


def _positions(connection: Connection, table: str) -> tuple[Position, ...]:
    # Rounded to about ten metres, which is less than a dot on the map.
    rows = connection.execute(
        f"""
        SELECT DISTINCT round(latitude, 4), round(longitude, 4) FROM {table}
        WHERE latitude IS NOT NULL AND longitude IS NOT NULL ORDER BY ALL LIMIT {_MOST_POSITIONS}
        """
    ).fetchall()
    return tuple(Position(*row) for row in rows)


def _show(find: Find, new: set[str]) -> Shown:
    try:
        return Shown(find, encode_jpeg(find_picture(find), quality=82), None, find.name in new)
    except UserError as error:
        return Shown(find, None, str(error), find.name in new)


def _unscanned(commits: Iterable[CommitRecord], listing: Listing) -> Unscanned:
    done = {(source.uri, source.etag) for commit in commits for source in commit.sources}
    left = tuple(source.uri for source in listing.sources if (source.uri, source.etag) not in done)
    return Unscanned(left, listing.ignored)
