"""Kinds out of a folder of pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_fleet import sample_scene, sprite_kinds
from demo_fleet.kinds import draw_kind


def _folder(root: Path) -> Path:
    picture = np.zeros((40, 60, 4), np.uint8)
    picture[10:30, 10:50] = (10, 20, 240, 255)  # BGRA: red
    for name in ("1f42e.webp", "1f436.png", "1f469-200d-1f680.png", "readme.png"):
        cv2.imwrite(str(root / name), picture)
    return root


def test_pictures_become_kinds_by_their_code_point(tmp_path: Path) -> None:
    assert [kind.name for kind in sprite_kinds(_folder(tmp_path))] == ["cow", "dog"]
    assert [kind.name for kind in sprite_kinds(tmp_path, lambda name: name == "dog")] == ["dog"]
    with pytest.raises(ValueError, match="no picture"):
        sprite_kinds(tmp_path, lambda name: False)


def test_a_picture_keeps_shape_and_colour(tmp_path: Path) -> None:
    (kind,) = sprite_kinds(_folder(tmp_path), lambda name: name == "dog")
    sprite = draw_kind(kind, np.random.default_rng(0), 100, facing=1)
    solid = sprite.rgba[..., 3] > 200
    assert 1.8 < solid.any(0).sum() / solid.any(1).sum() < 2.2  # 40 by 20 pixels
    red, green, blue = sprite.rgba[solid][:, :3].mean(0)
    assert red > 225 and green < 40 and blue < 30


def test_scenes_plant_pictures(tmp_path: Path) -> None:
    kinds = sprite_kinds(_folder(tmp_path))
    scenes = [sample_scene(seed, kinds=kinds) for seed in range(6)]
    assert {planted.name for scene in scenes for planted in scene.objects} == {"cow", "dog"}
