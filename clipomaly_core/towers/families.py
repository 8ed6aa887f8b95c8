"""Which family an image tower belongs to.

Other packages add families with an entry point of the group ``clipomaly.image_towers``. It names a function that takes
the module ``visual`` of a model and returns an ``ImageTower``, or ``None`` where the module is of another family.
"""

import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import nn

from clipomaly_core.errors import UserError
from clipomaly_core.towers.coca import CoCaViT
from clipomaly_core.towers.protocol import ImageTower
from clipomaly_core.towers.resnet import ClipResNet
from clipomaly_core.towers.timm import timm_tower
from clipomaly_core.towers.vit import OpenClipViT

Family = Callable[[nn.Module], ImageTower | None]
GROUP = "clipomaly.image_towers"

logger = logging.getLogger(__name__)


def image_tower(visual: nn.Module) -> ImageTower:
    """The dense features of an image tower.

    Args:
        visual: the module ``visual`` of an open_clip model, or of another package whose family is installed.

    Raises:
        UserError: a tower of none of the families.
    """
    for family in (*_installed(), _open_clip, _timm):
        if (tower := family(visual)) is not None:
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


@cache
def _installed() -> tuple[Family, ...]:
    """Families of other packages. One that cannot be imported is said in one line and left out."""
    families: list[Family] = []
    for entry in entry_points(group=GROUP):
        try:
            family = entry.load()
        except Exception as error:  # a foreign module may raise anything
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            logger.warning("The image towers of %s (%s) cannot be loaded: %s", entry.name, entry.value, reason)
            continue
        if callable(family):
            families.append(family)
        else:
            logger.warning("The image towers of %s (%s) are no function.", entry.name, entry.value)
    return tuple(families)
