"""From pixels to what a tower is given: as the checkpoint's own preprocessing does it."""

from unittest import mock

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from clipomaly_core.crops import square_crop
from clipomaly_core.dense import FrameEncoder
from clipomaly_core.options import Options
from clipomaly_core.towers.protocol import Preprocessing, TextTower, Tower
from clipomaly_core.towers.vit import OpenClipViT
from tests.clipomaly_core.towers.small import small_tower

MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def encoder(interpolation="bicubic", **options):
    visual = small_tower("ViT")
    preprocessing = Preprocessing(MEAN, STD, interpolation, (64, 64))
    tower = Tower(OpenClipViT(visual), mock.create_autospec(TextTower), preprocessing, visual)
    return FrameEncoder(tower, Options(**options), torch.device("cpu"))


def photo(height, width):
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 256, (height // 5, width // 5, 3), np.uint8), np.ones((5, 5, 1), np.uint8))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("side", [150, 40])
def test_a_crop_is_resized_and_normalised_as_open_clip_does_it(interpolation, side):
    frame = photo(side, side)
    config = PreprocessCfg(size=64, mean=MEAN, std=STD, interpolation=interpolation, resize_mode="squash")
    expected = image_transform_v2(config, is_train=False)(Image.fromarray(frame))
    own = encoder(interpolation)
    made = own.normalise(own.pixels([square_crop(frame, (0, 0, side), own.crop_size, own.interpolation)]))[0]
    # Torch and Pillow round to a grey level at different places.
    assert (made - expected).abs().max() < 2 / 255 / min(STD)
    assert (made - expected).abs().mean() < 0.2 / 255 / min(STD)


def test_crops_have_the_size_of_the_training_unless_an_option_says_otherwise():
    assert encoder().crop_size == 64
    assert encoder(crop_size=96).crop_size == 96


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1280, 720), (64, 2000)])
def test_the_working_size_is_made_of_whole_patches(height, width):
    rows, columns = encoder(short_side=100).working_size(height, width)
    assert rows % 16 == columns % 16 == 0
    assert min(rows, columns) == 96
    assert max(rows, columns) <= 6 * 100
