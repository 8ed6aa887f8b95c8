"""Convert what people pass as frames to (H, W, 3) uint8 RGB arrays, if it is clear what is meant."""

from collections.abc import Iterable
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from clipomaly_core.errors import UsageError
from clipomaly_core.types import Frame

FrameInput: TypeAlias = npt.NDArray[Any] | Image.Image | torch.Tensor
"""One frame: an (H, W, 3) uint8 array, a PIL image of any mode, or an (H, W, 3) or (3, H, W) uint8 tensor."""

FramesInput: TypeAlias = FrameInput | Iterable[FrameInput]
"""One frame or many; an array or tensor of one more dimension is a batch."""

_PASS = "pass (height, width, 3) uint8 RGB arrays, PIL images, or uint8 tensors"


def to_frames(given: FramesInput) -> list[Frame]:
    """The frames of a call as arrays.

    Args:
        given: one frame or many, see ``FramesInput``. PIL images are converted to RGB as they are stored: an
            orientation in their metadata is not applied.

    Returns:
        (H, W, 3) uint8 RGB each.

    Raises:
        UsageError: something that is no frame, or of which it is not clear what is meant. One line that says what to
            pass.

    Example:
        >>> from PIL import Image
        >>> from clipomaly_core.frame_input import to_frames
        >>> [frame.shape for frame in to_frames(Image.new("L", (640, 360)))]
        [(360, 640, 3)]
    """
    if isinstance(given, Image.Image):
        return [_from_image(given)]
    if isinstance(given, np.ndarray | torch.Tensor):
        return _from_numbers(given)
    if isinstance(given, str | bytes | PathLike | dict) or not isinstance(given, Iterable):
        return [_one(given, "what was given")]
    return [_one(frame, f"frame {number}") for number, frame in enumerate(given)]


def _one(given: object, what: str) -> Frame:
    match given:
        case Image.Image():
            return _from_image(given)
        case np.ndarray() | torch.Tensor():
            frames = _from_numbers(given, what)
            if len(frames) != 1 or given.ndim != 3:
                raise UsageError(f"{what} has the shape {tuple(given.shape)}: pass a list of frames, or one batch.")
            return frames[0]
        case str() | PathLike():
            raise UsageError(f"{what} is a path: read the image first, with PIL.Image.open or clipomaly.read_frame.")
    raise UsageError(f"{what} is {'None' if given is None else f'of type {type(given).__name__}'}: {_PASS}.")


def _from_image(image: Image.Image) -> Frame:
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _from_numbers(given: npt.NDArray[Any] | torch.Tensor, what: str = "the array") -> list[Frame]:
    """The frames of an array or tensor of three or four dimensions."""
    is_tensor = isinstance(given, torch.Tensor)
    array: npt.NDArray[Any] = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else given
    if array.dtype != np.uint8:
        raise UsageError(f"{what} is {array.dtype}: pass uint8 from 0 to 255, such as (255 * x).astype('uint8').")
    if array.ndim not in (3, 4) or 0 in array.shape[-3:]:
        raise UsageError(f"{what} has the shape {array.shape}: {_PASS}.")
    batch = array[None] if array.ndim == 3 else array
    first, last = batch.shape[1], batch.shape[3]
    if last != 3 and first == 3 and is_tensor:
        batch = batch.transpose(0, 2, 3, 1)
    elif last == 4:
        raise UsageError(f"{what} has four channels: pass its RGB, such as frame[..., :3].")
    elif last != 3:
        raise UsageError(f"{what} has the shape {array.shape}: {_PASS}.")
    elif first == 3 and is_tensor:
        raise UsageError(f"{what} has the shape {array.shape}, with channels first or last: pass a NumPy array of it.")
    return [np.ascontiguousarray(frame) for frame in batch]
