"""Which architectures of open_clip work here, found by building each without memory and running it on a frame."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import open_clip
import torch

from clipomaly_core.dense import dense_features
from clipomaly_core.errors import UserError
from clipomaly_core.towers.families import image_tower
from clipomaly_core.towers.load import build_network, training_size
from clipomaly_core.towers.protocol import ImageTower

FRAME = (448, 896)
"""Height and width in pixels of the frame that each architecture embeds, before rounding to its patches."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What was found about an architecture.

    ``family``, ``patch`` (pixels) and ``parameters`` are ``None`` where it could not be built. ``image_size`` is the
    training's, (height, width) in pixels. ``attentions`` are the variants that it has. ``tokenizer`` names what must
    come from the Hugging Face hub or lie beside the weights. ``why_not`` says in one line what is missing.
    """

    name: str
    embedding_dimension: int
    family: str | None = None
    patch: int | None = None
    image_size: tuple[int, int] | None = None
    parameters: int | None = None
    attentions: tuple[str, ...] = ()
    tokenizer: str | None = None
    why_not: str | None = None

    @property
    def works(self) -> bool:
        """Whether frames and words can be embedded."""
        return self.why_not is None


def architectures() -> Iterator[Architecture]:
    """Every architecture of open_clip, tried one after the other."""
    for name in open_clip.list_models():
        yield try_architecture(name)


def try_architecture(name: str) -> Architecture:
    """Build an architecture on torch's meta device, and embed a frame of 448x896, a crop and a text with it.

    The meta device follows shapes and holds no numbers: this costs neither memory nor a download, whatever the size.

    Args:
        name: an open_clip name.

    Raises:
        UserError: a name that open_clip does not know.

    Example:
        >>> from clipomaly_core.towers.architectures import try_architecture
        >>> found = try_architecture("RN50")
        >>> found.works, found.family, found.patch
        (True, 'ClipResNet', 32)
    """
    config = open_clip.get_model_config(name)
    if config is None:
        raise UserError(f"Unknown architecture {name!r}: clipomaly models --all lists them.")
    tokenizer = config["text_cfg"].get("hf_tokenizer_name")
    dimension = int(config["embed_dim"])
    if (text := config["text_cfg"].get("hf_model_name")) and find_spec("transformers") is None:
        why_not = f"its text tower {text} needs the package transformers: pip install 'clipomaly[huggingface]'"
        return Architecture(name, dimension, tokenizer=tokenizer, why_not=why_not)
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing is initialised is wanted
            network = build_network(name, device="meta")
            tower = image_tower(network.visual.eval())
            _embed(network, tower, dimension)
    except UserError as error:
        return Architecture(name, dimension, tokenizer=tokenizer, why_not=str(error))
    except Exception as error:  # packages raise many kinds for what they cannot do
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        return Architecture(name, dimension, tokenizer=tokenizer, why_not=f"it cannot embed a frame ({reason})")
    return Architecture(
        name,
        dimension,
        family=_family(tower),
        patch=tower.patch,
        image_size=training_size(network),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        attentions=tower.attentions,
        tokenizer=tokenizer,
    )


@torch.inference_mode()
def _embed(network: open_clip.CLIP, tower: ImageTower, dimension: int) -> None:
    """Raises where an embedding has another shape than (…, D)."""
    height, width = (max(1, round(side / tower.patch)) * tower.patch for side in FRAME)
    features = dense_features(tower, torch.zeros(1, 3, height, width))
    crop = tower.embed(torch.zeros(1, 3, *training_size(network)))
    length = getattr(network, "context_length", None) or 77
    text = network.encode_text(torch.ones(1, int(length), dtype=torch.int64))
    expected = (1, height // tower.patch, width // tower.patch, dimension)
    if features.shape != expected or crop.shape != (1, dimension) or text.shape != (1, dimension):
        shapes = f"{tuple(features.shape)}, {tuple(crop.shape)}, {tuple(text.shape)}"
        raise UserError(f"its embeddings have the shapes {shapes} instead of (…, {dimension})")


def _family(tower: ImageTower) -> str:
    inner = getattr(tower, "tower", None)
    return type(tower if inner is None else inner).__name__
