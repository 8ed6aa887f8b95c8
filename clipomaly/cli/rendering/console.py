"""What all printing shares: consoles, rows that fit the terminal, bars, plurals, rates."""

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from schemas.safe_text import masked, printable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

NANO = (
    "nano is a small model for demonstration and tests, trained on drawn scenes only; "
    "for real footage use road, the default, or give --model and --weights of a real CLIP"
)
MOST_LINES = 12
"""Lines of a list before "and n more"."""
_GAP = "  "
_BELOW = "    "


def stdout(*, markup: bool = True) -> Console:
    """A console that leaves line breaks to the terminal, colours nothing by itself and lets nothing steer it."""
    return _Safe(soft_wrap=True, highlight=False, markup=markup)


def stderr() -> Console:
    """The same for what is no answer."""
    return _Safe(stderr=True, soft_wrap=True, highlight=False)


class _Safe(Console):
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See rich: text, style and control codes of its own."""
        for segment in super().render(renderable, options):
            safe = segment.control or segment.text.replace("\n", "").isprintable()
            yield segment if safe else Segment(_each_line_printable(segment.text), segment.style)


def _each_line_printable(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def from_outside(text: str) -> str:
    """Text from outside, for a line with markup: on one line, shown as it is, without secrets."""
    return escape(printable(masked(text)))


def plural(count: float) -> str:
    """The ending of a noun that so many are of."""
    return "" if count == 1 else "s"


def percent(value: float | None) -> str:
    """A rate as per cent with two digits; "-" for None and for NaN, which metrics give where nothing was judged."""
    return "-" if value is None or value != value else f"{100 * value:.2f}"


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """Print a table, a line a row; the columns named in ``right`` are numbers.

    Where the terminal is too narrow, the last column takes a line of its own below each row; where the others are
    too wide by themselves, each row is a block with a line a value. Nothing is cut off. What is piped is a line a
    row, however long.
    """
    console = stdout(markup=False)
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    if not console.is_terminal or _width(widths) <= console.width:
        shown = len(columns)
    elif _width(widths[:-1]) <= console.width:
        shown = len(columns) - 1
    else:
        for number, row in enumerate(cells):
            if number:
                console.print()
            print_block([*zip(columns, row, strict=True)])
        return
    numbers = [column in right for column in columns]
    console.print(Text(_line(columns[:shown], widths, numbers), "bold"))
    for row in cells:
        console.print(_line(row[:shown], widths, numbers))
        for cell in filter(None, row[shown:]):
            console.print(f"{_BELOW}{cell}")


def print_block(facts: Sequence[tuple[str, str]]) -> None:
    """Print one thing, a line a fact."""
    console = stdout(markup=False)
    widest = max(cell_len(name) for name, _ in facts)
    for name, value in facts:
        console.print(Text(_padded(name, widest, right=False), "bold"), printable(value), sep=_GAP)


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    padded = (_padded(*cell) for cell in zip(cells, widths, numbers, strict=False))
    return _GAP.join(padded).rstrip()


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def progress_bar(what: str, *columns: "ProgressColumn") -> "Progress":
    """A bar on stderr that is shown on a terminal only and vanishes at its end."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    return Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def say_nano(model: str, weights: str | None) -> None:
    """Once per command that scans: what the built-in model is for."""
    if model == "nano" and weights is None:
        print(f"note: {NANO}", file=sys.stderr)
