"""Which family a tower of timm belongs to."""

from typing import Any, cast

from open_clip.timm_model import TimmModel
from timm.models.eva import Eva
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_relpos import VisionTransformerRelPos

from clipomaly_core.towers.fixed_size import FixedSize
from clipomaly_core.towers.protocol import ImageTower
from clipomaly_core.towers.timm_conv import TimmConv
from clipomaly_core.towers.timm_vit import TimmViT, accept_any_size


def timm_tower(visual: TimmModel) -> ImageTower | None:
    """The ``ImageTower`` of a timm model that open_clip built; ``None`` for a trunk whose features have no places."""
    trunk = cast(Any, visual.trunk)
    dimension = _embedding_dimension(visual)
    if isinstance(visual.trunk, VisionTransformer | Eva):
        accept_any_size(trunk)
        return TimmViT(visual, int(trunk.patch_embed.feat_ratio()), dimension)
    if isinstance(visual.trunk, VisionTransformerRelPos):
        # Its relative positions are those of one grid.
        return FixedSize(TimmViT(visual, int(trunk.patch_embed.feat_ratio()), dimension), visual.image_size[0])
    stages = getattr(trunk, "feature_info", None)
    if not stages:
        return None
    stride = int(stages[-1]["reduction"])
    if isinstance(visual.trunk, SwinTransformer):
        return FixedSize(TimmConv(visual, stride, dimension, channels_last=True), visual.image_size[0])
    return TimmConv(visual, stride, dimension)


def _embedding_dimension(visual: TimmModel) -> int:
    for layer in reversed(visual.head):
        for module in reversed(list(layer.modules())):
            if hasattr(module, "out_features"):
                return int(module.out_features)
    return int(visual.trunk.num_classes or visual.trunk.num_features)
