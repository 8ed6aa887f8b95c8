"""A ViT of timm against the published references: the golden network under timm's names."""

import numpy as np
import pytest
import timm
import torch
from open_clip.timm_model import TimmModel
from safetensors.torch import load_file
from timm.layers import QuickGELU
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import nn

from clipomaly_core.dense import dense_features
from clipomaly_core.towers.attention import ATTENTIONS
from clipomaly_core.towers.families import image_tower


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_timm_vit_equals_the_published_reference_implementations(shared_data, attention):
    weights = load_file(shared_data / "dense-clip-golden" / "visual.safetensors")
    golden = np.load(shared_data / "dense-clip-golden" / "dense.npz")
    if f"square/{attention}" not in golden:
        pytest.skip("no published reference of this variant")
    trunk = timm.create_model(
        "vit_base_patch16_clip_quickgelu_224",
        num_classes=64,
        depth=3,
        embed_dim=128,
        num_heads=2,
        act_layer=QuickGELU,
    )
    assert isinstance(trunk, VisionTransformer)
    trunk.load_state_dict(checkpoint_filter_fn(weights, trunk))
    model = TimmModel.__new__(TimmModel)
    nn.Module.__init__(model)
    model.image_size, model.trunk, model.head = (224, 224), trunk, nn.Sequential()
    tower = image_tower(model.eval())
    with torch.no_grad():
        features = dense_features(tower, torch.from_numpy(golden["square/input"]), attention)
    np.testing.assert_allclose(features.flatten(1, 2), golden[f"square/{attention}"], atol=2e-5, rtol=0)
