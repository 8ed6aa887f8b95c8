"""What a reference rests on, for the terminal."""

import json
import math
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from clipomaly_core.reference.record import Reference
from clipomaly_core.reference.thresholds import finds_per_hour, held_out_rate, peak_threshold

_DIALS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_BAR = 40


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the curve: the wished finds an hour, their threshold, and what it gives."""

    finds_per_hour: float
    threshold: float
    seen_per_hour: float
    held_out_per_hour: float | None


def print_reference(reference: Reference, url: str, as_json: bool) -> None:
    """Facts, and the curve of thresholds: what they give in all of the footage, and in the half they do not know."""
    facts = reference.facts
    curve = [
        _Row(
            wished,
            threshold,
            finds_per_hour(facts.peaks, reference.hours, threshold),
            held_out_rate(facts.halves, reference.hours, wished),
        )
        for wished in _DIALS
        if (threshold := peak_threshold(facts.peaks, reference.hours, wished)) is not None
    ]
    if as_json:
        told = {
            "reference_id": reference.reference_id,
            "model": facts.model,
            "weights_sha256": facts.weights_sha256,
            "frames": facts.frames,
            "fps": facts.fps,
            "created": facts.created,
            "sources": facts.sources,
            "ordinary_vectors": len(reference.bank.vectors),
            "regions": len(facts.peaks),
            "curve": [asdict(row) for row in curve],
        }
        print(json.dumps(told, indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"reference [bold]{reference.reference_id}[/] of {facts.model} ({facts.weights_sha256[:8]}): {facts.frames} "
        f"frames of {len(facts.sources)} sources at {facts.fps:g} a second, made {facts.created}"
    )
    console.print(
        f"{len(facts.peaks)} regions stood out, {len(reference.bank.vectors)} ordinary vectors are kept", markup=False
    )
    if not curve:
        console.print("too few regions for a curve: scans use the standard threshold")
        return
    columns = ("finds an hour, wanted", "threshold", "seen here", "held out", "")
    table = Table(*columns, box=None, header_style="dim", pad_edge=False)
    for row in curve:
        table.add_row(
            f"{row.finds_per_hour:g}",
            f"{row.threshold:.2f}",
            f"{row.seen_per_hour:.0f}",
            "-" if row.held_out_per_hour is None else f"{row.held_out_per_hour:.0f}",
            "█" * round(_BAR * math.log1p(row.seen_per_hour) / math.log1p(max(_DIALS))),
        )
    console.print(table)
    console.print("held out: the threshold is taken from every second stretch of footage, and counted in the others")
    console.print(f"scan with it: clipomaly scan ARCHIVE --out TABLES --reference {url}", markup=False)
