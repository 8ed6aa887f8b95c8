"""Find what would become a wrong class of a dataset: decisions without a real name, and misspelt names."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from review.names import NO_NAMES, VERDICTS, nearest_names
from review.reads import read_items
from review.tables import items
from schemas.review import JUDGED, Decision, QueuedItem, Verdict


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A decision without a real name ("unknown object"), and the suggestion."""

    queued: QueuedItem

    @property
    def decision(self) -> Decision:
        """What was decided."""
        item, status = self.queued.item, self.queued.status
        assert status.verdict is not None and status.decided_by is not None and status.decided_at is not None
        return Decision(item.item_id, status.verdict, status.name, status.decided_by, status.decided_at)


@dataclass(frozen=True, slots=True)
class Spelling:
    """A name that may be a misspelling of another, and how often each was given."""

    name: str
    items: int
    likely: str
    likely_items: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What a person should look at before a dataset is built."""

    unnamed: tuple[Unnamed, ...]
    spellings: tuple[Spelling, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.unnamed and not self.spellings


def audit(connection: Connection) -> Audit:
    """Check the current decisions."""
    bare = func.lower(items.c.decided_name)
    wrong = connection.scalars(
        select(items.c.item_id)
        .where(items.c.state.in_(JUDGED), bare.in_(NO_NAMES | VERDICTS))
        .order_by(items.c.item_id)
    ).all()
    given = connection.execute(
        select(items.c.decided_name, items.c.verdict, func.count())
        .where(items.c.state.in_(JUDGED), items.c.decided_name.is_not(None), bare.not_in(NO_NAMES | VERDICTS))
        .group_by(items.c.decided_name, items.c.verdict)
    ).all()
    times: Counter[str] = Counter()
    typed: set[str] = set()
    for name, verdict, count in given:
        times[name] += count
        if verdict == Verdict.RELABEL:
            typed.add(name)  # only a name that somebody typed can be misspelt
    spellings = []
    for name in sorted(typed):
        for near in nearest_names(times, name, count=1):
            if (-times[near], near) < (-times[name], name):  # of two given as often, one is told
                spellings.append(Spelling(name, times[name], near, times[near]))
    unnamed = tuple(
        Unnamed(queued)
        for start in range(0, len(wrong), 200)
        for queued in read_items(connection, wrong[start : start + 200], with_pictures=False)
    )
    return Audit(unnamed, tuple(spellings))
