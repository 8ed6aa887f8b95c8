"""What ``clipomaly review precision`` prints."""

from rich.table import Table

from clipomaly.cli.rendering.console import stdout
from tasks.evaluation.precision import Calibration


def print_precision(found: Calibration, wished: float) -> None:
    """How often each band of scores is right, and the threshold for the wished precision."""
    console = stdout()
    if not found.judged:
        console.print("none of the judged items was drawn at random: nothing can be estimated yet")
        return
    table = Table("score", "judged", "real", "precision", "95 % interval", box=None, header_style="dim", pad_edge=False)
    for band in found.bands:
        score = f"{band.low:.3f} to {band.high:.3f}"
        if band.share is None:
            table.add_row(score, "0", "0", "-", "-")
        else:
            interval = f"{band.least:.0%} to {band.most:.0%}"
            table.add_row(score, str(band.judged), str(band.real), f"{band.share:.0%}", interval)
    console.print(table)
    if found.threshold is None:
        console.print(
            f"no score is shown to have a precision of {wished:.0%}: the {found.judged} items drawn at random are too "
            "few or too often wrong"
        )
    else:
        cut = found.threshold
        console.print(
            f"from score {cut.score:.3f} on {cut.share:.0%} are real, at least {cut.least:.0%} with 97.5 % confidence "
            f"({cut.judged} judged); that keeps {cut.kept:.0%} of the real objects among the judged"
        )
