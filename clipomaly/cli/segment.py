"""``clipomaly segment``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import Device, Method, Model, Preset, VocabularyFile, Weights


def segment(
    images: Annotated[list[str], typer.Argument(help="Pictures: files, folders or any fsspec URL.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures.")],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    device: Device = None,
    preset: Preset = None,
    method: Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file as for scan; flags win over it.")] = None,
) -> None:
    """Look at single pictures: outlined, named instances beside the anomaly map.

    Example: clipomaly segment photos/*.jpg --out segmented
    """
    from clipomaly.cli.rendering.models import say_nano
    from clipomaly.cli.rendering.segment import print_segmented
    from clipomaly.cli.settings import scan_parameters
    from tasks.segmentation import segment_images

    given = {"preset": preset, "model": model, "weights": weights, "vocabulary": vocabulary, "device": device}
    settings = scan_parameters("", str(out), given, method or [], config).model_settings()
    say_nano(settings.model, settings.weights)
    written = 0
    for segmented in segment_images(images, out, settings):
        print_segmented(segmented)
        written += segmented.error is None
    if not written:
        raise typer.Exit(1)
