"""The whole method on small random towers of every family: frames of any size in, named regions out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate, normalize

from clipomaly_core import Clipomaly, Options, Vocabulary
from clipomaly_core.towers.families import image_tower
from clipomaly_core.towers.protocol import Preprocessing, Tower
from clipomaly_core.weights import Checkpoint
from tests.clipomaly_core.towers.small import TOWERS, small_tower

pytestmark = pytest.mark.whole

BUILT_IN = Vocabulary.load()
# Few known classes and more candidates: random weights leave something that is not reassigned.
WORDS = replace(BUILT_IN, known=BUILT_IN.known[:2], candidates=BUILT_IN.candidates[:200])
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


KNOWN_WORDS = {word for known in WORDS.known for word in (known.name, *known.synonyms)}


class RandomText:
    """Each text has a direction of its own, always the same one; known classes are opposite to ``frame``."""

    def __init__(self, frame):
        self.frame = frame

    def tokenize(self, texts):
        known = [any(text.endswith((f" {word}", f" {word}.")) for word in KNOWN_WORDS) for text in texts]
        codes = [0 if is_known else sum(text.encode()) * len(text) for is_known, text in zip(known, texts, strict=True)]
        return torch.tensor(codes)[:, None]

    def embed(self, tokens):
        made = []
        for code in tokens[:, 0].tolist():
            direction = torch.randn(len(self.frame), generator=torch.Generator().manual_seed(code))
            made.append(direction if code else -self.frame + 1e-3 * direction)
        return normalize(torch.stack(made), dim=-1)


@pytest.mark.parametrize("family", TOWERS)
def test_a_frame_has_named_regions(family, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPOMALY_CACHE", str(tmp_path))
    visual = small_tower(family)
    image = image_tower(visual)
    size = visual.image_size if isinstance(visual.image_size, tuple) else (visual.image_size,) * 2
    frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    pixels = torch.from_numpy(frame[: image.patch, : image.patch]).permute(2, 0, 1)[None]
    pixels = (interpolate(pixels, size, mode="bicubic", antialias=True) / 255 - 0.5) / 0.25
    tower = Tower(image, RandomText(image.embed(pixels)[0]), Preprocessing(MEAN, STD, "bicubic", size), visual)
    checkpoint = Checkpoint(
        family, family, Path(family), family, image.embedding_dimension, False, MEAN, STD, "bicubic"
    )
    options = Options(short_side=2 * image.patch, threshold=0.0, margin=0.0, reassign_known="region", name_cosine=-1.0)
    lenient = replace(options, reassign_known_margin=0.0, known_cosine=1.0)
    model = Clipomaly(checkpoint, tower, WORDS, lenient, torch.device("cpu"))
    [result] = model([frame])
    assert result.anomaly_score.shape == result.labels.shape == (90, 160)
    assert np.isfinite(result.anomaly_score).all()
    assert result.instances
    for instance in result.instances:
        assert instance.name in model.words.names
        assert instance.embedding.shape == (image.embedding_dimension,)
