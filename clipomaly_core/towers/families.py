"""Which family an image tower belongs to.

Other packages add families with an entry point of the group ``clipomaly.image_towers`` that names an
``ImageTowerFamily``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import nn

from clipomaly_core.errors import UserError
from clipomaly_core.plugins import plugins
from clipomaly_core.towers.protocol import ImageTower
from clipomaly_core.towers.resnet import ClipResNet
from clipomaly_core.towers.timm import timm_tower
from clipomaly_core.towers.vit import CoCaViT, OpenClipViT

GROUP = "clipomaly.image_towers"


@dataclass(frozen=True, slots=True)
class ImageTowerFamily:
    """A family of image towers.

    ``make`` takes the module ``visual`` of a model and returns its ``ImageTower``, or ``None`` where the module is of
    another family.

    Example:
        >>> from clipomaly_core.towers.families import ImageTowerFamily
        >>> nothing = ImageTowerFamily(lambda visual: None)
    """

    make: Callable[[nn.Module], ImageTower | None]


def image_tower(visual: nn.Module) -> ImageTower:
    """The dense features of an image tower.

    Args:
        visual: the module ``visual`` of an open_clip model, or of another package whose family is installed.

    Raises:
        UserError: a tower of none of the families.
    """
    added = [family.make for family in plugins(GROUP, ImageTowerFamily).values()]
    for make in (*added, _open_clip, _timm):
        if (tower := make(visual)) is not None:
            return tower
    raise UserError(
        f"Dense features of a {type(visual).__name__} are not known: use a ViT, ResNet or ConvNeXt of open_clip, or "
        f"install a package that adds this tower ({GROUP})."
    )


def _open_clip(visual: nn.Module) -> ImageTower | None:
    if isinstance(visual, ModifiedResNet):
        return ClipResNet(visual)
    if not isinstance(visual, VisionTransformer):
        return None
    if not all(type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks):
        return None
    if visual.attn_pool is None:
        return OpenClipViT(visual)
    return CoCaViT(visual) if visual.attn_pool_contrastive is None else None


def _timm(visual: nn.Module) -> ImageTower | None:
    return timm_tower(visual) if isinstance(visual, TimmModel) else None
