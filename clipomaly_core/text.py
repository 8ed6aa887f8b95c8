"""Text embeddings: templates averaged, kept on disk because a large dictionary takes a while to embed."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from threading import get_ident

import open_clip
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

logger = logging.getLogger(__name__)

_BATCH = 512  # texts a forward pass


def load_templates(name: str) -> tuple[str, ...]:
    """The prompt templates ``short`` or ``full``; each holds one ``{}`` for the word."""
    text = (files("clipomaly_core") / "data" / "templates.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text)[name])


def encode_texts(network: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """The text tower without what comes after the longest text.

    Attention is causal and the end token is pooled, so the padding behind it changes nothing but the time: names in
    prompts are about ten tokens of 77. Towers of another kind go their own way.

    Args:
        network: the CLIP.
        tokens: (N, L) int64 of its tokenizer.

    Returns:
        (N, D) float32, L2-normalised.
    """
    if not isinstance(network, open_clip.CLIP) or network.attn_mask is None or network.text_pool_type != "argmax":
        return normalize(network.encode_text(tokens).float(), dim=-1)
    ends = tokens.argmax(dim=-1)  # the end token has the highest id
    length = int(ends.max()) + 1
    x = network.token_embedding(tokens[:, :length]) + network.positional_embedding[:length]
    x = network.ln_final(network.transformer(x, attn_mask=network.attn_mask[:length, :length]))
    pooled = x[torch.arange(len(x), device=x.device), ends]
    projection = network.text_projection
    embedded = projection(pooled) if isinstance(projection, torch.nn.Linear) else pooled @ projection
    return normalize(embedded.float(), dim=-1)


class TextEncoder:
    """Embeds words with one CLIP and one list of templates."""

    def __init__(
        self,
        network: open_clip.CLIP,
        architecture: str,
        weights_sha256: str,
        templates: Sequence[str],
        cache: Path,
    ) -> None:
        """``templates`` hold one ``{}`` each; embeddings are kept in a file under ``cache``, one a model,
        weights and templates."""
        self._network = network
        self._tokenizer = open_clip.get_tokenizer(architecture)
        self._templates = tuple(templates)
        key = hashlib.sha256(json.dumps([architecture, weights_sha256, self._templates]).encode()).hexdigest()
        self._file = cache / "text" / f"{key[:24]}.safetensors"
        self._known = self._read()

    def __call__(self, words: Sequence[str]) -> Tensor:
        """Embed words.

        Returns:
            (len(words), D) float32 on the network's device: per word the L2-normalised mean over templates
            of L2-normalised text embeddings (CLIP, section 3.1.4).
        """
        missing = sorted({word for word in words if word not in self._known})
        if missing:
            self._known.update(zip(missing, self._embed(missing).cpu(), strict=True))
            self._write()
        device = next(self._network.parameters()).device
        if not words:
            return torch.zeros(0, self._network.visual.output_dim, device=device)
        return torch.stack([self._known[word] for word in words]).to(device)

    @torch.inference_mode()
    def _embed(self, words: list[str]) -> Tensor:
        device = next(self._network.parameters()).device
        tokens = self._tokenizer([template.format(word) for word in words for template in self._templates])
        # Texts of like length go together: a batch takes as long as its longest.
        order = tokens.count_nonzero(dim=1).argsort()
        parts = [encode_texts(self._network, tokens[batch].to(device)) for batch in order.split(_BATCH)]
        embedded = torch.cat(parts)[order.argsort()].unflatten(0, (len(words), -1))
        return normalize(embedded.mean(1), dim=-1)

    def _read(self) -> dict[str, Tensor]:
        try:
            return load_file(self._file)
        except (OSError, SafetensorError):  # not there yet, or cut short when a disk was full: embed again
            return {}

    def _write(self) -> None:
        # Another process may write at the same time; each replaces the whole file, so a reader never sees half.
        partial = self._file.with_suffix(f".{os.getpid()}.{get_ident()}.partial")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            save_file(self._read() | self._known, partial)
            partial.replace(self._file)
        except (OSError, SafetensorError) as error:
            logger.warning("Text embeddings cannot be kept in %s (%s): the next start is slower.", self._file, error)
