"""Train the text tower of ``nano``: ``python -m training.nano.text --seed 0 --steps 1500 --out FILE``.

Each word of the built-in vocabulary, in any template, is to lie at its concept's target; words of no concept are to
lie away from the known classes.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy

from clipomaly_core.text import encode_texts, load_templates
from training.nano.concepts import Concepts, load_concepts
from training.nano.losses import SCALE
from training.nano.model import create_nano

_BATCH = 192
_STRANGERS = 48  # words of no concept a step
_BARE = 0.3  # share of texts without a template
_RATE = 2e-3


def vocabulary_words(concepts: Concepts) -> tuple[list[str], Tensor, Tensor]:
    """All words of all concepts, the row of each in the targets, and how often to draw it: V and drawn kinds are
    a third each, however few words they have."""
    words, rows, weights = [], [], []
    row = 0
    for group in (concepts.known_words, concepts.kind_words, concepts.other_words):
        count = sum(map(len, group))
        for synonyms in group:
            # A name counts as much as all its synonyms.
            shares = [0.5, *[0.5 / max(1, len(synonyms) - 1)] * (len(synonyms) - 1)]
            for word, share in zip(synonyms, shares, strict=True):
                words.append(word)
                rows.append(row)
                weights.append(share * len(synonyms) / count)
            row += 1
    return words, torch.tensor(rows), torch.tensor(weights)


def strangers(known: set[str]) -> list[str]:
    """English words that are no word of the vocabulary: ImageNet's names and the tokenizer's whole words."""
    tokens = [token.removesuffix("</w>") for token in SimpleTokenizer().encoder if token.endswith("</w>")]
    every = [*open_clip.IMAGENET_CLASSNAMES, *(token for token in tokens if token.isascii() and token.isalpha())]
    return sorted({word.lower() for word in every if len(word) > 2} - known)


def train_text(seed: int, steps: int) -> dict[str, Tensor]:
    """Train from a seed; the weights of everything but the image tower."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    concepts = load_concepts()
    targets = torch.cat([concepts.known, concepts.kinds, concepts.others])
    words, rows, weights = vocabulary_words(concepts)
    others = strangers({word.lower() for word in words})
    templates = sorted({*load_templates("short"), *load_templates("full")})
    model = create_nano().train()
    tokenizer = open_clip.get_tokenizer("nano")
    trained = {name: p for name, p in model.named_parameters() if not name.startswith("visual.")}
    optimizer = torch.optim.AdamW(trained.values(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.0)

    def phrase(word: str) -> str:
        return word if rng.random() < _BARE else templates[int(rng.integers(len(templates)))].format(word)

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _RATE * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
        drawn = torch.multinomial(weights, _BATCH, replacement=True)
        strange = rng.choice(len(others), _STRANGERS, replace=False)
        texts = [phrase(words[i]) for i in drawn.tolist()] + [phrase(others[i]) for i in strange]
        embeddings = encode_texts(model, tokenizer(texts))
        target = rows[drawn]
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


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(train_text(arguments.seed, arguments.steps), arguments.out)


if __name__ == "__main__":
    main()
