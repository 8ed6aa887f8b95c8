"""A night: what is to be scanned, and the result of its shards and of its other steps."""

import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from flows.choices import Decoder
from flows.logs import one_line
from flows.parameters import Runner, ScanParameters
from flows.progress import current_reporter
from review.errors import ReviewError
from schemas.records import Outcome, ScanRecord, Shard, ShardResult, SourceOutcome, Stages
from schemas.safe_text import masked
from tasks.errors import UserError
from tasks.footage.accelerated import check_device
from tasks.footage.archive import Listing, Sources, find_sources
from tasks.model import describe_model
from tasks.model_settings import ModelSettings
from tasks.scanning.moved import note_moved
from tasks.scanning.plan import Plan, plan, with_footage
from tasks.scanning.reference import choose_reference
from tasks.scanning.scan_record import Loss, make_scan_record, write_plan
from tasks.tables import Tables
from tasks.temporary import remove_stale

log = logging.getLogger("clipomaly.night")


class Verdict(StrEnum):
    """How a night ended: all done, something lost, or nothing done."""

    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Night:
    """A planned scan: the sources, what is done already, the shards that are left, the model, and a note on its
    calibration."""

    record: ScanRecord
    listing: Listing
    shards: Plan
    settings: ModelSettings
    calibration: str | None = None

    @property
    def already_done(self) -> int:
        """How many of the sources are committed."""
        return len(self.listing.sources) - len(self.shards.sources)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: whether it succeeded, its result in one line, and how long it took."""

    name: str
    ok: bool
    detail: str
    seconds: float


def run_step(name: str, work: Callable[[], str]) -> Step:
    """Do the work, which returns its result in one line. An error fails the step, never the night."""
    started = time.perf_counter()
    try:
        detail, ok = work(), True
    except Exception as error:
        known = isinstance(error, UserError | ReviewError)
        detail, ok = one_line(error), False
        log.error("%s failed: %s", name, detail, exc_info=None if known else error)
    step = Step(name, ok, detail, time.perf_counter() - started)
    log.info("%s: %s", name, step.detail, extra={"step": name, "ok": ok, "seconds": round(step.seconds, 3)})
    return step


@dataclass(slots=True)
class Summary:
    """What a scan did. ``planned`` shards were to be scanned and ``finished`` are; ``lost`` ended in an error, by the
    id of each; ``steps`` are the other steps of the night, ``notes`` are further lines for the morning."""

    scan_id: str
    run: int = 0
    sources: int = 0
    ignored: tuple[str, ...] = ()
    left_over: int = 0
    already_done: int = 0
    planned: int = 0
    finished: int = 0
    frames: int = 0
    instances: int = 0
    seconds: Stages = field(default_factory=lambda: Stages(0, 0, 0))
    names: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    troubles: list[SourceOutcome] = field(default_factory=list)
    lost: dict[str, Loss] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, result: ShardResult) -> None:
        """Count a finished shard."""
        self.finished += 1
        self.frames += result.frames
        self.instances += result.instances
        if not result.already_committed:
            self.seconds += result.seconds
            _log_shard(self.scan_id, result)
        for name in result.names:
            self.names[name.name] += name.instances
        for source in result.sources:
            self.outcomes[source.outcome] += 1
            if source.error:
                self.troubles.append(source)

    def lose(self, shard: Shard, error: BaseException) -> None:
        """Note a shard that ended in an error."""
        reason = one_line(error)
        trace = masked("".join(traceback.format_exception(error)))
        self.lost[shard.shard_id] = Loss(shard.sources[0].uri, len(shard.sources), reason, trace)
        log.error("shard %s lost: %s", shard.shard_id, reason, exc_info=error, extra={"shard": shard.shard_id})

    @property
    def left(self) -> int:
        """How many of the planned shards are not done."""
        return self.planned - self.finished

    @property
    def succeeded(self) -> bool:
        """Whether nothing was lost, apart from parts of sources."""
        return self.verdict(strict=False) is Verdict.DONE

    def verdict(self, *, strict: bool) -> Verdict:
        """How the night ended. With ``strict``, a source that was not read whole makes it partial."""
        readable = sum(count for outcome, count in self.outcomes.items() if outcome is not Outcome.FAILED)
        nothing_tonight = self.planned > 0 and not self.finished
        if nothing_tonight or not (readable or self.already_done):
            return Verdict.FAILED
        if self.left or not all(step.ok for step in self.steps) or (strict and self.troubles):
            return Verdict.PARTIAL
        return Verdict.DONE


def _log_shard(scan_id: str, result: ShardResult) -> None:
    """One line for a finished shard, written here and not by its worker: so it is on stderr with every runner."""
    outcomes = Counter(source.outcome.value for source in result.sources)
    spent = result.seconds
    log.info(
        "shard %s of scan %s: %d sources (%s), %d frames, %d finds; seconds reading %.2f, inferring %.2f, writing %.2f",
        result.shard_id,
        scan_id,
        len(result.sources),
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())),
        result.frames,
        result.instances,
        spent.reading,
        spent.inferring,
        spent.writing,
        extra={
            "scan": scan_id,
            "shard": result.shard_id,
            "sources": [source.uri for source in result.sources],
            "outcomes": dict(outcomes),
            "frames": result.frames,
            "instances": result.instances,
            "seconds": {"reading": spent.reading, "inferring": spent.inferring, "writing": spent.writing},
        },
    )


def prepare(parameters: ScanParameters) -> Night:
    """List the archive and plan what is not committed yet. Nothing is written but a reference: see ``begin``.

    Raises:
        UserError: archive, tables, model or vocabulary that cannot be used.
    """
    remove_stale()
    decoder = _torchcodec_device(parameters)
    if decoder and parameters.runner in (Runner.INLINE, Runner.THREADS, Runner.PROCESSES):
        check_device(decoder)  # on other machines: each worker checks for itself
    listing = find_sources(parameters.archive, parameters.prefixes, parameters.inventory)
    watch = current_reporter()
    choice = choose_reference(
        parameters.tables,
        parameters.model_settings(),
        Sources.of(listing.sources),
        parameters.fps,
        may_build=not parameters.no_reference and not parameters.keyframes,
        begin=watch.begin_reference,
        progress=watch.frames,
    )
    settings = replace(parameters.model_settings(), reference=choice.url)
    scan = make_scan_record(
        describe_model(settings),
        fps=parameters.fps,
        keyframes=parameters.keyframes,
        decoder=decoder,
    )
    done = Tables.at(parameters.tables).done(scan.scan_id)
    shards = plan(with_footage(Sources.of(listing.sources), done), done, parameters.shard_minutes)
    return Night(scan, listing, shards, settings, choice.told)


def _torchcodec_device(parameters: ScanParameters) -> str | None:
    return None if parameters.decoder is Decoder.CPU else parameters.decoder.value


def begin(parameters: ScanParameters, night: Night) -> ScanRecord:
    """Write the record of the scan into the tables, with its plan and the number of this run.

    Called when the first shard can begin, so that a scan that never began writes nothing.

    Raises:
        UserError: tables that cannot be written.
    """
    tables = Tables.at(parameters.tables)
    scan = replace(night.record, run=tables.next_run(night.record.scan_id))
    tables.begin(scan)
    note_moved(tables, parameters.archive, Sources.of(night.listing.sources))
    write_plan(tables, scan.scan_id, _what(parameters), night.shards, run=scan.run)
    return scan


def note_losses(parameters: ScanParameters, night: Night, summary: Summary) -> None:
    """Write beside the plan why shards are left. Raises UserError when it cannot be written."""
    tables, scan_id = Tables.at(parameters.tables), summary.scan_id
    write_plan(tables, scan_id, _what(parameters), night.shards, summary.lost, run=summary.run)


def _what(parameters: ScanParameters) -> str:
    """Which part of an archive a scan covers: for each part, the last plan is kept."""
    return "\n".join((parameters.archive, *parameters.prefixes, parameters.inventory or "")).rstrip("\n")


def summary_of(night: Night) -> Summary:
    """The summary at the start of a night."""
    sources, shards = len(night.listing.sources), len(night.shards)
    return Summary(
        night.record.scan_id,
        sources=sources,
        ignored=night.listing.ignored,
        left_over=night.listing.left_over,
        already_done=night.already_done,
        planned=shards,
        notes=[night.calibration] if night.calibration else [],
    )
