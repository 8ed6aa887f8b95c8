"""Scenes: truth that fits the picture, determinism, motion."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_fleet import CLASSES, HELD_OUT_KINDS, KINDS, Rendered, Scene, sample_scene


def _check(rendered: Rendered, size: tuple[int, int]) -> None:
    assert rendered.image.shape == (*size, 3) and rendered.image.dtype == np.uint8
    assert rendered.labels.shape == size and rendered.labels.dtype == np.uint8
    assert rendered.instances.shape == size and rendered.instances.dtype == np.uint16
    assert set(np.unique(rendered.labels)) <= {*range(len(CLASSES)), 254, 255}
    assert np.array_equal(rendered.labels == 254, rendered.instances > 0)
    assert {o.track_id for o in rendered.objects} == set(np.unique(rendered.instances)) - {0}
    for planted in rendered.objects:
        ys, xs = np.nonzero(rendered.instances == planted.track_id)
        assert planted.area == len(ys)
        box = (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)
        assert planted.bbox == box


@pytest.mark.parametrize("size", [(176, 320), (360, 640)])
def test_stills(size: tuple[int, int]) -> None:
    for seed in range(12):
        rendered = sample_scene(seed, size)
        _check(rendered, size)
        assert len(rendered.objects) <= 6
        assert np.array_equal(rendered.image, sample_scene(seed, size).image)


@pytest.mark.whole
def test_stills_vary_and_show_what_they_should() -> None:
    stills = [sample_scene(seed, (176, 320)) for seed in range(150)]
    seen = np.unique(np.concatenate([np.unique(s.labels) for s in stills]))
    missing = {CLASSES[i] for i in range(len(CLASSES)) if i not in seen} - {"train"}
    assert not missing
    brightness = [s.image.mean() for s in stills]
    assert np.std(brightness) > 15
    heights = np.array([o.bbox[3] for s in stills for o in s.objects]) * 360 / 176
    assert (heights >= 24).mean() > 0.5
    assert {len(s.objects) for s in stills} >= {0, 1, 2, 3, 4}


def test_kinds_are_kept_to() -> None:
    names = [kind.name for kind in KINDS if kind.name not in HELD_OUT_KINDS]
    for seed in range(30):
        assert not {o.name for o in sample_scene(seed, (176, 320), names).objects} & HELD_OUT_KINDS
    with pytest.raises(ValueError, match="unicorn"):
        sample_scene(0, (176, 320), ["unicorn"])


def test_an_object_differs_from_the_road_without_it() -> None:
    with_it = Scene(8, (176, 320), objects=["sofa"], night=False, seconds=4.0)
    frame = max((with_it.frame(t / 4) for t in range(16)), key=lambda r: sum(o.area for o in r.objects))
    assert frame.objects[0].name == "sofa"
    assert frame.objects[0].area > 300
    there = frame.instances == 1
    ring = cv2.dilate(there.astype(np.uint8), np.ones((15, 15), np.uint8)).astype(bool) & ~there
    assert np.abs(frame.image[there].mean(axis=0) - frame.image[ring].mean(axis=0)).max() > 8


def test_a_drive_moves_and_is_a_function_of_time() -> None:
    scene = Scene(21, (180, 320), objects=["deer", "barrel", "football"], seconds=6.0)
    frames = [scene.frame(t / 2) for t in range(12)]
    for frame in frames:
        _check(frame, (180, 320))
    assert all(not np.array_equal(a.image, b.image) for a, b in pairwise(frames))
    again = Scene(21, (180, 320), objects=["deer", "barrel", "football"], seconds=6.0).frame(2.5)
    assert np.array_equal(again.image, frames[5].image)
    assert np.array_equal(again.labels, frames[5].labels)
    for track, name in scene.planted.items():
        areas = [next((o.area for o in f.objects if o.track_id == track), 0) for f in frames]
        assert sum(area > 0 for area in areas) >= 4, name  # two seconds
        shown = [area for area in areas if area]
        assert max(shown) > 3 * shown[0], name  # it comes nearer


def test_night_is_dark_and_lit_ahead() -> None:
    night = [Scene(seed, (180, 320), night=True, objects=0).frame(0.0).image for seed in range(6)]
    day = [Scene(seed, (180, 320), night=False, objects=0).frame(0.0).image for seed in range(6)]
    assert np.mean(night) < 0.6 * np.mean(day)
    assert min(image.mean() for image in night) > 4
    for image in night:
        beam, verge = image[120:150, 120:200].mean(), image[120:150, :40].mean()
        assert beam > verge


def test_background_clip(tmp_path: Path) -> None:
    clip = tmp_path / "real.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for level in (40, 120, 200):
        writer.write(np.full((240, 320, 3), level, np.uint8))
    writer.release()
    scene = Scene(2, (180, 320), objects=["cow"], background=clip, seconds=3.0)
    frames = [scene.frame(t) for t in (0.0, 0.1, 0.2, 2.0, 0.0)]
    for frame, level in zip(frames, (40, 120, 200, 200, 40), strict=True):
        _check(frame, (180, 320))
        assert set(np.unique(frame.labels)) <= {254, 255}
        assert abs(float(np.median(frame.image)) - level) < 6
    assert any(frame.objects for frame in frames)
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    with pytest.raises(ValueError, match=r"broken\.mp4"):
        Scene(2, background=broken)
