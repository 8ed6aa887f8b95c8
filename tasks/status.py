"""What the scans of these tables did: read from their records, so that it is true whoever ran them."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from schemas.records import Outcome, SourceOutcome, Stages
from tasks.commits import read_commits, read_scan_records


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """One generation: how many sources had which outcome, and those that were not read whole."""

    scan_id: str
    model: str
    fps: float
    created: datetime
    shards: int
    outcomes: Counter[Outcome]
    frames: int
    instances: int
    seconds: Stages
    troubles: tuple[SourceOutcome, ...]


def read_status(tables: str) -> list[ScanStatus]:
    """The generations of these tables, oldest first; none where nothing was ever scanned.

    Raises:
        UserError: records that cannot be read.
    """
    statuses = []
    for record in read_scan_records(tables):
        commits = read_commits(tables, record.scan_id)
        sources = [source for commit in commits for source in commit.sources]
        statuses.append(
            ScanStatus(
                scan_id=record.scan_id,
                model=record.model,
                fps=record.fps,
                created=record.created,
                shards=len(commits),
                outcomes=Counter(source.outcome for source in sources),
                frames=sum(source.frames for source in sources),
                instances=sum(source.instances for source in sources),
                seconds=Stages(
                    reading=sum(commit.seconds.reading for commit in commits),
                    inferring=sum(commit.seconds.inferring for commit in commits),
                    writing=sum(commit.seconds.writing for commit in commits),
                ),
                troubles=tuple(source for source in sources if source.error),
            )
        )
    return statuses
