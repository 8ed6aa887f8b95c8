"""Fine-tuning a CLIP for segmentation on the known classes: what is trained, on which loss, one step at a time.

The paper's CLIP is fine-tuned on the known classes; how is not stated. Here the attention of the last blocks and the
position embedding learn, which is what CAT-Seg (arXiv 2303.11797) found to keep a CLIP's open vocabulary. The text
tower does not change, so every name keeps its embedding.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import cross_entropy

from clipomaly_core.clipomaly import Clipomaly
from clipomaly_core.errors import UsageError
from clipomaly_core.towers.vit import OpenClipViT
from clipomaly_core.types import Frame

VOID = 255
LabelMap = npt.NDArray[np.uint8]
_WARM_UP = 0.05
"""Share of the steps in which the learning rate rises."""
_CLIP = 1.0
"""Greatest norm of a step's gradient, so that one unusual image changes little."""


class FineTuner:
    """A model in training. Each step changes ``model`` itself, which can be used as usual between steps."""

    def __init__(
        self, model: Clipomaly, blocks: int, learning_rate: float, steps: int, class_weights: npt.NDArray[np.float32]
    ) -> None:
        """
        Args:
            model: its known classes are the classes of the label maps.
            blocks: the attention of so many last blocks is trained, and the position embedding.
            learning_rate: the greatest; it rises at first and falls to zero along a cosine.
            steps: how many there will be.
            class_weights: (C,) float32, what a pixel of each class counts in the loss, see ``balanced_weights``.

        Raises:
            UsageError: more blocks than the image tower has, or a tower that cannot be fine-tuned.
        """
        self._model = model
        self._steps = steps
        self._learning_rate = learning_rate
        self._weights = class_weights
        self._trained = dict(trainable(model, blocks))
        for parameter in self._trained.values():
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.AdamW(self._trained.values(), lr=learning_rate, weight_decay=0.0)
        self.step_count = 0

    def step(self, frames: Sequence[Frame], labels: Sequence[LabelMap]) -> float:
        """Learn from a batch.

        Args:
            frames: (H, W, 3) uint8 RGB each; those of one size go through together.
            labels: (H, W) uint8 each, a known class or 255 for void.

        Returns:
            The loss before the step; 0 where everything is void.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * _schedule(self.step_count, self._steps)
        self._optimizer.zero_grad()
        counted = max(sum(self._weight_of(label) for label in labels), 1e-9)
        total = 0.0
        pairs = sorted(zip(frames, labels, strict=True), key=lambda pair: pair[0].shape)
        for _, same in groupby(pairs, key=lambda pair: pair[0].shape):
            same_size = list(same)
            share = sum(self._weight_of(label) for _, label in same_size) / counted
            cosines = self._model.known_cosines([frame for frame, _ in same_size])
            targets = np.stack([shrink(label, cosines.shape[-2:]) for _, label in same_size])
            weights = torch.from_numpy(self._weights).to(cosines.device)
            loss = share * dense_loss(cosines, torch.from_numpy(targets), weights, self._model.options.logit_scale)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self._trained.values(), _CLIP)
        self._optimizer.step()
        self.step_count += 1
        return total

    def _weight_of(self, label: LabelMap) -> float:
        return float(self._weights @ count_classes(label, len(self._weights)))

    def state(self) -> dict[str, object]:
        """All that ``restore`` needs, as tensors and plain values."""
        return {
            "step": self.step_count,
            "trained": {name: parameter.detach().cpu() for name, parameter in self._trained.items()},
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on where ``state`` was taken, with the same model and arguments."""
        step, trained, optimizer = state["step"], state["trained"], state["optimizer"]
        assert isinstance(step, int) and isinstance(trained, dict) and isinstance(optimizer, dict)
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(trained[name])
        self._optimizer.load_state_dict(optimizer)
        self.step_count = step


def trainable(model: Clipomaly, blocks: int) -> Iterator[tuple[str, Parameter]]:
    """The parameters that learn, by their names in the checkpoint: attention of the last blocks, and position."""
    tower = model.tower.image
    if not isinstance(tower, OpenClipViT):
        raise UsageError(f"{model.name} cannot be fine-tuned: only open_clip's own ViTs can, such as ViT-B-16.")
    visual = tower.visual
    layers = visual.transformer.resblocks
    if not 0 < blocks <= len(layers):
        raise UsageError(
            f"--blocks {blocks}: the image tower of {model.name} has {len(layers)} blocks; give 1 or more."
        )
    yield "visual.positional_embedding", visual.positional_embedding
    for number in range(len(layers) - blocks, len(layers)):
        for name, parameter in layers[number].attn.named_parameters():
            yield f"visual.transformer.resblocks.{number}.attn.{name}", parameter


def dense_loss(cosines: Tensor, labels: Tensor, class_weights: Tensor, scale: float) -> Tensor:
    """Cross-entropy over the text embeddings of the known classes, its weighted mean over all places that are not void.

    Args:
        cosines: (B, C, h, w) float32.
        labels: (B, h, w) uint8, 255 for void.
        class_weights: (C,) float32.
        scale: the logit scale.
    """
    targets = labels.to(cosines.device, torch.int64)
    total = cross_entropy(scale * cosines.float(), targets, class_weights, ignore_index=VOID, reduction="sum")
    return total / class_weights[targets[targets != VOID]].sum().clamp(min=1e-9)


def count_classes(label: LabelMap, classes: int) -> npt.NDArray[np.int64]:
    """How many pixels a label map has of each known class."""
    return np.bincount(label.ravel(), minlength=256)[:classes]


def balanced_weights(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The weight of a pixel of each class: the inverse root of how frequent the class is, on average 1 a pixel.

    With equal weights road and sky dominate the loss, and thin or rare classes are never learned.

    Args:
        counts: (C,) pixels of each class in the training frames; a class that has none counts 0.
    """
    share = counts / max(int(counts.sum()), 1)
    weights = np.divide(1, np.sqrt(share), out=np.zeros(len(counts)), where=share > 0)
    return (weights / max(float(weights @ share), 1e-9)).astype(np.float32)


def shrink(label: LabelMap, size: Sequence[int]) -> LabelMap:
    """A label map at the (height, width) of the cosines; each place has the label of its middle."""
    return np.asarray(cv2.resize(label, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def _schedule(step: int, steps: int) -> float:
    warm = max(1, round(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1)))
