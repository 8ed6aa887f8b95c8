"""The command ``clipomaly``: every command is a file of ``flows/commands``."""

import os
import sys

import typer
from rich.console import Console

from flows.commands.compact import compact
from flows.commands.config import config
from flows.commands.dataset import dataset
from flows.commands.demo import demo
from flows.commands.doctor import doctor
from flows.commands.evaluate import evaluate
from flows.commands.finetune import finetune
from flows.commands.mine import mine
from flows.commands.models import models
from flows.commands.query import query
from flows.commands.report import report
from flows.commands.review import review
from flows.commands.scan import scan
from flows.commands.search import search
from flows.commands.segment import segment
from flows.commands.serve import serve
from flows.commands.status import status
from flows.commands.vocabulary import vocabulary

app = typer.Typer(
    name="clipomaly",
    help="Find, name and collect what a fleet's dashcams met and no class list foresaw.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (
    scan,
    serve,
    status,
    query,
    search,
    report,
    mine,
    segment,
    evaluate,
    finetune,
    models,
    compact,
    doctor,
    demo,
):
    app.command()(command)
app.add_typer(dataset, name="dataset")
app.add_typer(config, name="config")
app.add_typer(review, name="review")
app.add_typer(vocabulary, name="vocabulary")


def main() -> None:
    """Run the command; errors for people are one line."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")  # the terminal is for the user's own lines
    try:
        app()
    except Exception as error:
        if os.environ.get("CLIPOMALY_DEBUG"):
            raise
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    from review.errors import BadInputError, ReviewError
    from tasks.errors import UsageError, UserError

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if isinstance(error, UserError | ReviewError):
        console.print(f"[bold red]error:[/] {_plain(str(error))}")
        return 2 if isinstance(error, UsageError | BadInputError) else 1
    console.print(
        f"[bold red]error:[/] {_plain(f'{type(error).__name__}: {error}')}; this is not expected: "
        "run again with CLIPOMALY_DEBUG=1 and report what it shows."
    )
    return 1


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("[", r"\[")


if __name__ == "__main__":
    main()
