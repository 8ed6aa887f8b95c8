"""``clipomaly finetune``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import Device, Method, Model, VocabularyFile, Weights


def finetune(
    data: Annotated[Path, typer.Option("--data", help="Folder of frames and label maps, split into train and val.")],
    data_format: Annotated[str, typer.Option("--format", help="How it is laid out: cityscapes or camvid-like.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for weights.safetensors and the report.")],
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    epochs: Annotated[int, typer.Option(min=1, help="How many times all training frames are used.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Frames in a training step.")] = 4,
    learning_rate: Annotated[
        float, typer.Option(help="Highest learning rate; it falls to zero along a cosine.")
    ] = 1e-4,
    blocks: Annotated[int, typer.Option(min=1, help="How many of the last blocks are trained (their attention).")] = 4,
    seed: Annotated[int, typer.Option(help="Decides the order of the frames.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many training frames by name.")] = None,
    held_out: Annotated[int | None, typer.Option(min=1, help="Only the first so many held-out frames by name.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read ahead.")] = 0,
    device: Device = None,
    method: Method = None,
) -> None:
    """Fine-tune a CLIP for segmentation on the known classes, as the paper's CLIP was.

    The attention of the last blocks and the position embedding learn from the
    label maps of train; after every epoch the frames of val are judged and the
    weights written. Running it again goes on where it was cut off.

    Example: clipomaly finetune --data cityscapes --format cityscapes --model ViT-B-16-quickgelu/openai --out tuned
    """
    from clipomaly.cli.rendering.finetune import print_finetuned, show_training
    from clipomaly.cli.settings import method_values
    from tasks.finetune import FinetuneSettings
    from tasks.finetune import finetune as train
    from tasks.model_settings import ModelSettings

    values = tuple(sorted(method_values(method or []).items()))
    model_settings = ModelSettings(model or "nano", weights, vocabulary, device or "auto", values)
    settings = FinetuneSettings(
        data, data_format, out, model_settings, epochs, batch, learning_rate, blocks, seed, limit, held_out, workers
    )
    with show_training() as shown:
        result = train(settings, shown.on_step, shown.on_epoch)
    print_finetuned(result, settings)
