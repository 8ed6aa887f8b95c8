"""What ``clipomaly vocabulary promote`` does: propose, show, and write when asked to."""

from collections.abc import Sequence

from rich.console import Console

from review import Queue
from schemas.review import JUDGED, State
from tasks.errors import UserError
from tasks.vocabularies.promote import Promotion, propose, write_promotion
from tasks.vocabularies.verdicts import Space, read_spaces


def run_promote(
    queue_url: str, tables: str | None, vocabulary: str | None, out: str | None, least: int, leave_out: Sequence[str]
) -> Promotion:
    """Show the next version of a vocabulary, and write it to ``out`` when there is one.

    Raises:
        UserError: a vocabulary or tables that cannot be read, a file that is there already or cannot be written.
    """
    spaces: dict[str, Space] = {}
    if tables is not None:
        spaces = read_spaces(tables)
        if not spaces:
            raise UserError(f"There are no tables at {tables}. Name those that the queue was mined from.")
    with Queue.open(queue_url, create=False) as queue:
        items = queue.walk((*JUDGED, State.DUPLICATE), with_pictures=False)
        promotion = propose(items, vocabulary, spaces, least, leave_out)
    print_promotion(promotion, vocabulary, out)
    if tables is None:
        print("note: without --tables nothing is suppressed by looks")
    if out is not None and promotion.changes:
        write_promotion(promotion, out)
        print(f"written: {out}\nnext: clipomaly scan ARCHIVE --out TABLES --vocabulary {out}")
    return promotion


def print_promotion(promotion: Promotion, old: str | None, new: str | None) -> None:
    """A line a change with its reason, the diff of the file, and what was left alone and why."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for change in promotion.changes:
        what = f"{change.kind} {change.subject}" + (f" for {change.known}" if change.known else "")
        console.print(f"+ {what}: {change.reason}", style="green")
    for note in promotion.notes:
        console.print(f"  left alone: {note}")
    if promotion.changes:
        console.print()
        console.print(promotion.diff(old or "built-in", new or "next version"))
    else:
        console.print("nothing was decided often enough to change the vocabulary")
    if promotion.changes and new is None:
        console.print("\nnothing is written: give --out a new file")
