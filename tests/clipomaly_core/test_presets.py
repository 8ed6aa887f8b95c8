"""Named sets of options."""

from dataclasses import asdict

import pytest

from clipomaly_core.errors import UsageError
from clipomaly_core.options import PRESETS, Options, preset
from tasks.model import method_options
from tasks.model_settings import ModelSettings


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_made_of_options_that_are_there(name):
    options = method_options(ModelSettings("ViT-B-16", method=tuple(preset(name).items())))
    assert options.score in ("entropy", "word-msp")


def test_the_papers_entropy_has_no_temperature():
    options = method_options(ModelSettings("ViT-B-16", method=tuple(preset("paper").items())))
    assert (options.score, options.logit_scale) == ("entropy", 1.0)


def test_naclips_recipe_is_the_published_one():
    options = method_options(ModelSettings("nano", method=tuple(preset("naclip").items())))
    recipe = (options.templates, options.short_side, options.window, options.stride, options.logit_scale)
    assert recipe == ("full", 560, 224, 112, 40.0)
    assert options.scales == (1.0,)


def test_fleet_is_what_the_model_does_by_itself():
    assert asdict(method_options(ModelSettings("ViT-B-16"))) == asdict(Options())
    assert preset("fleet") == {}


def test_a_preset_that_is_none_is_one_line():
    with pytest.raises(UsageError, match="paper, naclip, fleet"):
        preset("magic")
