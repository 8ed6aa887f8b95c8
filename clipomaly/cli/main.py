"""The command ``clipomaly``: every verb is a file of ``clipomaly/cli``."""

import os
import sys
from typing import Annotated

import typer

from clipomaly.cli.check import check
from clipomaly.cli.compact import compact
from clipomaly.cli.config import config
from clipomaly.cli.dataset import dataset
from clipomaly.cli.demo import demo
from clipomaly.cli.doctor import doctor
from clipomaly.cli.evaluate import evaluate
from clipomaly.cli.finetune import finetune
from clipomaly.cli.forget import forget
from clipomaly.cli.mine import mine
from clipomaly.cli.models import models
from clipomaly.cli.publish import publish
from clipomaly.cli.query import query
from clipomaly.cli.reference import reference
from clipomaly.cli.report import report
from clipomaly.cli.review import review
from clipomaly.cli.scan import scan
from clipomaly.cli.search import search
from clipomaly.cli.segment import segment
from clipomaly.cli.serve import serve
from clipomaly.cli.status import status
from clipomaly.cli.vocabulary import vocabulary


def _print_version(wanted: bool) -> None:
    if wanted:
        from schemas.version import VERSION, commit

        built_from = commit()
        typer.echo(f"clipomaly {VERSION}{f' ({built_from})' if built_from else ''}")
        raise typer.Exit


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
    publish,
    check,
    forget,
    doctor,
    demo,
):
    app.command()(command)


@app.callback()
def _clipomaly(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and commit.")
    ] = False,
) -> None:
    """Find, name and collect what a fleet's dashcams met and no class list foresaw."""


app.add_typer(dataset, name="dataset")
app.add_typer(config, name="config")
app.add_typer(reference, name="reference")
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
    from clipomaly.cli.rendering.console import from_outside, stderr
    from review.errors import BadInputError, ReviewError
    from tasks.errors import UsageError, UserError

    if isinstance(error, UserError | ReviewError):
        told, code = str(error), 2 if isinstance(error, UsageError | BadInputError) else 1
    else:
        told = (
            f"{type(error).__name__}: {error}; this is not expected: "
            "run again with CLIPOMALY_DEBUG=1 and report what it shows."
        )
        code = 1
    stderr().print(f"[bold red]error:[/] {from_outside(' '.join(told.split()))}")
    return code
