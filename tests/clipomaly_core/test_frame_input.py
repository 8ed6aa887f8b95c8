"""One frame or many, in the forms that people have them in."""

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clipomaly_core import Clipomaly, default_options
from clipomaly_core.dense import FramesInput, to_frames
from clipomaly_core.errors import UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
FORMS: dict[str, FramesInput] = {
    "array": PIXELS,
    "list of one": [PIXELS],
    "batch": PIXELS[None],
    "image": Image.fromarray(PIXELS),
    "list of images": [Image.fromarray(PIXELS)],
    "image with alpha": Image.fromarray(PIXELS).convert("RGBA"),
    "tensor": torch.from_numpy(PIXELS),
    "tensor, channels first": torch.from_numpy(PIXELS).permute(2, 0, 1),
    "batch of tensors": torch.from_numpy(PIXELS).permute(2, 0, 1)[None],
    "list of tensors": [torch.from_numpy(PIXELS).permute(2, 0, 1)],
    "not contiguous": np.asfortranarray(PIXELS),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_in_each_form_is_the_same_frame(form: str) -> None:
    [frame] = to_frames(FORMS[form])
    assert frame.dtype == np.uint8 and frame.flags.c_contiguous
    np.testing.assert_array_equal(frame, PIXELS)


def test_many_frames_keep_their_order_and_sizes() -> None:
    shapes = [frame.shape for frame in to_frames([PIXELS, Image.new("L", (10, 20)), torch.zeros(3, 5, 7).byte()])]
    assert shapes == [(48, 64, 3), (20, 10, 3), (5, 7, 3)]
    assert to_frames([]) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "is None: pass (height, width, 3)"),
        ([None], "frame 0 is None"),
        (["x.jpg"], "frame 0 is a path: read the image first"),
        (Path("x.jpg"), "is a path"),
        ([PIXELS, 3], "frame 1 is of type int"),
        (PIXELS / 255, "is float64: pass uint8"),
        (PIXELS[..., 0], r"has the shape (48, 64)"),
        (np.zeros((48, 64, 4), np.uint8), "four channels"),
        (np.zeros((0, 64, 3), np.uint8), "has the shape (0, 64, 3)"),
        ([np.zeros((2, 48, 64, 3), np.uint8)], "pass a list of frames"),
        (torch.zeros(3, 48, 3).byte(), "channels first or last"),
    ],
)
def test_what_is_no_frame_is_one_line_that_says_what_to_pass(given: object, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        to_frames(given)  # type: ignore[arg-type]
    assert says in str(refused.value) and "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def model() -> Clipomaly:
    return Clipomaly.load("nano", device="cpu", options=replace(default_options("nano"), short_side=96))


def test_one_frame_without_a_list_gives_one_result(model: Clipomaly) -> None:
    [alone], [listed] = model(Image.fromarray(PIXELS)), model([PIXELS])
    np.testing.assert_array_equal(alone.anomaly_score, listed.anomaly_score)


@pytest.mark.parametrize("copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.copy, copy.deepcopy])  # noqa: S301
def test_a_copied_model_finds_the_same_and_knows_what_was_added(model: Clipomaly, copied) -> None:
    extended = copy.copy(model)
    extended.extend(["quite unheard-of contraption"])
    again = copied(extended)
    assert "quite unheard-of contraption" in again.vocabulary.names
    assert "quite unheard-of contraption" not in model.vocabulary.names
    np.testing.assert_array_equal(again([PIXELS])[0].anomaly_score, extended([PIXELS])[0].anomaly_score)
    assert len(pickle.dumps(model)) < 1_000_000
