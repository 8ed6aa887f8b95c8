"""Build a dataset of what the reviewers of a queue decided."""

from collections.abc import Iterator
from dataclasses import dataclass

from prefect import flow
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from review import Queue
from schemas.review import JUDGED, QueuedItem
from tasks.datasets.build import Built, DatasetOptions, build_dataset


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What to build of which queue, and where."""

    queue: str
    out: str
    options: DatasetOptions
    skip_missing: bool = False


def run_build(request: DatasetRequest) -> Built:
    """Build a dataset with a progress bar; what ``clipomaly dataset build`` does.

    Raises:
        UserError: as ``tasks.datasets.build.build_dataset``; ReviewError for a queue that cannot be read.
    """
    console = Console(stderr=True)
    with (
        Queue.open(request.queue, create=False) as queue,
        Progress(
            TextColumn("frames"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        ) as bar,
    ):
        task = bar.add_task("frames", total=None)

        def judged() -> Iterator[QueuedItem]:
            return queue.walk(JUDGED)

        return build_dataset(
            judged,
            request.out,
            request.options,
            skip_missing=request.skip_missing,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


@flow(name="build-dataset", persist_result=False, validate_parameters=False)
def build_dataset_flow(request: DatasetRequest) -> Built:
    """The same as a Prefect flow, for a schedule."""
    return run_build(request)
