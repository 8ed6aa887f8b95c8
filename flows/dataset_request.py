"""Build a dataset from the decisions in a queue."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from review.queue import Queue
from schemas.review import JUDGED, QueuedItem
from tasks.datasets.build import Built, DatasetOptions, build_dataset


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """Which dataset to build, from which queue, and where."""

    queue: str
    out: str
    options: DatasetOptions
    skip_missing: bool = False


def build_from_queue(request: DatasetRequest, progress: Callable[[int, int], None] = lambda done, total: None) -> Built:
    """Build a dataset of the judged items of a queue. ``progress`` gets the number of frames done and of all frames
    from time to time.

    Raises:
        UserError: as ``tasks.datasets.build.build_dataset``; ReviewError for a queue that cannot be read.
    """
    with Queue.open(request.queue, create=False) as queue:

        def judged() -> Iterator[QueuedItem]:
            return queue.walk(JUDGED)

        return build_dataset(judged, request.out, request.options, skip_missing=request.skip_missing, progress=progress)
