import numpy as np
import pytest
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from safetensors.torch import load_file

from clipomaly_core.dense import dense_features
from clipomaly_core.errors import UserError
from clipomaly_core.towers.attention import ATTENTIONS
from clipomaly_core.towers.vit import embed_patches, image_embedding, position_embedding


def make_tower(size, seed=0):
    torch.manual_seed(seed)
    tower = VisionTransformer(
        image_size=size,
        patch_size=16,
        width=128,
        layers=3,
        heads=2,
        mlp_ratio=4,
        output_dim=64,
        act_layer=QuickGELU,
    )
    return tower.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def tower():
    return make_tower(96)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(("shape", "size"), [("square", (224, 224)), ("wide", (112, 448))])
def test_equals_the_published_reference_implementations(shared_data, attention, shape, size):
    weights = load_file(shared_data / "dense-clip-golden" / "visual.safetensors")
    golden = np.load(shared_data / "dense-clip-golden" / "dense.npz")
    if f"{shape}/{attention}" not in golden:
        pytest.skip("no published reference of this variant")
    tower = make_tower(size)
    tower.load_state_dict({name.removeprefix("visual."): value for name, value in weights.items()})
    features = dense_features(tower, torch.from_numpy(golden[f"{shape}/input"]), attention)
    assert features.shape[1:3] == (size[0] // 16, size[1] // 16)
    np.testing.assert_allclose(features.flatten(1, 2), golden[f"{shape}/{attention}"], atol=2e-5, rtol=0)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_any_aspect_ratio_gives_unit_vectors(tower, attention):
    features = dense_features(tower, torch.randn(2, 3, 64, 160), attention)
    assert features.shape == (2, 4, 10, 64)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, 4, 10))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_bfloat16_turns_features_little(tower, attention):
    images = torch.randn(2, 3, 96, 160)
    with torch.autocast("cpu", torch.bfloat16):
        features, embedding = dense_features(tower, images, attention), image_embedding(tower, images)
    assert features.dtype == embedding.dtype == torch.float32
    expected = dense_features(tower, images, attention)
    assert not torch.equal(features, expected)
    assert (features * expected).sum(-1).min() > 0.999
    assert (embedding * image_embedding(tower, images)).sum(-1).min() > 0.999


def test_the_towers_own_size_needs_no_resampling(tower):
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(embed_patches(tower, images), tower._embeds(images))
    expected = torch.nn.functional.normalize(tower(images), dim=-1)
    torch.testing.assert_close(image_embedding(tower, images), expected)


def test_position_embedding_is_resampled_once_a_size():
    tower = make_tower(96)
    first = position_embedding(tower, (4, 10))
    assert position_embedding(tower, (4, 10)) is first
    assert position_embedding(tower, (10, 4)).shape == (41, 128)
    tower.positional_embedding.data.add_(0)  # .data does not count as a change, a training step does
    with torch.no_grad():
        tower.positional_embedding.add_(1)
    assert not torch.equal(position_embedding(tower, (4, 10)), first)


def test_resampling_keeps_the_cls_position(tower):
    torch.testing.assert_close(position_embedding(tower, (3, 7))[0], tower.positional_embedding[0])


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_frame_does_not_depend_on_its_batch(tower, attention):
    images = torch.randn(4, 3, 64, 96)
    together = dense_features(tower, images, attention)
    alone = dense_features(tower, images[2:3], attention)
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=0)


def test_one_window_of_the_frames_size_is_the_whole_frame(tower):
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(dense_features(tower, images, window=96), dense_features(tower, images))


def test_windows_cover_every_patch_and_go_through_in_one_pass(tower):
    passes = []
    hook = tower.conv1.register_forward_hook(lambda *arguments: passes.append(arguments[1][0].shape[0]))
    features = dense_features(tower, torch.randn(2, 3, 80, 144), window=64, stride=32)
    hook.remove()
    assert passes == [2 * 2 * 4]  # rows start at 0, 16; columns at 0, 32, 64, 80
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, 5, 9))


def test_where_windows_do_not_overlap_they_equal_separate_crops(tower):
    images = torch.randn(1, 3, 64, 128)
    features = dense_features(tower, images, window=64, stride=64)
    right = dense_features(tower, images[..., 64:])
    torch.testing.assert_close(features[:, :, 4:], right, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"images": torch.zeros(1, 3, 60, 96)},
        {"images": torch.zeros(1, 3, 96, 96), "attention": "magic"},
        {"images": torch.zeros(1, 3, 96, 96), "window": 40},
        {"images": torch.zeros(1, 3, 96, 96), "window": 32, "stride": 48},
    ],
)
def test_what_does_not_fit_is_said_in_one_line(tower, arguments):
    with pytest.raises(UserError) as error:
        dense_features(tower, **arguments)
    assert "\n" not in str(error.value)


def test_gradients_reach_the_position_embedding_at_any_size():
    tower = make_tower(96).requires_grad_(True)
    dense_features(tower, torch.randn(1, 3, 64, 128)).square().sum().backward()
    dense_features(tower, torch.randn(1, 3, 64, 128))[..., 0].sum().backward()
    assert tower.positional_embedding.grad.abs().sum() > 0
