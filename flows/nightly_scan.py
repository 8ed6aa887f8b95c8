"""The nightly scan: list, plan, scan every shard, tell what was done.

``run_scan`` does it without Prefect (runner ``inline``) or through the flow ``nightly_scan``; both run the same
shards with the same function and write the same rows.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact

from flows.fan_out import Job, fan_out
from flows.parameters import Runner, ScanParameters
from flows.progress import current_reporter
from flows.runners import prefect_server
from review.errors import ReviewError
from schemas.records import Outcome, ScanRecord, Shard, ShardResult, SourceOutcome, Stages
from tasks.errors import UserError
from tasks.footage.archive import Listing, find_sources
from tasks.footage.sources import Sources
from tasks.model import describe_model, get_model
from tasks.model_settings import ModelSettings
from tasks.scanning.footage_length import expected_frames, with_footage
from tasks.scanning.plan import Plan, plan
from tasks.scanning.plan_record import write_plan
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.scanning.status import scan_status
from tasks.tables import Tables

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Night:
    """A planned scan: what there is, what of it is done, and the shards that are left."""

    record: ScanRecord
    listing: Listing
    shards: Plan

    @property
    def already_done(self) -> int:
        """How many of the sources are committed."""
        return len(self.listing.sources) - len(self.shards.sources)


@dataclass(slots=True)
class Summary:
    """What a scan did. ``lost`` are shards that ended in an error, with the reason; ``report`` says where the report
    is, or why there is none, ``mining`` what was handed into the review queue, or why nothing was."""

    scan_id: str
    sources: int = 0
    ignored: tuple[str, ...] = ()
    left_over: int = 0
    already_done: int = 0
    frames: int = 0
    instances: int = 0
    seconds: Stages = field(default_factory=lambda: Stages(0, 0, 0))
    names: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    troubles: list[SourceOutcome] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    report: str | None = None
    mining: str | None = None

    def add(self, result: ShardResult) -> None:
        """Count a finished shard."""
        self.frames += result.frames
        self.instances += result.instances
        if not result.already_committed:
            self.seconds += result.seconds
        for name in result.names:
            self.names[name.name] += name.instances
        for source in result.sources:
            self.outcomes[source.outcome] += 1
            if source.error:
                self.troubles.append(source)

    @property
    def succeeded(self) -> bool:
        """Whether anything at all is scanned, now or before, or there was nothing left to do."""
        readable = sum(count for outcome, count in self.outcomes.items() if outcome is not Outcome.FAILED)
        return not self.lost and (readable > 0 or self.already_done > 0)

    @property
    def flawless(self) -> bool:
        """Whether every source was read whole."""
        return self.succeeded and not self.troubles


def model_settings(parameters: ScanParameters) -> ModelSettings:
    """The part of the parameters that a worker needs to load the model."""
    return parameters.model_settings()


def prepare(parameters: ScanParameters) -> Night:
    """List the archive, record the scan and plan what is not committed yet.

    Raises:
        UserError: archive, tables, model or vocabulary that cannot be used.
    """
    listing = find_sources(parameters.archive, parameters.prefixes, parameters.inventory)
    record = make_scan_record(
        describe_model(model_settings(parameters)), fps=parameters.fps, keyframes=parameters.keyframes
    )
    tables = Tables.at(parameters.tables)
    record = replace(record, run=tables.next_run(record.scan_id))
    tables.begin(record)
    done = tables.done(record.scan_id)
    shards = plan(with_footage(Sources.of(listing.sources), done), done, parameters.shard_minutes)
    write_plan(tables, record.scan_id, _what(parameters), shards, run=record.run)
    return Night(record, listing, shards)


def _what(parameters: ScanParameters) -> str:
    """What of an archive a scan covers: of each, the last plan is kept."""
    return "\n".join((parameters.archive, *parameters.prefixes, parameters.inventory or "")).rstrip("\n")


def run_scan(parameters: ScanParameters) -> Summary:
    """Scan an archive; what the command ``clipomaly scan`` does.

    Raises:
        UserError: nothing could be begun: the message says why and what to do.
    """
    if parameters.runner is not Runner.INLINE:
        with prefect_server(parameters):
            return nightly_scan(parameters)
    night = prepare(parameters)
    summary = _summary_of(night)
    watch = current_reporter()
    watch.begin(expected_frames(night.shards.sources, parameters.fps), len(night.shards))
    if night.shards:
        model, tables = get_model(model_settings(parameters)), Tables.at(parameters.tables)
        for shard in night.shards:
            try:
                summary.add(scan_shard(shard, night.record, tables, model, progress=watch.frames))
            except Exception as error:  # one shard's trouble is not the night's
                _lose(summary, shard, error)
    _close(parameters, night, summary)
    _mine(parameters, summary)
    _report(parameters, night, summary, publish=False)
    return summary


@flow(name="nightly-scan", persist_result=False, validate_parameters=True)
def nightly_scan(parameters: ScanParameters) -> Summary:
    """Scan an archive with a Prefect task a shard, a progress artifact, and a table of what was done."""
    if parameters.runner is Runner.INLINE:
        parameters = parameters.model_copy(update={"runner": Runner.THREADS})
    night = prepare(parameters)
    summary = _summary_of(night)
    watch = current_reporter()
    watch.begin(expected_frames(night.shards.sources, parameters.fps), len(night.shards))
    artifact = create_progress_artifact(0.0, key="scan-progress", description=f"Scan of {parameters.archive}")
    assert isinstance(artifact, UUID)  # a coroutine only where a flow is asynchronous
    finished = count(1)

    def done(shard: Shard, outcome: ShardResult | Exception) -> None:
        if isinstance(outcome, ShardResult):
            summary.add(outcome)
            watch.frames(outcome.frames)
        else:
            _lose(summary, shard, outcome)
        update_progress_artifact(artifact, progress=100.0 * next(finished) / len(night.shards))

    fan_out(Job(parameters, model_settings(parameters), night.record), night.shards, done)
    if not night.shards:
        update_progress_artifact(artifact, progress=100.0)
    _close(parameters, night, summary)
    _tell(parameters, night, summary)
    _mine(parameters, summary)
    _report(parameters, night, summary, publish=True)
    return summary


def _summary_of(night: Night) -> Summary:
    listing = night.listing
    return Summary(night.record.scan_id, len(listing.sources), listing.ignored, listing.left_over, night.already_done)


def _close(parameters: ScanParameters, night: Night, summary: Summary) -> None:
    """Leave records that are quick to read, and say there why shards are left."""
    tables = Tables.at(parameters.tables)
    tables.fold(night.record.scan_id)
    if summary.reasons:
        write_plan(tables, night.record.scan_id, _what(parameters), night.shards, summary.reasons, run=night.record.run)


def _lose(summary: Summary, shard: Shard, error: Exception) -> None:
    logger.debug("shard %s", shard.shard_id, exc_info=error)
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    first = shard.sources[0].uri
    more = f" and {len(shard.sources) - 1} more" if len(shard.sources) > 1 else ""
    summary.reasons[shard.shard_id] = reason.splitlines()[0] if reason else "unknown error"
    summary.lost.append(f"{first}{more}: {summary.reasons[shard.shard_id]}")


def _mine(parameters: ScanParameters, summary: Summary) -> None:
    if parameters.queue is None:
        return
    # What comes after a scan is loaded after it, and only where it is wanted: it would be a tenth of the start.
    from flows.mine import run_mine
    from tasks.mining.mine import MiningOptions

    try:
        mined = run_mine(parameters.tables, parameters.queue, MiningOptions(count=parameters.queue_items))
        summary.mining = f"mined: {mined.enqueued.added} items for review, {mined.enqueued.duplicates} duplicates"
    except (UserError, ReviewError) as error:  # the rows are there all the same
        summary.mining = f"not mined: {error}"


def _report(parameters: ScanParameters, night: Night, summary: Summary, *, publish: bool) -> None:
    if parameters.report is None:
        return
    from flows.report import publish_report, write_report

    write = publish_report if publish else write_report
    try:
        url = write(parameters.tables, parameters.report, listing=night.listing, review_url=parameters.review_url)
        summary.report = f"report: {url}"
    except UserError as error:  # the rows are there all the same
        summary.report = f"no report: {error}"


def _tell(parameters: ScanParameters, night: Night, summary: Summary) -> None:
    status = scan_status(Tables.at(parameters.tables), night.record)
    description = f"Scan {summary.scan_id} of {parameters.archive}"
    counts = {
        "sources listed": summary.sources,
        "already scanned": summary.already_done,
        **{outcome.value: count for outcome, count in sorted(summary.outcomes.items())},
        "shards lost": len(summary.lost),
        "frames": summary.frames,
        "instances": summary.instances,
        **{f"shards {outcome.value}": status.shards[outcome] for outcome in Outcome},
        "shards left": len(status.left),
        "seconds reading": round(status.seconds.reading, 1),
        "seconds inferring": round(status.seconds.inferring, 1),
        "seconds writing": round(status.seconds.writing, 1),
        "frames a second of a worker": round(status.frames_per_second or 0, 2),
    }
    _table("scan-counts", description, ("what", "count"), counts.items())
    _table("scan-names", f"{description}: names", ("name", "instances"), summary.names.most_common())
    troubles = [(source.uri, source.outcome.value, source.error) for source in summary.troubles]
    lost = [(line, "lost", "run the scan again") for line in summary.lost]
    _table("scan-failures", f"{description}: failures", ("source", "outcome", "error"), [*troubles, *lost])


def _table(key: str, description: str, header: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    create_table_artifact([dict(zip(header, row, strict=True)) for row in rows], key, description)
