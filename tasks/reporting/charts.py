"""The charts of the report, as SVG that takes its colours from the page: light, dark and on paper."""

import io
import re
from collections.abc import Sequence
from math import cos, log10, radians
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tasks.reporting.report import SCORE_BINS, NameLine, Position

# matplotlib does not know the CSS variables of a page: these colours stand for them and are replaced in its SVG.
_INK, _SOFT, _LINE, _ACCENT, _QUIET, _MARK = "#010101", "#010102", "#010103", "#010104", "#010105", "#010106"
_VARIABLES = {
    _INK: "currentColor",
    _SOFT: "var(--soft)",
    _LINE: "var(--line)",
    _ACCENT: "var(--accent)",
    _QUIET: "var(--quiet)",
    _MARK: "var(--mark)",
}
_STYLE: Any = {
    "svg.fonttype": "none",  # letters stay letters: searchable, and in the page's font
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "text.parse_math": False,  # a name may hold a dollar
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _SOFT,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    "legend.frameon": False,
}
_WIDTH = 5.2  # inches; the page scales it, and letters are as large as those around it in a column of a wide screen
_NAMES = 16
_METRES_PER_DEGREE = 111_320.0


def names_chart(names: Sequence[NameLine]) -> Markup:
    """The most frequent names: instances in 1,000 frames, and a mark for the mean of the weeks before."""
    shown = list(reversed(names[:_NAMES]))
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(0.9 + 0.29 * len(shown), "instances in 1,000 frames")
        places = np.arange(len(shown))
        axes.barh(places, [line.rate for line in shown], height=0.62, color=_ACCENT, label="this night")
        usual = [(place, line.usual) for place, line in zip(places, shown, strict=True) if line.usual is not None]
        if usual:
            rows, rates = zip(*usual, strict=True)
            axes.scatter(rates, rows, marker="|", s=190, linewidths=2.6, color=_INK, label="mean of the weeks before")
            figure.legend(loc="outside upper right", ncols=2, fontsize="small", labelcolor=_SOFT)
        axes.set_yticks(places, [_short(line.name) + (" · new" if line.is_new else "") for line in shown])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.grid(axis="x", alpha=0.7)
        axes.set_axisbelow(True)
        return _svg(figure, "names", "How often each name was found, against the weeks before")


def scores_chart(least: float, scores: Sequence[float], before: Sequence[float]) -> Markup:
    """How the anomaly scores of the instances are distributed from ``least`` to 1: the night's, and those before."""
    edges = np.linspace(least, 1, SCORE_BINS + 1)
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(3.1, "anomaly score of an instance")
        axes.set_ylabel("share of instances")
        axes.stairs(scores, edges, fill=True, color=_ACCENT, label="this night")
        if before:
            axes.stairs(before, edges, color=_INK, linewidth=1.6, label="before")
            axes.legend(loc="upper left", fontsize="small", labelcolor=_SOFT)
        axes.set_xlim(least, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.tick_params(axis="y", labelcolor=_SOFT)
        axes.grid(axis="y", alpha=0.7)
        axes.set_axisbelow(True)
        return _svg(figure, "scores", "Distribution of anomaly scores")


def positions_chart(scanned: Sequence[Position], found: Sequence[Position]) -> Markup:
    """Where frames were scanned and where something was found; degrees, north up, equal distances equal."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(4.2, "longitude")
        axes.set_ylabel("latitude")
        for positions, colour, size, label in (
            (scanned, _QUIET, 8, "scanned"),
            (found, _MARK, 26, "found something"),
        ):
            longitudes = [position.longitude for position in positions]
            axes.scatter(longitudes, [p.latitude for p in positions], s=size, color=colour, linewidths=0, label=label)
        latitude = float(np.mean([position.latitude for position in (*scanned, *found)]))
        axes.set_aspect(1 / max(cos(radians(latitude)), 0.01), adjustable="datalim")
        axes.margins(0.12)
        axes.tick_params(axis="y", labelcolor=_SOFT)
        axes.ticklabel_format(useOffset=False)
        axes.xaxis.set_major_locator(MaxNLocator(4))  # more numbers of this length would run into each other
        axes.grid(alpha=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="upper right", fontsize="small", labelcolor=_SOFT)
        _scale_bar(figure, axes, latitude)
        return _svg(figure, "map", "Map of where frames were scanned and where something was found")


def _scale_bar(figure: Figure, axes: Axes, latitude: float) -> None:
    figure.draw_without_rendering()  # the limits follow the aspect only from here on
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    metres = (right - left) * _METRES_PER_DEGREE * max(cos(radians(latitude)), 0.01)
    power = 10 ** int(log10(max(metres / 5, 1.0)))
    length = power * max(step for step in (1, 2, 5) if step * power <= max(metres / 4, 1.0))
    end = left + 0.04 * (right - left) + (right - left) * length / metres
    y = bottom + 0.06 * (top - bottom)
    axes.plot([left + 0.04 * (right - left), end], [y, y], color=_INK, linewidth=2.4, solid_capstyle="butt")
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.text(end + 0.012 * (right - left), y, text, va="center", fontsize="small")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def _axes(height: float, label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot(xlabel=label)
    return figure, axes


def _short(name: str) -> str:
    return name if len(name) <= 30 else name[:29] + "…"


def _svg(figure: Figure, key: str, title: str) -> Markup:
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key, "svg.id": f"chart-{key}"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = buffer.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, variable)
    # Two charts on one page would share these ids, and nothing refers to them.
    drawn = re.sub(r'<g id="[a-z]+[\w.]*_\d+">', "<g>", drawn)
    head = f'<svg role="img" aria-label="{title}"'
    return Markup(drawn.replace("<svg", head, 1))
