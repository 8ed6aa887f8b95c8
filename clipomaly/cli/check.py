"""What ``clipomaly doctor`` finds out about one thing that a scan needs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and found. ``good`` is None where nothing was asked for; ``mend`` says what to do."""

    what: str
    found: str
    good: bool | None
    mend: str = ""
