"""What ``clipomaly models`` prints, and the note on the built-in model."""

import sys
from collections.abc import Sequence

from clipomaly.cli.rendering.console import stdout
from tasks.model import ModelDescription

NANO = (
    "nano is a small model for demonstration and tests, trained on drawn scenes only; "
    "for real footage give --model and --weights of a real CLIP"
)
_EXAMPLES = ("ViT-B-16-quickgelu/openai", "ViT-L-14-quickgelu/openai", "ViT-B-16/laion2b_s34b_b88k")


def say_nano(model: str, weights: str | None) -> None:
    """Once per command that scans: what the built-in model is for."""
    if model == "nano" and weights is None:
        print(f"note: {NANO}", file=sys.stderr)


def print_models(nano: ModelDescription, pretrained: Sequence[str]) -> None:
    """The built-in model and the way to any other; ``pretrained`` are architectures with weights in open_clip."""
    console = stdout()
    console.print(
        f"[bold]nano[/]  built in, embeddings of {nano.embedding_dimension}, weights sha256 {nano.weights_sha256[:12]}"
    )
    console.print(f"      {NANO}")
    console.print(f"[bold]open_clip[/]  {len(pretrained)} ViT models with pretrained weights, such as")
    for name in _EXAMPLES:
        console.print(f"      --model {name}")
    console.print("      downloaded from the hub at first use; without a network add --weights FILE")
