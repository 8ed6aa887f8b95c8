"""Turn the decisions of a queue into a proposal for the next version of a vocabulary."""

from collections.abc import Sequence
from functools import partial

from review.queue import Queue
from schemas.review import JUDGED, State
from tasks.errors import UserError
from tasks.tables import Tables
from tasks.vocabularies.promote import Promotion, propose
from tasks.vocabularies.sightings import Sightings, read_sightings
from tasks.vocabularies.verdicts import Space, read_spaces


def propose_from_queue(
    queue_url: str, tables: str | None, vocabulary: str | None, least: int, leave_out: Sequence[str] = ()
) -> Promotion:
    """Propose the next version of a vocabulary; nothing is written.

    Args:
        queue_url: the review queue.
        tables: those that it was mined from; without them nothing is suppressed by appearance, and
            no name gets exemplars.
        vocabulary: the present version, file or URL; the built-in one if None.
        least: decisions that a change needs.
        leave_out: names that are not to change.

    Raises:
        UserError: a vocabulary or tables that cannot be read; ReviewError for the queue.
    """
    spaces: dict[str, Space] = {}
    sightings: Sightings = {}
    if tables is not None:
        spaces = read_spaces(Tables.at(tables))
        if not spaces:
            raise UserError(f"There are no tables at {tables}. Give the tables that the queue was mined from.")
    with Queue.open(queue_url, create=False) as queue:
        walk = partial(queue.walk, (*JUDGED, State.DUPLICATE), with_pictures=False)
        if tables is not None:
            sightings = read_sightings(Tables.at(tables), walk())
        return propose(walk(), vocabulary, spaces, least, leave_out, sightings)
