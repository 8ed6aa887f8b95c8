"""What all printing shares: consoles, plurals, rates."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

from schemas.safe_text import masked, printable

MOST_LINES = 12
"""Lines of a list before "and n more"."""


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
