"""A checkpoint, ready to run: the whole model, or its text tower alone for what embeds words and no pictures."""

import logging
from pickle import UnpicklingError
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import CLIPVisionCfg, convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed
from torch import nn

from clipomaly_core.errors import UsageError
from clipomaly_core.towers.families import image_tower
from clipomaly_core.towers.protocol import Preprocessing, TextTower, Tower
from clipomaly_core.towers.text import OpenClipText
from clipomaly_core.weight_files import WeightFile, from_transformers, is_transformers, read_weights
from clipomaly_core.weights import NANO, ROAD, Checkpoint, activation, find_checkpoint, register_nano

_IMAGES = "visual."  # before the names of the image tower's weights

logger = logging.getLogger(__name__)
# The smallest that open_clip builds, in place of the image tower: no weights are loaded into it.
_NO_IMAGES = CLIPVisionCfg(layers=1, width=64, head_width=64, patch_size=16, image_size=16)
_PLAIN = frozenset(
    {"embed_dim", "vision_cfg", "text_cfg", "custom_text", "quick_gelu", "init_logit_scale", "init_logit_bias"}
)
"""What configurations hold whose text tower is one of open_clip's own. Others, such as CoCa's, are loaded whole."""


def load_tower(checkpoint: Checkpoint, device: torch.device) -> Tower:
    """Build the model of a checkpoint on a device, in float32 and evaluation mode, without gradients.

    Raises:
        UserError: a file that does not hold weights of this architecture, an architecture without dense features, or
            one that needs a package or files that are not on this machine.
    """
    if checkpoint.architecture == ROAD:
        from clipomaly_core.towers.road.tower import load_road  # its libraries take a while to import

        return load_road(checkpoint.path, load_tower(find_checkpoint(NANO), device), device)
    network = load_network(checkpoint, device)
    return Tower(
        image=image_tower(network.visual),
        text=OpenClipText(network, checkpoint.architecture, checkpoint.path.parent),
        preprocessing=Preprocessing(
            mean=checkpoint.mean,
            std=checkpoint.std,
            interpolation=checkpoint.interpolation,
            image_size=training_size(network),
        ),
        network=network,
    )


def load_network(checkpoint: Checkpoint, device: torch.device) -> open_clip.CLIP:
    """Build the network and fill it with the checkpoint's weights, in float32 and evaluation mode.

    Raises:
        UsageError: weights of another architecture, a file that is no checkpoint, or a missing package.
    """
    try:
        file = read_weights(checkpoint.path)
    except Exception as error:  # torch and safetensors raise a dozen kinds for a file that is not what it says
        raise no_weights(checkpoint, error) from error
    quick = quick_gelu_of(checkpoint, file.openai)
    network = build_network(checkpoint.architecture, quick)
    try:
        fill_network(network, file)
    except Exception as error:
        raise no_weights(checkpoint, error) from error
    return network.to(device).float().eval().requires_grad_(False)


def build_network(architecture: str, quick_gelu: bool = False, device: str = "cpu") -> open_clip.CLIP:
    """An open_clip model with random weights on a device; nothing is downloaded.

    Raises:
        UsageError: an architecture whose text tower needs a package or files that are not on this machine.
    """
    register_nano()
    root = logging.getLogger()
    root.addFilter(_is_no_surprise)  # open_clip warns on the root logger that weights are random
    try:
        return open_clip.create_model(
            architecture, load_weights=False, pretrained_text=False, force_quick_gelu=quick_gelu, device=device
        )
    except (RuntimeError, OSError, ImportError, ValueError) as error:
        text = (open_clip.get_model_config(architecture) or {}).get("text_cfg", {}).get("hf_model_name")
        if text is None:
            raise UsageError(f"{architecture} cannot be built ({_reason(error)}).") from error
        raise UsageError(
            f"{architecture} has the text tower {text} of Hugging Face: it needs pip install 'clipomaly[huggingface]' "
            f"and the tower's configuration on this machine ({_reason(error)})."
        ) from error
    finally:
        root.removeFilter(_is_no_surprise)


def _is_no_surprise(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("No pretrained weights loaded")


def training_size(network: open_clip.CLIP) -> tuple[int, int]:
    """The (height, width) in pixels of the images that an open_clip model was trained with."""
    size = network.visual.image_size
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def fill_network(network: nn.Module, file: WeightFile, text_alone: bool = False) -> None:
    """Put the weights of a file into a network, or with ``text_alone`` those of the text tower.

    Raises:
        Exception: whatever open_clip and torch raise for weights of another architecture.
    """
    state = from_transformers(file.state) if is_transformers(file.state) else file.state
    if text_alone:
        state = {name: value for name, value in state.items() if not name.startswith(_IMAGES)}
    state = dict(convert_state_dict(network, state))
    if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    own = network.state_dict()
    for name in ("logit_scale", "logit_bias"):  # neither changes an embedding
        if name in own:
            state[name] = state[name].reshape(own[name].shape) if name in state else own[name]
    state.pop("text.transformer.embeddings.position_ids", None)
    resize_pos_embed(state, network)
    resize_text_pos_embed(state, network)
    missing, unknown = network.load_state_dict(state, strict=False)
    if text_alone:
        missing = [name for name in missing if not name.startswith(_IMAGES)]
    if missing or unknown:
        raise ValueError(
            f"{len(missing)} tensors are missing, such as {missing[0]}"
            if missing
            else f"{len(unknown)} tensors have no place, such as {unknown[0]}"
        )


def quick_gelu_of(checkpoint: Checkpoint, openai: bool) -> bool:
    """Whether the network has OpenAI's quick GELU. The weights themselves know best."""
    said = activation(checkpoint.path)
    if said in ("gelu", "quick_gelu"):
        quick, source = said == "quick_gelu", "their config.json says so"
    elif openai:
        quick, source = True, "they are OpenAI's own"
    else:
        return checkpoint.quick_gelu
    if quick != checkpoint.quick_gelu:
        kind = "quick GELU" if quick else "plain GELU"
        logger.warning("%s: the weights need %s, which is used, because %s.", checkpoint.name, kind, source)
    return quick


def no_weights(checkpoint: Checkpoint, error: Exception) -> UsageError:
    """What is said of a file that does not hold the weights of its checkpoint."""
    return UsageError(
        f"{checkpoint.path} does not hold weights of {checkpoint.architecture} ({_reason(error)}); "
        "give the architecture it was saved from with --model."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, UnpicklingError):
        return "it is damaged, or holds more than tensors, which is not loaded"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]


def load_text(checkpoint: Checkpoint, device: torch.device) -> TextTower:
    """The text tower of a checkpoint on a device, in float32 and evaluation mode, without gradients.

    Of safetensors only the tensors of the text tower are read. Models with text towers of Hugging Face, and those of
    other kinds, are loaded whole.

    Raises:
        UserError: as ``load_tower``.
    """
    if checkpoint.architecture == ROAD:
        from clipomaly_core.towers.road.tower import road_text  # its libraries take a while to import

        return road_text(load_text(find_checkpoint(NANO), device))
    register_nano()
    config = open_clip.get_model_config(checkpoint.architecture) or {}
    if not config or not config.keys() <= _PLAIN or "hf_model_name" in config["text_cfg"]:
        return load_tower(checkpoint, device).text
    try:
        file = read_weights(checkpoint.path, without_images=True)
        network = _network(config, quick_gelu_of(checkpoint, file.openai))
        fill_network(network, file, text_alone=True)
    except Exception as error:  # torch and safetensors raise a dozen kinds for a file that is not what it says
        raise no_weights(checkpoint, error) from error
    network = network.to(device).float().eval().requires_grad_(False)
    return OpenClipText(network, checkpoint.architecture, checkpoint.path.parent)


def _network(config: dict[str, Any], quick_gelu: bool) -> nn.Module:
    kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    rest = {name: config[name] for name in ("init_logit_scale", "init_logit_bias") if name in config}
    return kind(
        embed_dim=config["embed_dim"],
        vision_cfg=_NO_IMAGES,
        text_cfg=config["text_cfg"],
        quick_gelu=quick_gelu or config.get("quick_gelu", False),
        **rest,
    )
