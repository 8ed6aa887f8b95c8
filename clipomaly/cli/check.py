"""What ``clipomaly doctor`` finds out about one thing that a scan needs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, and the result. ``good`` is None if it is not used here; ``mend`` says what to do."""

    what: str
    found: str
    good: bool | None
    mend: str = ""
