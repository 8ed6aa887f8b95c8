"""Which architectures of open_clip work: one of each family at once, all of them in the slow tests."""

import open_clip
import pytest

from clipomaly_core import UserError
from clipomaly_core.towers.architectures import architectures, try_architecture

pytestmark = pytest.mark.whole

ONE_EACH = {
    "ViT-S-16": ("OpenClipViT", 16),
    "coca_ViT-B-32": ("CoCaViT", 32),
    "RN50": ("ClipResNet", 32),
    "ViT-B-32-SigLIP2-256": ("TimmViT", 32),
    "PE-Core-T-16-384": ("TimmViT", 16),
    "EVA02-B-16": ("TimmViT", 16),
    "MobileCLIP-B": ("TimmViT", 16),
    "ViTamin-S": ("TimmViT", 16),
    "convnext_tiny": ("TimmConv", 32),
    "MobileCLIP2-S0": ("TimmConv", 32),
    "swin_base_patch4_window7_224": ("TimmConv", 32),
    "vit_relpos_medium_patch16_cls_224": ("TimmViT", 16),
}
HUGGING_FACE_TEXT = {
    name for name in open_clip.list_models() if open_clip.get_model_config(name)["text_cfg"].get("hf_model_name")
}


@pytest.mark.parametrize("name", ONE_EACH)
def test_an_architecture_of_each_family_works(name):
    found = try_architecture(name)
    assert found.why_not is None
    assert (found.family, found.patch) == ONE_EACH[name]
    assert found.parameters and found.parameters > 1e7


def test_a_name_that_open_clip_does_not_know_is_one_line():
    with pytest.raises(UserError, match="models --all"):
        try_architecture("ViT-Z-99")


@pytest.mark.slow
def test_all_architectures_work_but_those_with_a_text_tower_of_hugging_face():
    found = {architecture.name: architecture for architecture in architectures()}
    assert len(found) >= 144
    failed = {name: architecture.why_not for name, architecture in found.items() if not architecture.works}
    assert set(failed) <= HUGGING_FACE_TEXT, failed
    assert len(found) - len(failed) >= 130
    assert all(why and "\n" not in why and "clipomaly[huggingface]" in why for why in failed.values())
