from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from clipomaly_core import Options, UserError
from clipomaly_core.reference.ordinary import Spread, make_bank
from clipomaly_core.reference.record import (
    ORDINARY_LOGIT,
    ORDINARY_WIDTH,
    Reference,
    ReferenceFacts,
    read_reference,
    reference_bytes,
)
from clipomaly_core.reference.thresholds import check_reference, plain, survey_options, thresholds_from

OPTIONS = Options()


def make_reference(**facts):
    features = np.random.default_rng(1).normal(size=(30, 16)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    options = {name: plain(value) for name, value in asdict(OPTIONS).items()}
    values: dict[str, Any] = {
        "model": "any",
        "weights_sha256": "ab" * 32,
        "vocabulary_sha256": "cd" * 32,
        "options": options,
        "frames": 256,
        "sources": ("a.mp4",),
        "fps": 1.0,
        "created": "2026-01-01T00:00:00+00:00",
        "peaks": tuple(float(peak) for peak in range(40, 0, -1)),
    }
    return Reference(ReferenceFacts(**values | facts), Spread(-1.0, 0.5), Spread(0.3, 0.1), make_bank(features))


def test_a_file_holds_all_of_a_reference(tmp_path):
    reference = make_reference()
    path = tmp_path / "ordinary.safetensors"
    path.write_bytes(reference_bytes(reference))
    again = read_reference(str(path))
    assert again.facts == reference.facts
    assert again.language == reference.language and again.distance == reference.distance
    assert torch.equal(again.bank.vectors, reference.bank.vectors)
    assert again.reference_id == reference.reference_id


def test_the_id_tells_references_apart_and_not_when_they_were_made():
    reference = make_reference()
    assert make_reference(created="2027-01-01T00:00:00+00:00").reference_id == reference.reference_id
    assert make_reference(peaks=(3.0,)).reference_id != reference.reference_id


@pytest.mark.parametrize("content", [b"", b"not a reference", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_reference_is_one_line(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not a reference"):
        read_reference(str(path))


def test_a_missing_reference_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_reference(str(tmp_path / "none.safetensors"))


def test_a_reference_of_other_weights_or_options_is_refused():
    reference = make_reference()
    check_reference(reference, "ab" * 32, OPTIONS)
    check_reference(reference, "ab" * 32, replace(OPTIONS, threshold=0.9, margin=0.5))
    with pytest.raises(UserError, match="other weights"):
        check_reference(reference, "ef" * 32, OPTIONS)
    with pytest.raises(UserError, match="short_side"):
        check_reference(reference, "ab" * 32, replace(OPTIONS, short_side=224))


def test_ordinary_scores_are_the_same_for_every_model():
    ordinary = torch.tensor([-1.0, -0.5])
    assert make_reference().calibrated(ordinary, None, 0.0).tolist() == pytest.approx(
        [ORDINARY_LOGIT, ORDINARY_LOGIT + ORDINARY_WIDTH]
    )


def test_both_scores_together_weigh_as_much_as_one():
    reference = make_reference()
    both = reference.calibrated(torch.tensor([0.0]), torch.tensor([0.5]), 1.0)
    assert both.item() == pytest.approx(ORDINARY_LOGIT + ORDINARY_WIDTH * (2 + 2) / 2**0.5, abs=1e-4)


def test_the_dial_sets_the_thresholds():
    reference = make_reference()
    few, many = (thresholds_from(reference, replace(OPTIONS, finds_per_hour=rate)) for rate in (15, 400))
    assert few.peak_threshold and many.peak_threshold and few.peak_threshold > many.peak_threshold
    assert few.contrast == many.contrast == 0.5


def test_without_the_dial_thresholds_stay():
    options = replace(OPTIONS, finds_per_hour=None)
    assert thresholds_from(make_reference(), options) == options
    assert survey_options(OPTIONS, 3.0).finds_per_hour is None
