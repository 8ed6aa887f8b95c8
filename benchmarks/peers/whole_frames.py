"""An embedding of each whole frame with the image tower of nano, for tools that look at nothing smaller."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
from safetensors.torch import load_file
from torch import Tensor

_DATA = Path(__file__).parents[2] / "clipomaly_core" / "data"


def load_nano() -> tuple[Any, Callable[[Any], Tensor]]:
    """The network, which has ``encode_image``, and what makes (3, H, W) float32 of a PIL image for it.

    Older versions of open_clip build it, too: peers bring their own.
    """
    open_clip.add_model_config(_DATA / "nano.json")
    network = open_clip.create_model("nano")
    network.load_state_dict({name: value.float() for name, value in load_file(_DATA / "nano.safetensors").items()})
    network.eval()
    return network, open_clip.image_transform(network.visual.image_size, is_train=False)
