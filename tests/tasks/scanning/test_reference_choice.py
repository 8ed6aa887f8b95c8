"""Which reference a scan takes, and what it says of it: here with an untrained CLIP, which has no thresholds."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from clipomaly_core.reference.thresholds import SURVEYS
from clipomaly_core.scores import Look
from demo_fleet import sample_scene
from tasks.footage.archive import Sources, find_sources
from tasks.footage.frames import open_source
from tasks.model import get_model
from tasks.model_settings import ModelSettings
from tasks.scanning.inference import SourceMaps
from tasks.scanning.reference import build_reference, choose_reference
from tasks.scanning.reference_frames import reference_frames

pytestmark = pytest.mark.whole

WORDS = """
known:
  - name: road
  - name: car
dictionary:
  animal: [cow]
  thing: [tent]
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    save_file(open_clip.create_model("ViT-S-32-alt", load_weights=False).state_dict(), folder / "weights.safetensors")
    (folder / "words.yaml").write_text(WORDS)
    method = (("region_weight", 1.0), ("short_side", 64))  # without crops of regions
    return ModelSettings("ViT-S-32-alt", str(folder / "weights.safetensors"), str(folder / "words.yaml"), "cpu", method)


@pytest.fixture
def choose(tmp_path):
    """Chooses for an archive with so many photos."""

    def chosen(settings, photos):
        folder = tmp_path / "archive" / "drive"
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(len(list(folder.iterdir())), photos):
            cv2.imwrite(str(folder / f"{seed:03d}.png"), sample_scene(seed % 4, (48, 64)).image[..., ::-1])
        sources = Sources.of([open_source(source) for source in find_sources(str(folder.parent)).sources])
        nothing = partial(print, end="")
        return choose_reference(
            str(tmp_path / "T"), settings, sources, 1.0, may_build=True, begin=nothing, progress=nothing
        )

    return chosen


@pytest.mark.slow
def test_a_clip_is_calibrated_roughly_until_there_is_enough_footage(settings, choose):
    few = choose(settings, 7)
    assert few.url is None and few.told and "fewer than 8 frames" in few.told
    rough = choose(settings, 9)
    assert rough.url and rough.told and "9 frames only, which is rough" in rough.told
    again = choose(settings, 20)
    assert again.url == rough.url and again.told and "9 frames only, which is rough" in again.told
    better = choose(settings, 100)
    assert better.url not in (None, rough.url) and better.told and "rough" not in better.told
    assert choose(settings, 20).url == better.url


def test_a_built_in_model_keeps_its_own_thresholds_where_footage_is_short(choose):
    chosen = choose(ModelSettings("nano", device="cpu"), 9)
    assert (chosen.url, chosen.told) == (None, None)


def test_a_model_to_which_nothing_stands_out_still_meets_the_dial(settings, tmp_path):
    """A camera that stands still, and an untrained model: too few regions at the usual level of a reference."""
    photos, wished = 12, 20
    road = sample_scene(1, (180, 320)).image[..., ::-1].astype(int)
    noise = np.random.default_rng(0).normal(0, 5, (photos, *road.shape))
    for number, image in enumerate(np.clip(road + noise, 0, 255).astype(np.uint8)):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), image)
    sources = Sources.of([open_source(source) for source in find_sources(str(tmp_path)).sources])
    bolder = replace(settings, method=(("region_weight", 1.0), ("short_side", 352)))
    model = get_model(bolder)
    reference = build_reference(model, "words", sources, 1.0)
    dial = replace(model.options, finds_per_hour=wished / reference.hours)
    calibrated = model.with_reference(reference, dial)
    maps: SourceMaps[Look, Look] = SourceMaps(model.ordinary_logit)
    frames = [frame.image for frame in reference_frames(sources, 1.0)]
    ready = [done for look in calibrated.look(frames) for done in maps.add("road", None, look, look)] + maps.close()
    finds = sum(len(find().instances) for find in calibrated.find([r.look for r in ready], [r.usual for r in ready]))
    assert len(ready) == photos and reference.facts.survey < SURVEYS[0]
    assert wished / 2 <= finds <= wished * 2
