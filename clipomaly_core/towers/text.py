"""The text tower of an open_clip model."""

from collections.abc import Sequence

import open_clip
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class OpenClipText:
    """A ``TextTower``: the text tower and the tokenizer of an open_clip architecture."""

    def __init__(self, network: nn.Module, architecture: str) -> None:
        """``network`` is the whole CLIP, ``architecture`` its open_clip name."""
        self._network = network
        self._tokenizer = open_clip.get_tokenizer(architecture)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """See ``TextTower``."""
        return self._tokenizer(list(texts))

    def embed(self, tokens: Tensor) -> Tensor:
        """See ``TextTower``."""
        return encode_texts(self._network, tokens.to(next(self._network.parameters()).device))


def encode_texts(network: nn.Module, tokens: Tensor) -> Tensor:
    """Embed texts without computing what follows the longest of them.

    Attention is causal and the end token is pooled, so the padding behind it costs time and changes nothing: names in
    prompts are about ten tokens of 77. Other kinds of text towers encode the whole length.

    Args:
        network: the CLIP.
        tokens: (N, L) int64 of its tokenizer.

    Returns:
        (N, D) float32, L2-normalised.
    """
    if not isinstance(network, open_clip.CLIP) or network.attn_mask is None or network.text_pool_type != "argmax":
        assert callable(network.encode_text)
        return normalize(network.encode_text(tokens).float(), dim=-1)
    ends = tokens.argmax(dim=-1)  # the end token has the highest number
    length = int(ends.max()) + 1
    x = network.token_embedding(tokens[:, :length]) + network.positional_embedding[:length]
    x = network.ln_final(network.transformer(x, attn_mask=network.attn_mask[:length, :length]))
    pooled = x[torch.arange(len(x), device=x.device), ends]
    projection = network.text_projection
    embedded = projection(pooled) if isinstance(projection, nn.Linear) else pooled @ projection
    return normalize(embedded.float(), dim=-1)
