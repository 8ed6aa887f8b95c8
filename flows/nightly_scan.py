"""The nightly scan as a Prefect flow: a task a shard, progress, and a state that says how the night ended."""

import logging
from contextvars import ContextVar
from functools import partial
from itertools import count

from prefect import flow
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Completed, Failed

from flows.choices import Partial
from flows.engines import server_is_away
from flows.fan_out import Job, fan_out
from flows.logs import one_line, set_up_logging
from flows.night import Night, Summary, Verdict
from flows.one_at_a_time import Busy, one_at_a_time
from flows.parameters import Runner, ScanParameters, keep_private, refuse_secrets
from flows.progress import current_reporter
from flows.server import prefect_server
from flows.telling import ProgressArtifact, tell_night
from flows.whole_night import Begin, Done, scan_night
from schemas.records import Shard, ShardResult
from tasks.errors import UserError

log = logging.getLogger("clipomaly.night")

# Receives the summary. Prefect keeps no results, and cannot end a run properly while its server is away.
_told: ContextVar[list[Summary] | None] = ContextVar("told", default=None)


def run_flow(parameters: ScanParameters) -> Summary:
    """Run the flow on the configured Prefect server, or else on one of this run.

    Raises:
        UserError: the scan could not begin; the message says why and what to do.
    """
    parameters = keep_private(parameters)
    told: list[Summary] = []
    token = _told.set(told)
    state: State | None = None
    try:
        with prefect_server(parameters):
            state = nightly_scan(parameters, return_state=True)
    except Exception as error:
        if not (told and server_is_away(error)):
            raise
        log.warning("the Prefect server cannot be reached: it does not know how the scan ended (%s)", one_line(error))
    finally:
        _told.reset(token)
    if state is not None and state.is_cancelled():
        raise UserError(f"{state.message}: wait until it has ended, and run this again.")
    if state is not None and not told:
        state.result()  # raises the error that ended the flow
    return told[0]


@flow(name="nightly-scan", persist_result=False, validate_parameters=True)
def nightly_scan(parameters: ScanParameters) -> State:
    """Scan an archive with a Prefect task a shard, a progress artifact, and a table of what was done.

    The run ends ``Completed`` when all was done, ``Partial`` when something was lost, else ``Failed``.
    """
    set_up_logging(parameters.log_level, parameters.log_format)
    refuse_secrets(parameters)
    if parameters.runner is Runner.INLINE:
        parameters = parameters.model_copy(update={"runner": Runner.THREADS})
    try:
        with one_at_a_time(parameters), ProgressArtifact(f"Scan of {parameters.archive}") as artifact:
            night, summary, told = scan_night(parameters, partial(_fanned_out, parameters, artifact))
            if not night.shards:
                artifact.update(100.0)
    except Busy as busy:
        return Cancelled(name="Skipped", message=str(busy))
    except UserError as error:  # in one line: if it were raised, Prefect would log its traceback
        log.error("the night could not begin: %s", one_line(error))
        return Failed(message=one_line(error), data=error)
    if artifact.shown:
        tell_night(parameters, night, summary, told)
    listening = _current_listener()
    if listening is not None:
        listening.append(summary)
    return _final_state(parameters, summary)


def _current_listener() -> list[Summary] | None:
    # A function, because flows are sent to workers with the objects that they name, which a context variable cannot be.
    return _told.get()


def _final_state(parameters: ScanParameters, summary: Summary) -> State:
    message = f"{summary.finished} of {summary.planned} shards done, {len(summary.lost)} lost"
    failed = [step.name for step in summary.steps if not step.ok]
    if failed:
        message += f"; failed: {', '.join(failed)}"
    match summary.verdict(strict=parameters.strict):
        case Verdict.DONE:
            return Completed(message=message)
        case Verdict.PARTIAL:
            kind = StateType.COMPLETED if parameters.partial is Partial.COMPLETED else StateType.FAILED
            return State(type=kind, name="Partial", message=message)
        case Verdict.FAILED:
            return Failed(message=message)


def _fanned_out(
    parameters: ScanParameters,
    artifact: ProgressArtifact,
    night: Night,
    start: Begin,
    done: Done,
) -> None:
    """Scan the shards in task runs of the flow run that this is called in."""
    told = count(1)
    watch = current_reporter()

    def tell(shard: Shard, outcome: ShardResult | BaseException) -> None:
        if isinstance(outcome, ShardResult):
            watch.frames(outcome.frames)
        done(shard, outcome)
        artifact.update(100.0 * next(told) / len(night.shards))

    fan_out(Job(parameters, night.settings, start), night.shards, tell)
