"""What the method needs of a model. Each family of models has a module beside this one that provides it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn

Interpolation = Literal["bilinear", "bicubic", "area"]
"""How images are resized, always with antialiasing. ``area`` is that of ``nano``: frames bilinear, crops by area."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How the model's training resized and normalised its images.

    ``mean`` and ``std`` are three numbers each, of RGB in [0, 1]. ``image_size`` is (height, width) in pixels.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation
    image_size: tuple[int, int]


class ImageTower(Protocol):
    """Turns images into embeddings. Images are (B, 3, H, W) float, normalised as ``Preprocessing`` says."""

    @property
    def patch(self) -> int:
        """Pixels between two neighbouring places of the dense features. Heights and widths are multiples of it."""

    @property
    def embedding_dimension(self) -> int:
        """Length D of an embedding."""

    @property
    def attentions(self) -> tuple[str, ...]:
        """The values of the option ``attention`` that change the dense features; empty where none does."""

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """An embedding for each place.

        Args:
            images: (B, 3, H, W), H and W multiples of ``patch``, of any aspect ratio.
            attention: one of ``attentions``; a tower without attention variants ignores it.

        Returns:
            (B, H / patch, W / patch, D) float32, L2-normalised, in the space of the text embeddings.
        """

    def embed(self, images: Tensor) -> Tensor:
        """One embedding for each image: (B, 3, H, W) → (B, D) float32, L2-normalised."""


class TextTower(Protocol):
    """Turns texts into embeddings, in two steps so that texts of similar length can share a batch."""

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Texts → (N, L) int64 tokens on the CPU, padded with one repeated token."""

    def embed(self, tokens: Tensor) -> Tensor:
        """(N, L) int64 tokens → (N, D) float32, L2-normalised, on the device of the network."""


@dataclass(frozen=True, slots=True)
class Tower:
    """A model that is ready to run. ``network`` holds its parameters, for training and for saving."""

    image: ImageTower
    text: TextTower
    preprocessing: Preprocessing
    network: nn.Module
