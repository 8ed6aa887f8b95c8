"""Dense features and embeddings of every family, on small random towers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import linear, normalize

from clipomaly_core import UserError
from clipomaly_core.dense import dense_features
from clipomaly_core.towers.families import GROUP, ImageTowerFamily, image_tower
from clipomaly_core.towers.timm import pooled_values
from clipomaly_core.towers.vit import pooled_values as coca_values
from tests.clipomaly_core.towers.small import DIMENSIONS, TOWERS, D, small_tower


def images(height, width, count=2):
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def own_embedding(visual, pixels):
    """What the tower itself says of images, L2-normalised."""
    with torch.no_grad():
        made = visual(pixels)
    return normalize(made[0] if isinstance(made, tuple) else made, dim=-1)


def size_of(visual):
    size = visual.image_size
    return size if isinstance(size, int) else size[0]


@pytest.mark.parametrize("family", TOWERS)
def test_features_of_wide_and_narrow_frames_are_unit_vectors(family):
    tower = image_tower(small_tower(family))
    for rows, columns in ((2, 5), (3, 1)):
        features = dense_features(tower, images(rows * tower.patch, columns * tower.patch))
        assert features.shape == (2, rows, columns, tower.embedding_dimension)
        assert features.dtype == torch.float32
        torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, rows, columns))
    assert tower.embedding_dimension == DIMENSIONS.get(family, D)


@pytest.mark.parametrize("family", TOWERS)
def test_an_image_of_the_trainings_size_embeds_as_the_tower_itself_does(family):
    pixels = images(size_of(small_tower(family)), size_of(small_tower(family)))
    embedded = image_tower(small_tower(family)).embed(pixels)
    torch.testing.assert_close(embedded, own_embedding(small_tower(family), pixels), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", TOWERS)
def test_images_of_other_sizes_embed(family):
    tower = image_tower(small_tower(family))
    embedded = tower.embed(images(2 * tower.patch + 3, 2 * tower.patch + 3))
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(2))


@pytest.mark.parametrize("family", TOWERS)
def test_a_frame_does_not_depend_on_its_batch(family):
    tower = image_tower(small_tower(family))
    pixels = images(2 * tower.patch, 3 * tower.patch)
    together = dense_features(tower, pixels)
    torch.testing.assert_close(dense_features(tower, pixels[1:]), together[1:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["ConvNeXt", "FastViT", "FastViT, five stages"])
def test_one_place_is_the_whole_image(family):
    """Where there is one place, pooling does nothing: features and the tower's own embedding are the same."""
    visual = small_tower(family)
    tower = image_tower(visual)
    pixels = images(tower.patch, tower.patch)
    features = tower.dense(pixels, "naclip")[:, 0, 0]
    torch.testing.assert_close(features, own_embedding(visual, pixels), atol=1e-5, rtol=0)


class Unnormalised(nn.Module):
    """Keeps what it is given: in place of a layer whose output is looked at."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []

    def forward(self, x):
        self.seen.append(self.layer(x))
        return self.seen[-1]


@pytest.mark.parametrize("family", ["Swin", "FastViT", "ViT GAP"])
def test_the_mean_of_the_places_is_the_embedding_where_pooling_is_a_mean(family):
    visual = small_tower(family)
    tower = image_tower(visual)
    pixels = images(size_of(visual), size_of(visual), 1)
    expected = own_embedding(visual, pixels)
    visual.head = last = Unnormalised(visual.head)
    tower.dense(pixels, "vanilla")
    [places] = last.seen
    mean = places.reshape(-1, places.shape[-1]).mean(0, keepdim=True)
    torch.testing.assert_close(normalize(mean, dim=-1), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["SigLIP", "PE"])
def test_the_mean_of_the_values_is_the_pooling_where_its_attention_is_even(family):
    pool = small_tower(family).trunk.attn_pool
    for parameter in pool.q.parameters():
        parameter.zero_()  # all tokens are equally like a query of zeros
    pool.mlp = None  # what follows the pooling is no mean
    tokens = torch.randn(2, 7, 64)
    torch.testing.assert_close(pooled_values(pool, tokens).mean(1), pool(tokens), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["SigLIP", "PE"])
def test_values_go_through_the_poolings_mlp(family):
    pool = small_tower(family).trunk.attn_pool
    token = torch.randn(2, 1, 64)  # all attention is on it
    torch.testing.assert_close(pooled_values(pool, token)[:, 0], pool(token), atol=1e-5, rtol=0)


def test_a_token_alone_gives_what_the_pooling_of_coca_gives():
    pool = small_tower("CoCa").attn_pool
    token = torch.randn(2, 1, 64)
    torch.testing.assert_close(coca_values(pool, token)[:, 0], pool(token)[:, 0], atol=1e-5, rtol=0)


def test_the_values_of_a_resnet_are_its_pooling_where_attention_is_even_and_position_is_none():
    visual = small_tower("ResNet")
    pool = visual.attnpool
    for parameter in (pool.positional_embedding, *pool.q_proj.parameters()):
        parameter.zero_()
    pixels = images(64, 64)
    places = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(pixels))))).flatten(2).mT
    values = linear(linear(places, pool.v_proj.weight, pool.v_proj.bias), pool.c_proj.weight, pool.c_proj.bias)
    features = image_tower(visual).dense(pixels, "naclip").flatten(1, 2)
    torch.testing.assert_close(features, normalize(values, dim=-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalize(values.mean(1), dim=-1), own_embedding(visual, pixels), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["EVA-01", "EVA-02", "EVA-02-E", "timm CLIP ViT"])
def test_with_its_own_attention_the_last_block_is_that_of_the_tower(family):
    visual = small_tower(family)
    tower = image_tower(visual)
    pixels = images(2 * tower.patch, 3 * tower.patch)
    tokens = visual.trunk.forward_features(pixels)[:, 1:]
    expected = normalize(visual.trunk.head(visual.trunk.fc_norm(tokens)), dim=-1).unflatten(1, (2, 3))
    torch.testing.assert_close(tower.dense(pixels, "vanilla"), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["EVA-02", "timm CLIP ViT"])
def test_attention_variants_differ(family):
    tower = image_tower(small_tower(family))
    pixels = images(2 * tower.patch, 3 * tower.patch, 1)
    found = [tower.dense(pixels, attention) for attention in tower.attentions]
    assert len(found) == 6
    assert all(not torch.allclose(a, b, atol=1e-3) for n, a in enumerate(found) for b in found[:n])


def test_tiles_of_a_tower_of_one_size_are_its_own_features():
    visual = small_tower("Swin")
    tower = image_tower(visual)
    frame = images(224, 448, 1)
    features = tower.dense(frame, "naclip")
    right = tower.dense(frame[..., 224:], "naclip")
    torch.testing.assert_close(features[:, :, 7:], right, atol=1e-5, rtol=0)


def test_a_tower_without_places_is_one_line():
    with pytest.raises(UserError, match="not known") as error:
        image_tower(nn.Linear(3, 3))
    assert "\n" not in str(error.value)


class Colour(nn.Module):
    """A tower of another package: the colour of each place."""

    patch, embedding_dimension, attentions = 8, 3, ()

    def dense(self, images, attention):
        return normalize(nn.functional.avg_pool2d(images, 8).permute(0, 2, 3, 1), dim=-1)

    def embed(self, images):
        return normalize(images.mean((2, 3)), dim=-1)


COLOURS = ImageTowerFamily(lambda visual: visual if isinstance(visual, Colour) else None)


@pytest.mark.slow  # test_plugins.py shows it in a worker process
def test_another_package_adds_a_family(tmp_path):
    info = tmp_path / "colour-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: colour\nVersion: 1.0\n")
    target = "tests.clipomaly_core.towers.test_families:COLOURS"
    (info / "entry_points.txt").write_text(f"[{GROUP}]\ncolour = {target}\n")
    script = (
        "import torch; from clipomaly_core.dense import dense_features; "
        "from tests.clipomaly_core.towers.test_families import Colour; "
        "print(tuple(dense_features(Colour(), torch.rand(1, 3, 16, 24)).shape))"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ran.stdout.strip() == "(1, 2, 3, 3)"
