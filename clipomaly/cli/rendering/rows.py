"""Rows for people, laid so that they fit the terminal."""

from collections.abc import Collection, Sequence

from rich.cells import cell_len
from rich.text import Text

from clipomaly.cli.rendering.console import stdout
from schemas.safe_text import printable

_GAP = "  "
_BELOW = "    "


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
