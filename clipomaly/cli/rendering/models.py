"""What ``clipomaly models`` prints."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from clipomaly.cli.rendering.console import NANO, print_rows, stdout
from tasks.model import ModelDescription

if TYPE_CHECKING:
    from clipomaly_core.towers.architectures import Architecture

ROAD = "the default: sees real photographs through frozen ImageNet features and understands any word"
_EXAMPLES = ("ViT-B-16-quickgelu/openai", "ViT-B-16-SigLIP2/webli", "convnext_base_w/laion2b_s13b_b82k_augreg")


def print_models(built_in: Sequence[ModelDescription], pretrained: Sequence[str]) -> None:
    """The built-in models and the way to any other; ``pretrained`` are architectures with weights in open_clip."""
    console = stdout()
    for model in built_in:
        facts = f"embeddings of {model.embedding_dimension}, weights sha256 {model.weights_sha256[:12]}"
        console.print(f"[bold]{model.model}[/]  built in, {facts}")
        console.print(f"      {NANO if model.model == 'nano' else ROAD}")
    console.print(f"[bold]open_clip[/]  {len(pretrained)} models with pretrained weights, such as")
    for name in _EXAMPLES:
        console.print(f"      --model {name}")
    console.print("      downloaded from the hub at first use; without a network add --weights FILE")
    console.print("      clipomaly models --all tries every architecture on this machine")


def print_architectures(architectures: Iterable["Architecture"], as_json: bool) -> None:
    """Every architecture of open_clip, and whether it works here; on a terminal, which one is being tried."""
    found: list[Architecture] = []
    for architecture in architectures:
        found.append(architecture)
        if sys.stderr.isatty():
            print(f"\r{len(found)} tried, {architecture.name:<40}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if as_json:
        print(json.dumps([asdict(architecture) | {"works": architecture.works} for architecture in found], indent=1))
        return
    print_rows(
        ("architecture", "image tower", "patch", "embedding", "trained at", "millions", "attention", "notes"),
        [_row(architecture) for architecture in found],
        right=("patch", "embedding", "millions"),
    )
    works = sum(architecture.works for architecture in found)
    print(f"{works} of {len(found)} architectures work here.")


def _row(architecture: "Architecture") -> tuple[str, ...]:
    size, parameters = architecture.image_size, architecture.parameters
    tokenizer = f"tokenizer {architecture.tokenizer}" if architecture.tokenizer else ""
    return (
        architecture.name,
        architecture.family or "",
        str(architecture.patch or ""),
        str(architecture.embedding_dimension),
        f"{size[1]}x{size[0]}" if size else "",
        f"{parameters / 1e6:.0f}" if parameters else "",
        "all variants" if architecture.attentions else "",
        architecture.why_not or tokenizer,
    )
