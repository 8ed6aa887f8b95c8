"""Run lengths: what pycocotools writes is read back, and what is damaged is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from schemas.masks import decode_mask, encode_mask, mask_area, run_lengths


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_what_pycocotools_writes_is_read_back(mask: np.ndarray) -> None:
    counts = coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"]
    assert np.array_equal(decode_mask(counts, *mask.shape), mask)
    assert mask_area(counts, *mask.shape) == mask.sum()


def test_memory_order_does_not_matter() -> None:
    mask = np.random.default_rng(0).random((30, 50)) > 0.5
    assert encode_mask(mask) == encode_mask(np.asfortranarray(mask)) == encode_mask(np.ascontiguousarray(mask))


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: bytes(48 + byte % 64 for byte in data)))
def test_damaged_run_lengths_are_refused_or_fill_the_frame(counts: bytes) -> None:
    try:
        assert decode_mask(counts, 6, 8).shape == (6, 8)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("counts", [b"", b"P", b"0", b"PPPPPPPPPPPPPPPPPPPPP1", b"\xff\x00", b"O"])
def test_damage(counts: bytes) -> None:
    with pytest.raises(ValueError, match="run length"):
        decode_mask(counts, 6, 8)


def test_run_lengths_are_read_in_every_form_of_coco() -> None:
    mask = np.random.default_rng(1).random((30, 50)) > 0.5
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    text = encoded["counts"].decode()
    listed = [int(run) for run in run_lengths(text, 30, 50)]
    for form in (encoded, {"size": [30, 50], "counts": text}, {"size": (30, 50), "counts": listed}):
        np.testing.assert_array_equal(decode_mask(form), mask)
    np.testing.assert_array_equal(decode_mask(text, 30, 50), mask)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("04", "height and width"),
        ({"counts": "04"}, "size"),
        ({"size": [2, 2], "counts": None}, "bytes or text, not NoneType"),
        ({"size": [2, 2], "counts": ["a"]}, "no number"),
        ({"size": [2, 2], "counts": [1, 2]}, "fill 3 pixels of 4"),
        ({"size": [2, 2], "counts": [5, -1]}, "negative"),
        ({"size": [2, 2], "counts": "ä"}, "character"),
    ],
)
def test_a_form_that_is_none_says_what_is_wrong(given: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode_mask(given)  # type: ignore[arg-type]
