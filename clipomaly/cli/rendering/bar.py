"""The bar that long commands show."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


def progress_bar(what: str, *columns: ProgressColumn) -> Progress:
    """A bar on stderr that is shown on a terminal only and vanishes at its end."""
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
