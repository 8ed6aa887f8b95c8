"""The model ``road`` as a CLIP: one embedding of three parts, so that one cosine compares them all.

An image's embedding is [nano's | meaning | look]. Meaning is a mean of sentence embeddings of class names, weighted by
how likely each class is (ConSE, arXiv 1312.5650). Look holds the frozen features themselves. A text's embedding is
[nano's | sentence embedding | 0]: words compare by the first two parts, and images with images by all three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, normalize

from clipomaly_core.towers.protocol import ImageTower, Preprocessing, TextTower, Tower
from clipomaly_core.towers.road.eye import Seen, class_logits, load_eye, see
from clipomaly_core.towers.road.packages import LOOK, MEAN, MEANING, STD
from clipomaly_core.towers.road.sentences import SentenceEncoder
from clipomaly_core.weights import NANO

SIZE = 224
"""Side of the crops."""
_NANO_SIDES = (352, 544)
"""Shorter sides at which nano looks at a frame: it was trained on drawings of the first size."""
_NANO_CROP = 96
_IMAGE = (0.2**0.5, 0.1**0.5, 0.7**0.5)
"""Weights of the parts of an image's embedding."""
_TEXT = ((2 / 3) ** 0.5, (1 / 3) ** 0.5)
"""Weights of the parts of a text's embedding: meaning counts half as much as nano in a cosine."""
_FINE = 0.7
"""Weight of the features at stride 16 beside those at stride 32."""
_SHARPNESS = 20.0
"""Inverse temperature of the softmax over the cosines to drawn kinds."""


@dataclass(frozen=True, slots=True)
class Prototypes:
    """What the head of ImageNet lacks: the mean look of drawn kinds and known classes, and their meaning.

    ``centre`` is (1280,), ``looks`` (K, 1280) and ``meanings`` (K, 384), the last two L2-normalised.
    """

    centre: Tensor
    looks: Tensor
    meanings: Tensor


class RoadNetwork(nn.Module):
    """All parameters of the model: nano, the eye, and the meaning of the eye's classes."""

    classes: Tensor
    centre: Tensor
    looks: Tensor
    meanings: Tensor

    def __init__(self, nano: nn.Module, eye: nn.Module, classes: Tensor, prototypes: Prototypes) -> None:
        """``classes`` (1000, 384): the L2-normalised sentence embeddings of the classes of ImageNet."""
        super().__init__()
        self.nano = nano
        self.eye = eye
        self.register_buffer("classes", classes)
        for name in ("centre", "looks", "meanings"):
            self.register_buffer(name, getattr(prototypes, name))


@dataclass(frozen=True, slots=True)
class RoadImage:
    """An ``ImageTower``. Images are normalised for the eye."""

    network: RoadNetwork
    nano: ImageTower
    nano_mean: tuple[float, ...]
    nano_std: tuple[float, ...]

    @property
    def patch(self) -> int:
        """See ``ImageTower``."""
        return self.nano.patch

    @property
    def embedding_dimension(self) -> int:
        """See ``ImageTower``."""
        return self.nano.embedding_dimension + MEANING + LOOK

    @property
    def attentions(self) -> tuple[str, ...]:
        """See ``ImageTower``."""
        return self.nano.attentions

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        grid = (images.shape[-2] // self.patch, images.shape[-1] // self.patch)
        seen = see(self.network.eye, images)
        meaning = self._meaning(seen.top.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        near = avg_pool2d(seen.fine, 3, stride=1, padding=1, count_include_pad=False)
        parts = (self._nano_dense(images, attention, grid), meaning, _look(seen.coarse, near, grid))
        return _joined([_on_grid(part, grid) for part in parts], _IMAGE, dim=1).permute(0, 2, 3, 1)

    def embed(self, images: Tensor) -> Tensor:
        """See ``ImageTower``."""
        seen = see(self.network.eye, images)
        pooled = Seen(*(part.mean((2, 3), keepdim=True) for part in (seen.fine, seen.coarse, seen.top)))
        top = pooled.top.flatten(1)
        named = normalize(self._meaning(top) + self._drawn_meaning(top), dim=-1)
        look = _look(pooled.coarse, pooled.fine, (1, 1)).flatten(1)
        nano = self.nano.embed(self._for_nano(images, (_NANO_CROP, _NANO_CROP)))
        return _joined([nano, named, look], _IMAGE, dim=1)

    def _meaning(self, top: Tensor) -> Tensor:
        """(…, 1280) → (…, 384), L2-normalised."""
        likely = class_logits(self.network.eye, top).float().softmax(-1)
        return normalize(likely @ self.network.classes, dim=-1)

    def _drawn_meaning(self, top: Tensor) -> Tensor:
        """(B, 1280) → (B, 384), L2-normalised."""
        cosines = normalize(top.float() - self.network.centre, dim=-1) @ self.network.looks.T
        return normalize((_SHARPNESS * cosines).softmax(-1) @ self.network.meanings, dim=-1)

    def _nano_dense(self, images: Tensor, attention: str, grid: tuple[int, int]) -> Tensor:
        """The sum of nano's features at its two sizes: (B, D, h, w)."""
        total: Tensor | None = None
        for side in _NANO_SIDES:
            scale = side / _NANO_SIDES[-1]
            size = tuple(max(1, round(cells * scale)) * self.patch for cells in grid)
            features = self.nano.dense(self._for_nano(images, (size[0], size[1])), attention)
            placed = _on_grid(features.permute(0, 3, 1, 2), grid)
            total = placed if total is None else total + placed
        assert total is not None
        return total

    def _for_nano(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """Resized, and normalised as nano takes it."""
        if images.shape[-2:] != size:
            images = interpolate(images, size=size, mode="bilinear", antialias=True)
        mean, std, own_mean, own_std = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (MEAN, STD, self.nano_mean, self.nano_std)
        )
        return (images * std + mean - own_mean) / own_std


@dataclass(frozen=True, slots=True)
class RoadText:
    """A ``TextTower``. Tokens are nano's, then those of the sentence encoder."""

    nano: TextTower
    sentences: SentenceEncoder
    context: int

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """See ``TextTower``."""
        return torch.cat([self.nano.tokenize(texts), torch.from_numpy(self.sentences.tokenize(texts))], dim=1)

    def embed(self, tokens: Tensor) -> Tensor:
        """See ``TextTower``."""
        nano = self.nano.embed(tokens[:, : self.context])
        meaning = torch.from_numpy(self.sentences.embed(tokens[:, self.context :].cpu().numpy())).to(nano.device)
        joined = _joined([nano, meaning], _TEXT, dim=1)
        return torch.cat([joined, joined.new_zeros(len(joined), LOOK)], dim=1)


def _look(coarse: Tensor, fine: Tensor, grid: tuple[int, int]) -> Tensor:
    """The frozen features of two strides on one grid: (B, 472, h, w)."""
    return torch.cat([normalize(_on_grid(coarse, grid), dim=1), _FINE * normalize(_on_grid(fine, grid), dim=1)], dim=1)


def _on_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, C, h, w) on another grid."""
    if tuple(features.shape[-2:]) == grid:
        return features
    return interpolate(features, size=grid, mode="bilinear", align_corners=False)


def _joined(parts: Sequence[Tensor], weights: Sequence[float], dim: int) -> Tensor:
    """Parts behind each other, each of its weight; the whole has length 1."""
    scaled = [weight * normalize(part.float(), dim=dim) for part, weight in zip(parts, weights, strict=True)]
    return torch.cat(scaled, dim=dim)


def load_road(path: Path, nano: Tower, device: torch.device) -> Tower:
    """Build the model on a device, in float32 and evaluation mode, without gradients.

    Args:
        path: of ``road.safetensors``, what was made for the model by ``training.road``.
        nano: the model ``nano`` on the device, of which road takes a part.
        device: where it runs; the sentence encoder stays on the CPU.

    Raises:
        UserError: a package with weights is missing or holds another file.
    """
    own = {name: value.float() for name, value in load_file(path).items()}
    prototypes = Prototypes(own["centre"], own["looks"], own["meanings"])
    assert isinstance(nano.network, open_clip.CLIP)
    network = RoadNetwork(nano.network, load_eye(), own["classes"], prototypes)
    mean, std = nano.preprocessing.mean, nano.preprocessing.std
    return Tower(
        image=RoadImage(network.to(device).eval().requires_grad_(False), nano.image, mean, std),
        text=road_text(nano.text),
        preprocessing=Preprocessing(mean=MEAN, std=STD, interpolation="bilinear", image_size=(SIZE, SIZE)),
        network=network,
    )


def road_text(nano: TextTower) -> RoadText:
    """The text tower, of that of nano. Raises UserError as ``load_road``."""
    return RoadText(nano, SentenceEncoder(), (open_clip.get_model_config(NANO) or {})["text_cfg"]["context_length"])
