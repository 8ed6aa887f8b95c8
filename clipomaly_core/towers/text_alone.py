"""The text tower of a checkpoint without its image tower, for what embeds words and no pictures."""

from typing import Any

import open_clip
import torch
from open_clip.model import CLIPVisionCfg
from torch import nn

from clipomaly_core.towers.load import fill_network, load_tower, no_weights, quick_gelu_of
from clipomaly_core.towers.protocol import TextTower
from clipomaly_core.towers.text import OpenClipText
from clipomaly_core.weight_files import read_weights
from clipomaly_core.weights import ROAD, Checkpoint, register_nano

# The smallest that open_clip builds, in place of the image tower: no weights are loaded into it.
_NO_IMAGES = CLIPVisionCfg(layers=1, width=64, head_width=64, patch_size=16, image_size=16)
_PLAIN = frozenset(
    {"embed_dim", "vision_cfg", "text_cfg", "custom_text", "quick_gelu", "init_logit_scale", "init_logit_bias"}
)
"""What configurations hold whose text tower is one of open_clip's own. Others, such as CoCa's, are loaded whole."""


def load_text(checkpoint: Checkpoint, device: torch.device) -> TextTower:
    """The text tower of a checkpoint on a device, in float32 and evaluation mode, without gradients.

    Of safetensors only the tensors of the text tower are read. Models with text towers of Hugging Face, and those of
    other kinds, are loaded whole.

    Raises:
        UserError: as ``load_tower``.
    """
    if checkpoint.architecture == ROAD:
        from clipomaly_core.towers.road.load import load_road_text  # its libraries take a while to import

        return load_road_text(device)
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
