"""Check that a worker of a cluster can scan before the first shard is sent there."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from flows.parameters import ScanParameters
from flows.steps import one_line
from tasks.errors import UserError


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The version of Clipomaly on a worker, and one line for each thing that it cannot find."""

    version: str
    missing: tuple[str, ...]


def look(archive: str, tables: str, weights: str | None) -> WorkerState:
    """Runs on the worker: import what a shard needs, and check that archive, tables and weights are there."""
    from flows import shard_task  # noqa: F401 (that it can be imported is what is asked)
    from tasks.storage import exists, locate

    missing = []
    for what, url in (("the archive", archive), ("the tables", tables), ("the weights", weights)):
        try:
            if url and not exists(locate(url)):
                missing.append(f"does not find {what} at {url}")
        except UserError as error:
            missing.append(f"cannot look for {what}: {one_line(error)}")
    return WorkerState(version("clipomaly"), tuple(missing))


def what_to_look_at(parameters: ScanParameters) -> tuple[str, str, str | None]:
    """The arguments of ``look`` for a scan."""
    return parameters.archive, parameters.tables, parameters.weights


def unfit(states: Mapping[str, WorkerState | BaseException]) -> dict[str, str]:
    """The workers that cannot scan, by name, with the reason in one line."""
    own = version("clipomaly")
    reasons = {}
    for name, state in sorted(states.items()):
        if isinstance(state, ImportError):
            reasons[name] = f"lacks a package ({one_line(state)}): install clipomaly {own} there"
        elif isinstance(state, BaseException):
            reasons[name] = f"does not answer: {one_line(state)}"
        elif state.version != own:
            reasons[name] = f"has clipomaly {state.version}, this machine {own}: install the same on both"
        elif state.missing:
            reasons[name] = "; ".join(state.missing)
    return reasons
