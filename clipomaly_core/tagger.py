"""Taggers: choose the names that a frame is compared with, instead of the whole dictionary.

The package and the weights of Recognize Anything (RAM++, arXiv 2310.15200), the paper's source of candidate names, are
not part of this project. They are loaded only when a model is asked to use them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clipomaly_core.crops import square_crop
from clipomaly_core.dense import FrameEncoder
from clipomaly_core.errors import UsageError
from clipomaly_core.text import Prompts
from clipomaly_core.types import Frame, NameScore
from clipomaly_core.weights import fetch

_SIDE = 384
_INSTALL = (
    "candidates=ram needs the Recognize Anything package: install it with 'pip install -c constraints-ram.txt "
    "transformers fairscale git+https://github.com/xinyu1205/recognize-anything.git', or use candidates=clip-tagger"
)
_LAST_TRANSFORMERS = (4, 55)
"""The package imports names that later versions do not have."""


class Tagger(Protocol):
    """Names the things in an image."""

    def __call__(self, frames: Sequence[Frame], /) -> list[tuple[NameScore, ...]]:
        """Names with scores.

        Args:
            frames: (H, W, 3) uint8 RGB each.

        Returns:
            For each frame, names with a score in [0, 1], best first; none where it knows nothing. Any words may be
            given: those that known classes cover are left out later.
        """


@dataclass(frozen=True, slots=True)
class ClipTagger:
    """The built-in tagger: names of the dictionary that win some square of the frame.

    A CLIP tells what an image shows as a whole, not what is in its corner. So it embeds overlapping squares as high as
    the frame and half as high, and a name's score is its best probability among known classes and dictionary over all
    of them. What is much smaller than a quarter of the frame's height is easily missed.

    ``encoder`` embeds the squares; ``scale`` is the inverse temperature; ``most`` names are given a frame.
    """

    encoder: FrameEncoder
    known: Prompts
    candidates: Prompts
    names: tuple[str, ...]
    scale: float
    most: int

    def __call__(self, frames: Sequence[Frame], /) -> list[tuple[NameScore, ...]]:
        """See Tagger."""
        return [self._tags(frame) for frame in frames]

    def _tags(self, frame: Frame) -> tuple[NameScore, ...]:
        if not self.names:
            return ()
        size, interpolation = self.encoder.crop_size, self.encoder.interpolation
        crops = [square_crop(frame, corner, size, interpolation) for corner in squares(*frame.shape[:2])]
        views = self.encoder.crops(crops)
        cosines = torch.cat([self.known.cosines(views), self.candidates.cosines(views)], dim=1)
        probability = torch.softmax(self.scale * cosines, dim=1)[:, -len(self.names) :].amax(0)
        best = probability.topk(min(self.most, len(self.names)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return tuple(NameScore(self.names[index], score) for index, score in pairs)


def squares(height: int, width: int) -> list[tuple[int, int, int]]:
    """(left, top, side) of squares that cover a frame twice: as large as it allows, and half as large."""
    least = min(height, width)
    found = []
    for side in (least, max(least // 2, 1)):
        tops, lefts = (_starts(length, side) for length in (height, width))
        found += [(left, top, side) for top in tops for left in lefts]
    return found


def _starts(length: int, side: int) -> list[int]:
    count = 1 + -(-2 * (length - side) // side)  # neighbours share half of their side, or more
    return sorted({round(start) for start in np.linspace(0, length - side, count)})


def ram_trouble() -> str | None:
    """Why the Recognize Anything package cannot be used, in one line that says what to do; ``None`` where it can."""
    if find_spec("ram") is None:
        return f"{_INSTALL}."
    try:
        installed = version("transformers")
    except PackageNotFoundError:
        return f"{_INSTALL} (transformers is not installed)."
    numbers = tuple(int(part) for part in installed.split(".")[:2] if part.isdigit())
    if numbers > _LAST_TRANSFORMERS:
        return (
            f"The Recognize Anything package does not import with transformers {installed}: run pip install -c "
            "constraints-ram.txt transformers huggingface_hub tokenizers, in an environment of its own."
        )
    return None


class RecognizeAnything:
    """A ``Tagger``: the tags of RAM++ whose probability passes its own threshold for each."""

    def __init__(self, weights: str | None, device: torch.device) -> None:
        """
        Args:
            weights: path or fsspec URL of ``ram_plus_swin_large_14m.pth``.
            device: where it runs.

        Raises:
            UsageError: the package is not installed, or the weights are not those of RAM++.
            UserError: weights that cannot be read.
        """
        try:
            from ram import get_transform
            from ram.models import ram_plus
        except ImportError as error:
            raise UsageError(f"{_INSTALL} ({error}).") from error
        if weights is None:
            raise UsageError("candidates=ram needs weights: --set tagger_weights=ram_plus_swin_large_14m.pth.")
        path = fetch(weights)
        try:
            # Read with torch.load, which refuses to run what a file says unless it is told otherwise.
            network = ram_plus(pretrained=str(path), image_size=_SIDE, vit="swin_l")
        except Exception as error:  # whatever the package and its own downloads come up with
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise UsageError(
                f"{path} does not load as RAM++ ({reason}); give its weights with tagger_weights."
            ) from error
        self._network = network.eval().to(device)
        self._transform = get_transform(image_size=_SIDE)
        self._device = device

    @torch.inference_mode()
    def __call__(self, frames: Sequence[Frame], /) -> list[tuple[NameScore, ...]]:
        """See ``Tagger``."""
        images = torch.stack([self._transform(Image.fromarray(frame)) for frame in frames]).to(self._device)
        logits: list[Tensor] = []
        # The package says which tags pass, but not how clearly: the last layer does.
        hook = self._network.fc.register_forward_hook(lambda layer, given, made: logits.append(made[..., 0]))
        try:
            self._network.generate_tag(images)
        finally:
            hook.remove()
        probability = torch.sigmoid(logits[0].float()).cpu().numpy()
        passes = probability > self._network.class_threshold.cpu().numpy()
        tags = self._network.tag_list
        return [
            tuple(NameScore(str(tags[i]), float(row[i])) for i in np.argsort(-row, kind="stable") if passing[i])
            for row, passing in zip(probability, passes, strict=True)
        ]
