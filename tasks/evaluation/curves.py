"""Precision-recall and ROC curves as PNG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clipomaly_core.metrics import PixelCurve

_LINES: tuple[dict[str, Any], ...] = (
    {"color": "#c8553d", "linewidth": 2.0},
    {"color": "#2f6690", "linewidth": 1.2, "linestyle": "--"},
)


def draw_precision_recall(path: Path, title: str, curves: Mapping[str, PixelCurve]) -> None:
    """Draw precision over recall, with the best F1 of each curve and the precision of guessing.

    Args:
        path: the PNG.
        title: written above.
        curves: one or two, by what the legend calls them.
    """
    figure, axes = _axes(title, "recall", "precision")
    for line, (name, curve) in zip(_LINES, curves.items(), strict=False):
        metrics = curve.metrics
        axes.plot(curve.recall, curve.precision, label=f"{name}: AuPRC {metrics['auprc']:.1%}", **line)
        f1 = 2 * curve.precision * curve.recall / (curve.precision + curve.recall).clip(1e-12)
        best = int(f1.argmax())
        axes.plot(
            curve.recall[best],
            curve.precision[best],
            "o",
            color=line["color"],
            label=f"{name}: best F1 {metrics['best_f1']:.1%} at {metrics['best_f1_threshold']:.4g}",
        )
    any_curve = next(iter(curves.values()))
    share = any_curve.positives / (any_curve.positives + any_curve.negatives)
    axes.axhline(share, color="0.6", linewidth=1, linestyle=":", label=f"guessing: {share:.1%}")
    _save(figure, axes, path, "upper right")


def draw_roc(path: Path, title: str, curves: Mapping[str, PixelCurve]) -> None:
    """The true positive rate over the false one, with FPR95. Arguments as of ``draw_precision_recall``."""
    figure, axes = _axes(title, "false positive rate", "true positive rate")
    for line, (name, curve) in zip(_LINES, curves.items(), strict=False):
        fpr95 = curve.metrics["fpr95"]
        axes.plot(curve.false_positive_rate, curve.recall, label=f"{name}: FPR95 {fpr95:.1%}", **line)
        axes.plot(fpr95, 0.95, "o", color=line["color"])
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":", label="guessing")
    _save(figure, axes, path, "lower right")


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 5.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # draws without a display, whatever backend is set
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Figure, axes: Axes, path: Path, legend: Literal["upper right", "lower right"]) -> None:
    axes.legend(loc=legend, fontsize="small", framealpha=0.9)
    figure.savefig(path)
