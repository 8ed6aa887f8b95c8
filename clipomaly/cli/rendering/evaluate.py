"""What ``clipomaly evaluate`` prints: the report as tables."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from clipomaly.cli.rendering.console import percent, print_rows, stdout
from tasks.evaluation.evaluate import OUTPUTS
from tasks.evaluation.results import Evaluation, NamingScore
from tasks.evaluation.suite import SUITE_FILES, RowResult


def print_evaluation(evaluation: Evaluation, out: Path) -> None:
    """The report as tables, rates in per cent."""
    console = stdout()
    data = evaluation.dataset
    judged = evaluation.model.name if evaluation.model else f"maps in {evaluation.scores}"
    console.print(f"{judged} on {data.format}, {data.frames} frames", markup=False)
    pixels = data.normal_pixels + data.anomalous_pixels
    console.print(
        f"{pixels} pixels, {data.anomalous_pixels / max(pixels, 1):.2%} anomalous; {data.void_pixels} void"
        + (f"; {data.unlabelled} frames without public truth left out" if data.unlabelled else "")
    )
    if report := evaluation.pixels:
        table = _table("pixels, %", "AuPRC", "FPR95", "best F1", "at score")
        for name, metrics in (("every threshold", report.exact), ("harness bins", report.smiyc)):
            rates = (metrics["auprc"], metrics["fpr95"], metrics["best_f1"])
            table.add_row(name, *map(percent, rates), f"{metrics['best_f1_threshold']:.4g}")
        console.print(table)
    if segments := evaluation.segments:
        table = _table("segments, %", "sIoU_gt", "PPV", "F1*")
        for name, found in (("AnomalyTrack", segments.anomaly), ("ObstacleTrack", segments.obstacle)):
            if found is None:
                table.add_row(name, "no true component is large enough")
            else:
                table.add_row(name, *map(percent, (found["siou_gt"], found["ppv"], found["f1_mean"])))
        console.print(table)
    if evaluation.unknown or evaluation.unknown_at_best_f1:
        table = _table("unknown IoU, %", "anomaly", "normal", "mean")
        rows = (("label maps", evaluation.unknown), ("scores at best F1", evaluation.unknown_at_best_f1))
        for name, iou in rows:
            if iou is not None:
                values = (iou["anomaly_iou"], iou["normal_iou"], iou["two_class_miou"])
                table.add_row(name, *map(percent, values))
        console.print(table)
    if known := evaluation.known:
        table = _table("known classes, %", "IoU")
        for entry in known.classes:
            table.add_row(entry.name, percent(entry.iou))
        table.add_row("[bold]mean[/]", f"[bold]{percent(known.miou)}[/]")
        console.print(table)
        if known.not_covered:
            console.print(f"not judged, because no known class covers them: {', '.join(known.not_covered)}")
    if evaluation.flagged is not None:
        console.print(f"normal pixels called unknown: {evaluation.flagged:.2%}")
    if naming := evaluation.naming:
        table = _table("names, %", "judged", "hit@1", "hit@5", "exact", "synonym", "kind", "unknown", "wrong")
        for score in (naming.overall, *naming.categories):
            table.add_row(*_naming_row(score))
        console.print(table)
        console.print(
            f"{naming.overall.judged} of {naming.instances} instances overlap the truth, in {naming.frames_judged} of "
            f'{data.frames} frames; unknown: called "unknown object", wrong: called by a name that is not accepted'
        )
    if calibration := evaluation.calibration:
        console.print(
            f"threshold [bold]{calibration.threshold:.6g}[/]: {calibration.reached:.3%} of {calibration.pixels} "
            f"pixels without anomaly ({calibration.frames} frames) score above it; scan reads it with "
            f"--config {out / 'config.toml'}"
        )
    if speed := evaluation.speed:
        memory = f"{speed.peak_memory_bytes / 2**30:.2f} GiB of memory at most"
        if speed.peak_device_memory_bytes is not None:
            memory += f", {speed.peak_device_memory_bytes / 2**30:.2f} GiB on the device"
        console.print(f"{speed.frames_per_second:.2f} frames a second in the model; {memory}")
    written = [name for name in OUTPUTS if (out / name).exists()]
    console.print(f"written to {out}: {', '.join(written)}", markup=False)


def _naming_row(score: NamingScore) -> tuple[str, ...]:
    counts = (score.exact, score.synonym, score.hyponym, score.said_unknown, score.said_wrong)
    return (
        score.category,
        str(score.judged),
        percent(score.hit1),
        percent(score.hit5),
        *(str(count) for count in counts),
    )


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, collapse_padding=True)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def print_suite(results: Sequence[RowResult], out: Path, as_json: bool) -> None:
    """The rows of a suite, rates in per cent."""
    if as_json:
        print((out / SUITE_FILES[1]).read_text(encoding="utf-8"))
        return
    rates = ("AuPRC", "FPR95", "mIoU", "known mIoU", "paper AuPRC", "paper mIoU")
    rows = [
        (
            result.row.name,
            "" if result.frames is None else str(result.frames),
            *(
                "" if rate is None else f"{rate:.2f}"
                for rate in (
                    result.auprc,
                    result.fpr95,
                    result.miou,
                    result.known_miou,
                    result.row.paper_auprc,
                    result.row.paper_miou,
                )
            ),
            result.why_not or "",
        )
        for result in results
    ]
    print_rows(("row", "frames", *rates, "why not"), rows, right=("frames", *rates))
    print(f"mIoU is that of unknown and all else at the model's own threshold; written to {out / SUITE_FILES[0]}")
