import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tasks.masks import decode_mask, encode_mask


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.booleans()))
def test_every_mask_comes_back(mask: npt.NDArray[np.bool_]) -> None:
    height, width = mask.shape
    assert np.array_equal(decode_mask(encode_mask(mask), height, width), mask)


def test_memory_order_does_not_matter() -> None:
    mask = np.random.default_rng(0).random((30, 50)) > 0.5
    assert encode_mask(mask) == encode_mask(np.asfortranarray(mask)) == encode_mask(np.ascontiguousarray(mask))
