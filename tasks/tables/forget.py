"""Forget sources on request: their rows, masks and embeddings, in every generation.

First a record says what is forgotten: from then on no reader sees the rows, and no scan reads the same content again.
Then the files of these days are written again without the rows, in the way of compaction.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from schemas.records import CommitRecord, Outcome
from tasks.errors import UsageError
from tasks.storage import Location, locate
from tasks.tables.commits import read_commits
from tasks.tables.compact import DayCompacted, compact_day
from tasks.tables.records import ForgottenSource, read_moved, scans_there, write_forgotten


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The forgotten sources by URI, with their number of rows of ``instances`` in all generations, and the days whose
    files hold their rows."""

    sources: dict[str, int]
    days: tuple[tuple[str, date], ...]


def forget_sources(root: Location, wanted: Sequence[str]) -> Forgotten:
    """Record that sources are forgotten. Each of ``wanted`` is the URI of a source, or that of a folder of them.

    Footage that was moved is forgotten under both of its addresses, whichever is given.

    Raises UserError when there are no tables; UsageError when one of ``wanted`` names no source in them, and nothing is
    forgotten then.
    """
    commits = [commit for scan in scans_there(root) for commit in read_commits(root, scan.scan_id)]
    known = {source.uri for commit in commits for source in commit.sources}
    chosen: set[str] = set()
    for name in wanted:
        names = {name, locate(name).url}
        met = {uri for uri in known if uri in names or any(uri.startswith(f"{name.rstrip('/')}/") for name in names)}
        if not met:
            raise UsageError(f"No source of these tables is {name} or lies below it. Nothing was forgotten.")
        chosen |= met
    chosen = _with_other_addresses(chosen, read_moved(root)) & known
    counts: Counter[tuple[str, str]] = Counter()
    for commit in commits:
        for source in commit.sources:
            if source.uri in chosen and source.outcome is not Outcome.FORGOTTEN:
                counts[source.uri, source.etag] += source.instances
    if counts:
        write_forgotten(root, tuple(ForgottenSource(*key, count) for key, count in sorted(counts.items())))
    of_source: Counter[str] = Counter(dict.fromkeys(sorted(chosen), 0))
    for (uri, _), count in counts.items():
        of_source[uri] += count
    return Forgotten(dict(of_source), tuple(sorted(_days_of(commits, chosen))))


def _with_other_addresses(uris: set[str], moves: Mapping[str, str]) -> set[str]:
    """These, and every address that the same footage had before or has now."""
    while more := {uri for move in moves.items() if not uris.isdisjoint(move) for uri in move} - uris:
        uris = uris | more
    return uris


def _days_of(commits: Iterable[CommitRecord], uris: set[str]) -> set[tuple[str, date]]:
    return {
        (commit.scan_id, file.day)
        for commit in commits
        if any(source.uri in uris for source in commit.sources)
        for file in commit.files
    }


def remove_rows(root: Location, forgotten: Forgotten, grace: timedelta) -> Iterator[DayCompacted]:
    """Write the files of these days again without the rows; the old ones are removed after ``grace``."""
    for scan_id, day in forgotten.days:
        of_day = [commit for commit in read_commits(root, scan_id) if any(file.day == day for file in commit.files)]
        yield compact_day(root, scan_id, day, of_day, grace)
