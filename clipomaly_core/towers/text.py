"""The text tower of an open_clip model."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize

from clipomaly_core.errors import UsageError


class OpenClipText:
    """A ``TextTower``: the text tower and the tokenizer of an open_clip architecture."""

    def __init__(self, network: nn.Module, architecture: str, folder: Path) -> None:
        """
        Args:
            network: the whole CLIP.
            architecture: its open_clip name.
            folder: where its weights lie; a tokenizer of Hugging Face beside them is used instead of the hub's.

        Raises:
            UsageError: a tokenizer that needs a package or files that are not on this machine.
        """
        self._network = network
        self._tokenizer = _load_tokenizer(architecture, folder)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """See ``TextTower``."""
        return self._tokenizer(list(texts))

    def embed(self, tokens: Tensor) -> Tensor:
        """See ``TextTower``."""
        return encode_texts(self._network, tokens.to(next(self._network.parameters()).device))


def _load_tokenizer(architecture: str, folder: Path) -> Callable[[list[str]], Tensor]:
    text = (open_clip.get_model_config(architecture) or {}).get("text_cfg", {})
    if not (name := text.get("hf_tokenizer_name")):
        return lambda texts: _own_tokenizer(architecture)(texts)
    try:
        if any((folder / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json")):
            return HFTokenizer(
                str(folder),
                context_length=text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
                tokenizer_mode=text.get("tokenizer_mode"),
                **text.get("tokenizer_kwargs", {}),
            )
        return open_clip.get_tokenizer(architecture)
    except Exception as error:  # the package is missing, or its client cannot reach the hub: both raise many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise UsageError(
            f"{architecture} needs the tokenizer {name}: pip install 'clipomaly[huggingface]', and put tokenizer.json "
            f"beside the weights where the Hugging Face hub cannot be reached ({reason})."
        ) from error


@cache
def _own_tokenizer(architecture: str) -> Callable[[list[str]], Tensor]:
    """The tokenizer of open_clip: made when the first text comes, because most starts find all texts in the cache."""
    tokenizer: Callable[[list[str]], Tensor] = open_clip.get_tokenizer(architecture)
    return tokenizer


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
