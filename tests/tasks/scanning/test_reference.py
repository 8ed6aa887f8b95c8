import tempfile
from dataclasses import replace

import cv2
import numpy as np
import pytest

from clipomaly_core import Clipomaly, UserError, default_options
from clipomaly_core.reference.record import read_reference, reference_bytes
from demo_fleet import sample_scene
from tasks.footage.archive import Sources, find_sources
from tasks.footage.frames import open_source
from tasks.scanning.reference import build_reference, find_reference, keep_reference, settling_looks

pytestmark = pytest.mark.whole


OPTIONS = replace(default_options("nano"), short_side=192)


@pytest.fixture(scope="module")
def model():
    return Clipomaly.load("nano", device="cpu", options=OPTIONS)


@pytest.fixture(scope="module")
def roads(tmp_path_factory):
    """A folder of four drawn roads."""
    folder = tmp_path_factory.mktemp("roads") / "drive"
    folder.mkdir()
    for seed in range(4):
        cv2.imwrite(str(folder / f"{seed:02d}.png"), sample_scene(seed, (180, 320), kinds=["dog"]).image[..., ::-1])
    return Sources.of([open_source(source) for source in find_sources(str(folder.parent)).sources])


@pytest.fixture(scope="module")
def reference(model, roads):
    return build_reference(model, "words", roads, 1.0)


def test_a_reference_tells_what_it_rests_on(reference, model):
    facts = reference.facts
    assert facts.frames == 4 and len(facts.sources) == 1 and facts.weights_sha256 == model.weights_sha256
    assert facts.peaks == tuple(sorted(facts.peaks, reverse=True))


def test_the_halves_of_a_reference_are_told_apart_and_do_not_change_its_id(reference):
    older = replace(reference, facts=replace(reference.facts, second_half=()))
    assert older.reference_id == reference.reference_id
    assert older.facts.halves == (reference.facts.peaks, ())
    later = replace(reference.facts, peaks=(5.0, 4.0, 3.0), second_half=(1,))
    assert later.halves == ((5.0, 3.0), (4.0,))
    read = read_reference_of(replace(reference, facts=later))
    assert read.facts == later


def read_reference_of(reference):
    """As it is read from its file."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(reference_bytes(reference))
        file.flush()
        return read_reference(file.name)


def test_a_calibrated_model_scores_ordinary_places_alike(reference, model):
    calibrated = Clipomaly.load("nano", device="cpu", options=OPTIONS, reference=reference)
    image = sample_scene(3, (180, 320), kinds=["dog"]).image
    [look] = calibrated.look([image])
    assert np.median(look.logits) == pytest.approx(calibrated.ordinary_logit, abs=1.5)
    assert calibrated.options.peak_threshold is not None


def test_the_distance_from_the_bank_changes_scores_where_it_is_asked_for(model, roads):
    fused = Clipomaly.load("nano", device="cpu", options=replace(OPTIONS, fusion=1.0))
    reference = build_reference(fused, "words", roads, 1.0)
    both = Clipomaly.load("nano", device="cpu", options=fused.options, reference=reference)
    image = sample_scene(3, (180, 320), kinds=["dog"]).image
    assert not np.allclose(both.look([image])[0].logits, model.look([image])[0].logits)


def test_tables_find_the_reference_that_fits(tmp_path, reference, model):
    tables = str(tmp_path)
    assert find_reference(tables, model.weights_sha256, model.options, 1.0) is None
    url = keep_reference(tables, reference)
    found = find_reference(tables, model.weights_sha256, model.options, 1.0)
    assert found and found[0] == url
    assert find_reference(tables, model.weights_sha256, replace(model.options, short_side=224), 1.0) is None
    assert find_reference(tables, model.weights_sha256, model.options, 2.0) is None
    assert find_reference(tables, "0" * 64, model.options, 1.0) is None


def test_a_damaged_reference_of_the_tables_is_passed_over(tmp_path, model):
    folder = tmp_path / "_references"
    folder.mkdir()
    (folder / "rdamaged.safetensors").write_bytes(b"nothing")
    assert find_reference(str(tmp_path), model.weights_sha256, model.options, 1.0) is None


def test_footage_without_a_frame_is_one_line(model):
    with pytest.raises(UserError, match="No frame"):
        build_reference(model, "words", Sources.of([]), 1.0)


def test_looks_that_are_known_already_give_the_same_reference(model, roads, reference):
    again = build_reference(model, "words", roads, 1.0, settled=settling_looks(model, roads, 1.0))
    assert again.reference_id == reference.reference_id
