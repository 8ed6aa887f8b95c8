"""``clipomaly segment``."""

from pathlib import Path
from typing import Annotated

import typer

from flows.commands.arguments import Device, Method, Model, VocabularyFile, Weights


def segment(
    images: Annotated[list[str], typer.Argument(help="Pictures: files, folders or any fsspec URL.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    device: Device = None,
    method: Method = None,
) -> None:
    """Look at single pictures: outlined, named instances beside the anomaly map.

    Example: clipomaly segment photos/*.jpg --out segmented
    """
    from flows.config import method_values
    from flows.segment import segment_images
    from flows.terminal import say_nano
    from tasks.model import ModelSettings

    values = tuple(sorted(method_values(method or []).items()))
    settings = ModelSettings(model or "nano", weights, vocabulary, device or "auto", values)
    say_nano(settings.model, weights)
    if not segment_images(images, out, settings):
        raise typer.Exit(1)
