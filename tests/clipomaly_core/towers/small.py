"""Small random image towers of every family that open_clip builds."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import timm
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import nn

D = 48
"""Length of their embeddings."""


def _timm(size: int, head: nn.Sequential | None, name: str, **options: Any) -> TimmModel:
    """What ``TimmModel`` makes of a name, with a trunk that is smaller than that of the name."""
    model = TimmModel.__new__(TimmModel)
    nn.Module.__init__(model)
    model.image_size = (size, size)
    model.trunk = timm.create_model(name, num_classes=D if head is None else 0, **options)
    model.head = nn.Sequential() if head is None else head
    return model


def _linear(width: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(drop=nn.Dropout(0.0), proj=nn.Linear(width, D, bias=False)))


def _vit(**options: Any) -> VisionTransformer:
    return VisionTransformer(
        image_size=64, patch_size=16, width=64, layers=2, heads=2, mlp_ratio=2, output_dim=D, **options
    )


_BLOCKS: dict[str, Any] = {"depth": 2, "embed_dim": 64, "num_heads": 2}
_STAGES: dict[str, Any] = {"depths": (1, 1, 1, 1), "dims": (8, 16, 32, 64)}

TOWERS: dict[str, Callable[[], nn.Module]] = {
    "ViT": _vit,
    "CLIPA": lambda: _vit(no_ln_pre=True, pool_type="avg", final_ln_after_pool=True),
    "CoCa": lambda: _vit(attentional_pool=True, attn_pooler_queries=8, attn_pooler_heads=4, output_tokens=True),
    "ResNet": lambda: ModifiedResNet((1, 1, 1, 1), output_dim=D, heads=4, image_size=64, width=8),
    "SigLIP": lambda: _timm(64, nn.Sequential(), "vit_base_patch16_siglip_224", img_size=64, **_BLOCKS),
    "PE": lambda: _timm(64, None, "vit_pe_core_tiny_patch16_384", img_size=64, **_BLOCKS),
    "EVA-02": lambda: _timm(64, None, "eva02_base_patch16_clip_224", img_size=64, **_BLOCKS),
    "EVA-02-E": lambda: _timm(56, None, "eva02_enormous_patch14_clip_224", img_size=56, **_BLOCKS),
    "EVA-01": lambda: _timm(56, None, "eva_giant_patch14_224", img_size=56, global_pool="token", **_BLOCKS),
    "timm CLIP ViT": lambda: _timm(64, None, "vit_base_patch16_clip_224", img_size=64, **_BLOCKS),
    "ViT GAP": lambda: _timm(64, _linear(64), "vit_medium_patch16_gap_256", img_size=64, **_BLOCKS),
    "ViT relpos": lambda: _timm(64, _linear(64), "vit_relpos_medium_patch16_cls_224", img_size=64, **_BLOCKS),
    "ViTamin": lambda: _timm(64, _linear(384), "vitamin_small_224", img_size=64, depth=1),
    "ConvNeXt": lambda: _timm(64, _linear(64), "convnext_tiny", **_STAGES),
    "FastViT": lambda: _timm(64, None, "fastvit_mci0", layers=(1, 1, 1, 1), embed_dims=(16, 32, 64, 64)),
    "FastViT, five stages": lambda: _timm(
        64, None, "fastvit_mci3", layers=(1, 1, 1, 1, 1), embed_dims=(16, 32, 32, 64, 64)
    ),
    "Swin": lambda: _timm(
        224,
        _linear(128),
        "swin_base_patch4_window7_224",
        embed_dim=16,
        depths=(1, 1, 1, 1),
        num_heads=(1, 2, 4, 8),
    ),
}
DIMENSIONS = {"SigLIP": 64}
"""Towers without a projection embed in their own width."""


def small_tower(family: str) -> Any:
    """The tower of a key of ``TOWERS``, the same at every call. Biases and scales are random too.

    A module whose layers tests reach by name.
    """
    torch.manual_seed(0)
    tower = TOWERS[family]().eval().requires_grad_(False)
    for parameter in tower.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.02)
    return tower
