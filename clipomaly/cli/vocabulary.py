"""``clipomaly vocabulary``: a command with commands of its own."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Device, Method, Model, VocabularyFile, Weights
from clipomaly.cli.promote import promote

vocabulary = typer.Typer(no_args_is_help=True, help="Show and extend the vocabulary.")
vocabulary.command()(promote)


@vocabulary.command()
def show(
    names: Annotated[list[str] | None, typer.Argument(help="Only these names.")] = None,
    file: VocabularyFile = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also show what was left out, and why; loads the model.")
    ] = False,
    model: Model = None,
    weights: Weights = None,
    device: Device = None,
    method: Method = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a name.")] = False,
) -> None:
    """List known classes and candidate names, and where each came from.

    Example: clipomaly vocabulary show taxi mattress --explain
    """
    from clipomaly.cli.rendering.vocabulary import print_names
    from clipomaly.cli.settings import method_values
    from tasks.model_settings import DEFAULT_MODEL, ModelSettings
    from tasks.vocabularies.edit import list_names

    values = tuple(sorted(method_values(method or []).items()))
    settings = ModelSettings(model or DEFAULT_MODEL, weights, file, device or "auto", values)
    print_names(list_names(settings, names or (), explain), as_json)


@vocabulary.command()
def extend(
    names: Annotated[list[str], typer.Argument(help="New names, in the singular.")],
    file: Annotated[
        str, typer.Option("--vocabulary", help="Vocabulary YAML to add them to, file or URL; created if missing.")
    ],
) -> None:
    """Add names to a vocabulary file: the next scan with it looks for them, and nothing is trained.

    Example: clipomaly vocabulary extend "inflatable flamingo" "parade float" --vocabulary words.yaml
    """
    from clipomaly.cli.rendering.vocabulary import print_extension
    from tasks.vocabularies.edit import extend_file

    print_extension(extend_file(file, names), file)
