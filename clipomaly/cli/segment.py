"""``clipomaly segment``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipomaly.cli.arguments import Device, Method, Model, Preset, VocabularyFile, Weights
from schemas.safe_text import printable

if TYPE_CHECKING:
    from tasks.segmentation import SegmentedImage


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
    from clipomaly.cli.rendering.console import say_nano
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


_MOST_NAMES = 5


def print_segmented(segmented: "SegmentedImage") -> None:
    """Where the picture is and what was found in it, or why there is no picture."""
    if segmented.error is not None:
        print(printable(f"{segmented.image}: {segmented.error}"), file=sys.stderr)
        return
    found = segmented.instances[:_MOST_NAMES]
    names = ", ".join(f"{instance.name} {instance.score:.2f}" for instance in found) or "nothing unknown"
    print(printable(f"{segmented.written}: {names}"))
