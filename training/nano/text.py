"""Train the text tower of ``nano``.

Each word of the built-in vocabulary, in any template, is to lie at its concept's target; words of no concept are to
lie away from the known classes.
"""

import math
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy

from clipomaly_core.text import load_templates
from clipomaly_core.towers.text import encode_texts
from training.nano.concepts import Concepts, load_concepts
from training.nano.losses import SCALE
from training.nano.model import create_nano, read_checkpoint

_BATCH = 192
_STRANGERS = 48  # words of no concept a step
_BARE = 0.2  # share of texts without a template
_USUAL = 0.5  # share of the others with a template of those that scans use
_RATE = 2e-3
_PARTS = (0.22, 0.35, 0.35, 0.08)  # of the texts, for V, drawn kinds, all other names, and names near a kind


def vocabulary_words(concepts: Concepts) -> tuple[list[str], Tensor, Tensor]:
    """All words of all concepts, the row of each in ``text_targets``, and how often to draw it: see
    ``_PARTS``; within a part every concept counts by its number of words."""
    words, rows, weights = [], [], []
    row = 0
    groups = (concepts.known_words, concepts.kind_words, concepts.other_words, concepts.near_words)
    for group, part in zip(groups, _PARTS, strict=True):
        count = sum(map(len, group))
        for synonyms in group:
            # A name counts as much as all its synonyms.
            shares = [0.5, *[0.5 / max(1, len(synonyms) - 1)] * (len(synonyms) - 1)]
            for word, share in zip(synonyms, shares, strict=True):
                words.append(word)
                rows.append(row)
                weights.append(part * share * len(synonyms) / count)
            row += 1
    return words, torch.tensor(rows), torch.tensor(weights)


def text_targets(concepts: Concepts) -> Tensor:
    """(R, D) where the words of each row lie."""
    return torch.cat([concepts.known, concepts.kinds, concepts.others, concepts.near])


def strangers(known: set[str]) -> list[str]:
    """English words that are no word of the vocabulary: ImageNet's names and the tokenizer's whole words."""
    tokens = [token.removesuffix("</w>") for token in SimpleTokenizer().encoder if token.endswith("</w>")]
    every = [*open_clip.IMAGENET_CLASSNAMES, *(token for token in tokens if token.isascii() and token.isalpha())]
    return sorted({word.lower() for word in every if len(word) > 2} - known)


def train_text(seed: int, steps: int, start: Path | None = None, device: str = "cpu") -> dict[str, Tensor]:
    """Train from a seed, or from the text tower of a checkpoint; the weights of everything but the image tower."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    concepts = load_concepts().to(torch.device(device))
    targets = text_targets(concepts)
    words, rows, weights = vocabulary_words(concepts)
    others = strangers({word.lower() for word in words})
    usual, templates = load_templates("short"), sorted({*load_templates("short"), *load_templates("full")})
    model = (read_checkpoint(start).requires_grad_(True) if start else create_nano()).train().to(device)
    tokenizer = open_clip.get_tokenizer("nano")
    trained = {name: p for name, p in model.named_parameters() if not name.startswith("visual.")}
    optimizer = torch.optim.AdamW(trained.values(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)

    def phrase(word: str) -> str:
        if rng.random() < _BARE:
            return word
        choice = usual if rng.random() < _USUAL else templates
        return choice[int(rng.integers(len(choice)))].format(word)

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _RATE * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        drawn = torch.multinomial(weights, _BATCH, replacement=True)
        strange = rng.choice(len(others), _STRANGERS, replace=False)
        texts = [phrase(words[i]) for i in drawn.tolist()] + [phrase(others[i]) for i in strange]
        embeddings = encode_texts(model, tokenizer(texts).to(device))
        target = rows[drawn].to(device)
        cosines = embeddings @ targets.T
        named = cosines[:_BATCH]
        near = 1 - named.gather(1, target[:, None]).mean()
        apart = cosines[_BATCH:, : len(concepts.known)].amax(1).clamp(min=0.15).mean()
        loss = cross_entropy(SCALE * named, target) + 4 * near + apart
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if (step + 1) % 100 == 0:
            right = (named.argmax(1) == target).float().mean()
            print(f"step {step + 1}  loss {loss:.3f}  cosine {1 - near:.3f}  right {right:.3f}", flush=True)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(SCALE))
    return {name: value for name, value in model.state_dict().items() if not name.startswith("visual.")}
