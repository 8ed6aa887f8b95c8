"""What the classes of ImageNet mean, as sentence embeddings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import yaml
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.towers.road.sentences import SentenceEncoder

CLASSES = 1000
_OWN = 0.5
"""Weight of ImageNet's own words beside the names of ``imagenet.yaml``."""


def meaning(sentences: SentenceEncoder, words: Sequence[str]) -> Tensor:
    """What several words for one thing mean, the mean of their embeddings: (384,) float32, L2-normalised."""
    return normalize(torch.from_numpy(sentences.embed(sentences.tokenize(words))).mean(0), dim=0)


def class_meanings(sentences: SentenceEncoder) -> Tensor:
    """(1000, 384) float32, L2-normalised: what each class of ImageNet means on a road."""
    facts = ImageNetInfo()
    listed = listed_names(yaml.safe_load((Path(__file__).parent / "imagenet.yaml").read_text(encoding="utf-8")))
    rows = []
    for index in range(CLASSES):
        own = meaning(sentences, [word.strip() for word in facts.index_to_description(index).split(",")])
        names = listed.get(index)
        rows.append(normalize(meaning(sentences, names) + _OWN * own, dim=0) if names else own)
    return torch.stack(rows)


def listed_names(groups: Mapping[str, Mapping[str, Sequence[int | str]]]) -> dict[int, list[str]]:
    """For the number of each listed class its names: known classes and names of the dictionary."""
    names: dict[int, list[str]] = {}
    for group in groups.values():
        for name, classes in group.items():
            for number in _numbers(classes):
                names.setdefault(number, []).append(name)
    return names


def _numbers(classes: Sequence[int | str]) -> Iterator[int]:
    for item in classes:
        first, _, last = str(item).partition("-")
        yield from range(int(first), int(last or first) + 1)
