"""Names as rows of text embeddings: averaged over templates, a class as near as the nearest of its synonyms.

Embeddings are cached on disk because a large dictionary takes minutes to embed.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import get_ident
from typing import TypeVar

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.timing import SlowStart
from clipomaly_core.towers.protocol import TextTower

logger = logging.getLogger("clipomaly.method")

_BATCH = 512
"""Texts in one forward pass."""
_WORDS = 256
"""Words that are embedded before the cache is written."""
_GROWTH = 0.25
"""Share by which the cache has grown when it is written again: it is one file, and has many parts."""
_EMBEDDINGS, _WORDS_KEY = "embeddings", "words"
"""What a file of the cache holds: a tensor with a row a word, and in its metadata the words, as a JSON list."""
T = TypeVar("T")


def load_templates(name: str) -> tuple[str, ...]:
    """The prompt templates ``short`` or ``full``; each holds one ``{}`` for the word."""
    text = (files("clipomaly_core") / "data" / "templates.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text)[name])


class TextEncoder:
    """Embeds words with one CLIP and one list of templates."""

    def __init__(
        self,
        tower: TextTower,
        dimension: int,
        device: torch.device,
        architecture: str,
        weights_sha256: str,
        templates: Sequence[str],
        cache: Path,
    ) -> None:
        """
        Args:
            tower: the text tower of the model.
            dimension: length D of its embeddings.
            device: where they are given.
            architecture: its name, part of the key under which embeddings are cached.
            weights_sha256: its weights, part of the key too.
            templates: sentences with one ``{}`` each, part of the key too.
            cache: folder of the cache, which has one file for each key.
        """
        self._text, self._dimension, self._device = tower, dimension, device
        self._templates = tuple(templates)
        key = hashlib.sha256(json.dumps([architecture, weights_sha256, self._templates]).encode()).hexdigest()
        self._older_file = cache / "text" / f"{key[:24]}.safetensors"
        self._file = self._older_file.with_suffix(".words.safetensors")
        self._known = self._read()

    def __call__(self, words: Sequence[str]) -> Tensor:
        """Embed words.

        Returns:
            (len(words), D) float32 on the model's device: for each word the L2-normalised mean over templates of
            L2-normalised text embeddings (CLIP, section 3.1.4).
        """
        missing = sorted({word for word in words if word not in self._known})
        progress = SlowStart("embedding names, once for this model", len(missing))
        unsaved = 0
        for start in range(0, len(missing), _WORDS):
            part = missing[start : start + _WORDS]
            self._known.update(zip(part, self._embed(part).cpu(), strict=True))
            done = start + len(part)
            unsaved += len(part)
            if unsaved >= _GROWTH * len(self._known) or done == len(missing):
                self._write()  # so that an interrupted start goes on from there
                unsaved = 0
            progress.done(done)
        if not words:
            return torch.zeros(0, self._dimension, device=self._device)
        return torch.stack([self._known[word] for word in words]).to(self._device)

    @torch.inference_mode()
    def _embed(self, words: list[str]) -> Tensor:
        tokens = self._text.tokenize([template.format(word) for word in words for template in self._templates])
        # Texts of similar length share a batch, because a batch takes as long as its longest text.
        order = tokens.count_nonzero(dim=1).argsort()
        parts = [self._text.embed(tokens[batch]) for batch in order.split(_BATCH)]
        embedded = torch.cat(parts)[order.argsort()].unflatten(0, (len(words), -1))
        return normalize(embedded.mean(1), dim=-1)

    def _read(self) -> dict[str, Tensor]:
        try:
            with safe_open(self._file, "pt") as file:
                words = json.loads(file.metadata()[_WORDS_KEY])
                return dict(zip(words, file.get_tensor(_EMBEDDINGS).unbind(), strict=True))
        except FileNotFoundError:
            return self._read_older()
        except (OSError, SafetensorError, TypeError, KeyError, ValueError):  # damaged, or foreign: embed again
            return {}

    def _read_older(self) -> dict[str, Tensor]:
        """The cache as version 0.1 wrote it: a tensor for each word, which takes ten times as long to read."""
        try:
            return load_file(self._older_file)
        except (OSError, SafetensorError):
            return {}

    def _write(self) -> None:
        # Another process may write at the same time. Each replaces the whole file, so a reader never sees half of one.
        partial = self._file.with_suffix(f".{os.getpid()}.{get_ident()}.partial")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            every = self._read() | self._known
            save_file({_EMBEDDINGS: torch.stack([*every.values()])}, partial, {_WORDS_KEY: json.dumps([*every])})
            partial.replace(self._file)
        except (OSError, SafetensorError) as error:
            logger.warning("Text embeddings cannot be cached in %s (%s): the next start is slower.", self._file, error)


@dataclass(frozen=True, slots=True)
class Prompts:
    """N names, each with one or more embeddings.

    ``embeddings`` is (P, D) float32, L2-normalised: first a row for each name, then one for each that has a second
    word, then a third, and so on; ``further`` holds for each of these later rounds the (n,) int64 numbers of its names,
    and ``rows`` for each name the rows of its words. All embeddings are zero from column ``width`` on: in a tower whose
    images have parts that no text has.
    """

    embeddings: Tensor
    further: tuple[Tensor, ...]
    rows: tuple[tuple[int, ...], ...]
    width: int

    @property
    def names(self) -> Tensor:
        """The embeddings of the names proper: (N, D)."""
        return self.embeddings[: len(self.rows)]

    def cosines(self, features: Tensor) -> Tensor:
        """Cosine to each name: (…, D) L2-normalised features → (…, N) in [-1, 1], in the features' precision."""
        every = features[..., : self.width] @ self.embeddings[:, : self.width].T.to(features.dtype)
        if not self.further:
            return every
        first, *rounds = every.split([len(self.rows), *map(len, self.further)], dim=-1)
        best = first.clone()  # changed below, where gradients may need what it was
        for names, cosines in zip(self.further, rounds, strict=True):
            best[..., names] = torch.maximum(best[..., names], cosines)
        return best

    def words(self) -> "Prompts":
        """Every word as a name of its own, in the order of ``embeddings``."""
        return arrange(self.embeddings, [[row] for row in range(len(self.embeddings))])

    def of(self, names: Sequence[int]) -> "Prompts":
        """Some of the names, by their number."""
        own = [self.rows[name] for name in names]
        rows = torch.tensor([row for _, row in _by_rounds(own)], dtype=torch.int64)
        return arrange(self.embeddings[rows.to(self.embeddings.device)], own)


def make_prompts(encoder: TextEncoder, names: Sequence[Sequence[str]]) -> Prompts:
    """Embed names given as lists of synonyms, the name itself first."""
    return arrange(encoder([word for _, word in _by_rounds(names)]), names)


def _by_rounds(words: Sequence[Sequence[T]]) -> Iterator[tuple[int, T]]:
    """The number of each name with its first word, then of those that have one with the second, and so on."""
    for number in range(max(map(len, words), default=0)):
        yield from ((name, own[number]) for name, own in enumerate(words) if number < len(own))


def arrange(embeddings: Tensor, words: Sequence[Sequence[object]]) -> Prompts:
    """Names from (P, D) L2-normalised embeddings of their words, which come as ``Prompts`` says."""
    rows: list[list[int]] = [[] for _ in words]
    further: list[list[int]] = []
    for row, (name, _) in enumerate(_by_rounds(words)):
        rows[name].append(row)
        if len(rows[name]) > 1 + len(further):
            further.append([])
        if len(rows[name]) > 1:
            further[-1].append(name)
    rounds = tuple(torch.tensor(names, device=embeddings.device) for names in further)
    used = embeddings.any(0).nonzero().flatten().tolist()
    return Prompts(embeddings, rounds, tuple(map(tuple, rows)), used[-1] + 1 if used else 0)
