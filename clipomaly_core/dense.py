"""From frames and crops to embeddings: what people pass as frames, how it is resized, and dense features of whole
frames or of sliding windows, from any image tower.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.options import Options
from clipomaly_core.towers.attention import ATTENTIONS
from clipomaly_core.towers.families import image_tower
from clipomaly_core.towers.protocol import ImageTower, Interpolation, Tower
from clipomaly_core.types import Frame

_LONGEST = 6
"""The longer side of a frame is at most so many times the shorter one. Narrower frames are squeezed."""
_CROPS = 64
"""Crops in one forward pass."""
FrameInput: TypeAlias = npt.NDArray[Any] | Image.Image | torch.Tensor
"""One frame: an (H, W, 3) uint8 array, a PIL image of any mode, or an (H, W, 3) or (3, H, W) uint8 tensor."""

FramesInput: TypeAlias = FrameInput | Iterable[FrameInput]
"""One frame or many; an array or tensor of one more dimension is a batch."""

_PASS = "pass (height, width, 3) uint8 RGB arrays, PIL images, or uint8 tensors"


def dense_features(
    visual: nn.Module | ImageTower,
    images: Tensor,
    attention: str = "naclip",
    window: int | None = None,
    stride: int | None = None,
) -> Tensor:
    """Patch embeddings in the space of the text embeddings.

    Args:
        visual: an image tower, or the module ``visual`` of an open_clip model, with patch size p and embedding
            length D.
        images: (B, 3, H, W) float, normalised with the model's mean and standard deviation. H and W are multiples
            of p, of any aspect ratio.
        attention: how the last block mixes values, see ``clipomaly_core.towers.attention``.
        window: side in pixels (a multiple of p) of square sliding windows; the whole frame when ``None``. All
            windows of all images go through in one forward pass, and overlaps are averaged.
        stride: pixels between windows, half a window when ``None``.

    Returns:
        (B, H/p, W/p, D) float32, L2-normalised.

    Raises:
        UserError: a size, window or stride that is no multiple of p, an unknown attention, or a tower that has no
            dense features.

    Example:
        >>> import open_clip, torch
        >>> visual = open_clip.create_model("ViT-B-32").visual.eval()
        >>> with torch.inference_mode():
        ...     dense_features(visual, torch.zeros(1, 3, 64, 128)).shape
        torch.Size([1, 2, 4, 512])
    """
    tower = image_tower(visual) if isinstance(visual, nn.Module) else visual
    patch = tower.patch
    if attention not in ATTENTIONS:
        raise UserError(f"Unknown attention {attention!r}: use one of {', '.join(ATTENTIONS)}.")
    height, width = images.shape[-2:]
    if height % patch or width % patch or min(height, width) < patch:
        raise UserError(f"Images of {width}x{height} pixels do not divide into patches of {patch}.")
    if window is None or (window >= height and window >= width):
        return tower.dense(images, attention)
    stride = stride or window // 2 // patch * patch
    if window % patch or stride % patch or not 0 < stride <= window:
        raise UserError(
            f"Window {window} and stride {stride} must be multiples of the patch size {patch}, stride <= window."
        )
    return _windows(tower, images, attention, window, stride)


def _windows(tower: ImageTower, images: Tensor, attention: str, window: int, stride: int) -> Tensor:
    patch = tower.patch
    height, width = images.shape[-2:]
    size = (min(window, height), min(window, width))
    corners = [(top, left) for top in _starts(height, size[0], stride) for left in _starts(width, size[1], stride)]
    crops = torch.cat([images[:, :, top : top + size[0], left : left + size[1]] for top, left in corners])
    features = tower.dense(crops, attention).unflatten(0, (len(corners), len(images)))
    total = features.new_zeros(len(images), height // patch, width // patch, features.shape[-1])
    for (top, left), part in zip(corners, features, strict=True):
        rows = slice(top // patch, (top + size[0]) // patch)
        columns = slice(left // patch, (left + size[1]) // patch)
        total[:, rows, columns] += part
    # The mean and the sum of unit vectors have the same direction.
    return normalize(total, dim=-1)


def _starts(length: int, window: int, stride: int) -> list[int]:
    starts = list(range(0, length - window + 1, stride))
    # The last window ends with the image, so that every patch is covered.
    return starts if starts[-1] + window == length else [*starts, length - window]


class FrameEncoder:
    """Resizes and normalises images, and runs the image tower on them."""

    def __init__(self, tower: Tower, options: Options, device: torch.device) -> None:
        """``options``: attention, window, stride, short_side, scales, crop_size and precision are read."""
        self._tower = tower
        self._options = options
        self._device = device
        self._mean = torch.tensor(tower.preprocessing.mean, device=device)[:, None, None]
        self._std = torch.tensor(tower.preprocessing.std, device=device)[:, None, None]

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels: the option, or else the size of the training's images."""
        return self._options.crop_size or max(self._tower.preprocessing.image_size)

    @property
    def interpolation(self) -> Interpolation:
        """How the model wants its images resized."""
        return self._tower.preprocessing.interpolation

    def dense(self, frames: Sequence[Frame]) -> Tensor:
        """Dense features, averaged over the scales.

        Args:
            frames: (H, W, 3) uint8 RGB, all of one size.

        Returns:
            (B, h, w, D) float32, L2-normalised, on the grid of the largest scale; gradients flow through.
        """
        pixels = self.pixels(frames)
        if pixels.device.type != "cpu":  # only the CPU's kernels of interpolate take bytes
            pixels = pixels.float()
        scaled = [self._at_scale(pixels, scale) for scale in self._options.scales]
        finest = max(scaled, key=lambda features: features.shape[1])
        if len(scaled) == 1:
            return finest
        total = finest
        for features in scaled:
            if features is not finest:
                channels_first = features.permute(0, 3, 1, 2)
                enlarged = interpolate(channels_first, size=finest.shape[1:3], mode="bilinear")
                total = total + enlarged.permute(0, 2, 3, 1)
        return normalize(total, dim=-1)

    def crops(self, crops: Sequence[Frame]) -> Tensor:
        """Embeddings of (S, S, 3) uint8 RGB crops of one size: (n, D) float32, L2-normalised."""
        parts = []
        with autocast(self._options.precision, self._device):
            for start in range(0, len(crops), _CROPS):
                pixels = self.normalise(self.pixels(crops[start : start + _CROPS]))
                parts.append(self._tower.image.embed(pixels))
        return torch.cat(parts)

    def working_size(self, height: int, width: int, scale: float = 1.0) -> tuple[int, int]:
        """The (height, width) in pixels, multiples of the patch size, at which frames of a size are encoded."""
        patch = self._tower.image.patch
        short_side = scale * self._options.short_side
        shrink = short_side / min(height, width)
        most = int(_LONGEST * short_side) // patch
        rows, columns = (max(1, min(most, round(side * shrink / patch))) for side in (height, width))
        return rows * patch, columns * patch

    def frame_pixels(self, height: int, width: int) -> int:
        """How many pixels go into the network for a frame of a size, all scales together."""
        return sum(math.prod(self.working_size(height, width, scale)) for scale in self._options.scales)

    def pixels(self, images: Sequence[Frame]) -> Tensor:
        """Images of one size on the device: (B, 3, H, W) uint8."""
        pixels = torch.from_numpy(np.stack(images))
        if self._device.type == "cuda":  # from pinned memory the copy runs while this thread goes on
            pixels = pixels.pin_memory()
        return pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0 to 255 → float32 as the tower takes it."""
        return (pixels.float() / 255 - self._mean) / self._std

    def _at_scale(self, pixels: Tensor, scale: float) -> Tensor:
        options = self._options
        size = self.working_size(pixels.shape[-2], pixels.shape[-1], scale)
        mode = "bicubic" if self.interpolation == "bicubic" else "bilinear"
        resized = self.normalise(interpolate(pixels, size=size, mode=mode, antialias=True).clamp(0, 255))
        with autocast(options.precision, self._device):
            return dense_features(self._tower.image, resized, options.attention, options.window, options.stride)


def choose_device(device: str) -> torch.device:
    """The torch device for ``auto`` or a device's name.

    Raises:
        UserError: a device that this machine does not have.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"Device {device!r} is not on this machine; use --device auto or cpu.") from error
    return chosen


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The precision of ``Options.precision``, for what runs inside this block."""
    bfloat16 = precision == "bfloat16" or (precision == "auto" and device.type != "cpu")
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


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
        >>> from clipomaly_core.dense import to_frames
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
