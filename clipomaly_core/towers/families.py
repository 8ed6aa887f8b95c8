"""Which family an image tower belongs to."""

from open_clip.transformer import VisionTransformer
from torch import nn

from clipomaly_core.errors import UserError
from clipomaly_core.towers.protocol import ImageTower
from clipomaly_core.towers.vit import OpenClipViT


def image_tower(visual: nn.Module) -> ImageTower:
    """The dense features of an image tower that open_clip built.

    Args:
        visual: the module ``visual`` of an open_clip model.

    Raises:
        UserError: a tower of none of the families.
    """
    if isinstance(visual, VisionTransformer) and visual.attn_pool is None:
        return OpenClipViT(visual)
    raise UserError("Dense features need a CLIP whose image tower is a plain ViT, such as ViT-B-16.")
