"""What all printing shares: consoles, plurals, rates."""

from rich.console import Console

MOST_LINES = 12
"""Lines of a list before "and n more"."""


def stdout(*, markup: bool = True) -> Console:
    """A console that leaves line breaks to the terminal and colours nothing by itself."""
    return Console(soft_wrap=True, highlight=False, markup=markup)


def plural(count: float) -> str:
    """The ending of a noun that so many are of."""
    return "" if count == 1 else "s"


def percent(value: float | None) -> str:
    """A rate as per cent with two digits; "-" for None and for NaN, which metrics give where nothing was judged."""
    return "-" if value is None or value != value else f"{100 * value:.2f}"
