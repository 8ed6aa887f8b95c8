"""``clipomaly reference``: a command with commands of its own."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import Device, Json, Method, Model, VocabularyFile, Weights

reference = typer.Typer(no_args_is_help=True, help="Make and show a reference: what is ordinary in your footage.")


@reference.command()
def build(
    archive: Annotated[str, typer.Argument(help="Ordinary footage: a folder, file or any fsspec URL.")],
    out: Annotated[str, typer.Option("--out", help="File or URL for the reference: ordinary.safetensors.")],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second of video, as scans take them (default 1).")] = None,
    device: Device = None,
    method: Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file as for scan; flags win over it.")] = None,
) -> None:
    """Make the reference of a model from footage in which unusual things are rare. No label is needed.

    Example: clipomaly reference build s3://fleet/2026-11 --out s3://fleet/ordinary.safetensors --model ViT-B-16/openai
    """
    from clipomaly.cli.rendering.reference import print_reference
    from clipomaly.cli.settings import scan_parameters
    from flows.progress import TerminalProgress
    from tasks.scanning.reference import build_from_archive, write_reference

    given = {"model": model, "weights": weights, "vocabulary": vocabulary, "device": device, "fps": fps}
    parameters = scan_parameters(archive, out, given, method or [], config)
    with TerminalProgress() as watch:
        made = build_from_archive(
            parameters.model_settings(), archive, parameters.fps, watch.begin_reference, watch.frames
        )
    write_reference(out, made)
    print_reference(made, out, as_json=False)


@reference.command()
def show(
    file: Annotated[str, typer.Argument(help="A reference: file or URL.")],
    as_json: Json = False,
) -> None:
    """Say what a reference rests on, and how many finds an hour each threshold gives.

    Example: clipomaly reference show tables/_references/r0123456789a.safetensors
    """
    from clipomaly.cli.rendering.reference import print_reference
    from clipomaly_core.reference.record import read_reference

    print_reference(read_reference(file), file, as_json)
