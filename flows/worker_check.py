"""Check that a worker of a cluster can scan before the first shard is sent there."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from flows.logs import one_line
from flows.parameters import ScanParameters
from tasks.errors import UserError
from tasks.storage import create_file, exists, is_local, locate, remove_files

_NO_MODULE = re.compile(r"No module named '[\w.]+'")


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The version of Clipomaly on a worker, and one line for each thing that it cannot find."""

    version: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker must find: a file or folder at ``place``, or, if ``reachable`` is enough, only its storage."""

    what: str
    place: str
    reachable: bool = False


def look(wanted: Sequence[Wanted]) -> WorkerState:
    """Runs on the worker: import what a shard needs, and check that archive, tables and weights are there."""
    from flows import shard_task  # noqa: F401 (that it can be imported is what is asked)

    missing = []
    for check in wanted:
        try:
            if not exists(locate(check.place)) and not check.reachable:
                missing.append(f"does not find {check.what}")
        except UserError as error:
            missing.append(f"cannot look for {check.what}: {one_line(error)}")
    return WorkerState(version("clipomaly"), tuple(missing))


@contextmanager
def wanted_for(parameters: ScanParameters) -> Iterator[list[Wanted]]:
    """What workers must find for a scan; valid inside the context.

    Tables on a local disk may not exist before the first scan, and a worker may have a folder of this name on a disk of
    its own. Therefore a file lies there, or in the nearest folder above that exists, while the workers look for it.

    Raises:
        UserError: the tables cannot be written.
    """
    wanted = [Wanted(f"the archive at {parameters.archive}", parameters.archive)]
    if parameters.weights:
        wanted.append(Wanted(f"the weights at {parameters.weights}", parameters.weights))
    what, tables = f"the tables at {parameters.tables}", locate(parameters.tables)
    if not is_local(tables.fs):
        yield [*wanted, Wanted(what, parameters.tables, reachable=True)]
        return
    folder = Path(tables.path)
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    mark = locate(folder).child(f".clipomaly-{uuid.uuid4().hex}")
    create_file(mark, b"")
    try:
        yield [*wanted, Wanted(f"{what} (is this disk shared?)", mark.url)]
    finally:
        remove_files([mark])


def unfit(states: Mapping[str, WorkerState | BaseException]) -> dict[str, str]:
    """The workers that cannot scan, by name, with the reason in one line."""
    own = version("clipomaly")
    reasons = {}
    for name, state in sorted(states.items()):
        if isinstance(state, BaseException):
            # A missing module comes in the words of the cluster, because the function could not even be unpickled.
            lacks = _NO_MODULE.search(str(state))
            reasons[name] = (
                f"lacks a package ({lacks.group()}): install clipomaly {own} there"
                if lacks
                else f"does not answer: {one_line(state)}"
            )
        elif state.version != own:
            reasons[name] = f"has clipomaly {state.version}, this machine {own}: install the same on both"
        elif state.missing:
            reasons[name] = "; ".join(state.missing)
    return reasons
