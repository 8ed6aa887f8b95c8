"""Months: see month.py. Prints what was done and compared."""

from pathlib import Path

import pytest

from tests.command import Run

from .month import CHANGED, Month


def live(month: Month, nights: int, clips: int) -> None:
    """Nights of so many clips: weekly a compaction, a damaged file and its repair; once another model."""
    counts = month.ledger.counts
    for night in range(1, nights + 1):
        month.night = night
        good, broken = len(month.ledger.good), len(month.ledger.broken)
        month.add_clips(clips)
        if night == nights // 2 + 1:
            month.generation = CHANGED
            good = broken = 0  # everything is scanned again
            counts["generations"] += 1
        ahead = 24 * 400 if night % 9 == 4 else 0.0  # a machine whose clock is more than a year ahead
        counts["clocks ahead"] += bool(ahead)
        month.scan_and_kill(ahead)
        with month.clock(hours=1):
            month.scan()
            month.check_tables(None)
            month.check_status()
            month.check_queue()
            if not ahead:
                month.check_report(
                    len(month.ledger.good) + len(month.ledger.broken) - good - broken, len(month.ledger.broken) - broken
                )
        if night % 7 == 3:
            with month.clock(hours=2):
                month.run("compact", month.tables, "--grace", 0)
                month.run("compact", month.tables, "--grace", 0)  # removes what the first replaced
                month.check_tables(None)
        if night % 7 == 5 or (nights < 7 and night == 3):
            with month.clock(hours=3):
                month.damage_a_file()
                month.run("check", month.tables, code=1)
                month.run("check", month.tables, "--repair")
                month.scan()
                month.run("check", month.tables)
                month.check_tables(None)
        counts["nights"] += 1
    print("\n" + ", ".join(f"{what}: {count:,}" for what, count in sorted(counts.items())))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("nights", "clips"), [(4, 12), (30, 167)], ids=["days", "month"])
def test_a_month_of_nights(clipomaly: Run, s3: str, tmp_path: Path, nights: int, clips: int) -> None:
    live(Month(clipomaly, s3, tmp_path), nights, clips)
