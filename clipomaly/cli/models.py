"""``clipomaly models``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Json


def models(
    every: Annotated[
        bool, typer.Option("--all", help="Try every architecture of open_clip on this machine; takes minutes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models: the built-in ones, and how to use any CLIP of open_clip.

    With --all, each architecture is built without weights or memory and embeds a frame, a crop and a text. The table
    says which family it belongs to, or in one line why it does not work.

    Example: clipomaly models --all
    """
    from clipomaly.cli.rendering.models import print_architectures, print_models
    from tasks.model import describe_model, pretrained_models
    from tasks.model_settings import ModelSettings

    if every:
        from clipomaly_core.towers.architectures import architectures

        print_architectures(architectures(), as_json)
    else:
        print_models([describe_model(ModelSettings(name)) for name in ("nano", "road")], pretrained_models())
