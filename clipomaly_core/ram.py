"""Recognize Anything (RAM++, arXiv 2310.15200) as a tagger: the paper's source of candidate names.

Its package and weights are not part of this project and are loaded only when a model is asked to use them.
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clipomaly_core.errors import UsageError
from clipomaly_core.types import Frame, NameScore
from clipomaly_core.weights import fetch

_SIDE = 384
_INSTALL = (
    "candidates=ram needs the Recognize Anything package: install it with 'pip install -c constraints-ram.txt "
    "transformers fairscale git+https://github.com/xinyu1205/recognize-anything.git', or use candidates=clip-tagger"
)
_LAST_TRANSFORMERS = (4, 55)
"""The package imports names that later versions do not have."""


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
