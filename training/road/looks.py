"""The mean look of drawn kinds and known classes, in the features of the eye."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from clipomaly_core.names import KnownClass
from clipomaly_core.towers.road.eye import see
from clipomaly_core.towers.road.packages import MEAN, STD
from clipomaly_core.towers.road.sentences import SentenceEncoder
from clipomaly_core.towers.road.tower import Prototypes
from demo_fleet import Kind
from training.nano.data import CLASSES
from training.nano.fleet import fleet_scenes
from training.road.crops import scene_crops
from training.road.meanings import meaning


@torch.inference_mode()
def learn_looks(
    eye: nn.Module,
    sentences: SentenceEncoder,
    known: Sequence[KnownClass],
    kinds: Sequence[Kind],
    seeds: range,
) -> Prototypes:
    """Draw scenes, and average what the eye sees of each kind and known class.

    Args:
        eye: see ``load_eye``.
        sentences: embeds their names.
        known: the known classes, in the order of the labels of drawn scenes.
        kinds: what is planted.
        seeds: of the scenes.
    """
    draw = fleet_scenes([kind.name for kind in kinds])
    seen: Counter[int] = Counter()
    tops: dict[int, list[Tensor]] = defaultdict(list)
    for seed in seeds:
        subjects, crops = zip(*scene_crops(draw(seed), seed, seen), strict=True)
        for subject, top in zip(subjects, _top(eye, np.stack(crops)), strict=True):
            tops[subject].append(top)
    centre = torch.cat([torch.stack(values) for values in tops.values()]).mean(0)
    rows = sorted(tops)
    looks = [normalize(torch.stack(tops[s]) - centre, dim=-1).mean(0) for s in rows]
    words = [[known[s].name, *known[s].synonyms] if s < CLASSES else [kinds[s - CLASSES].name] for s in rows]
    return Prototypes(
        centre, normalize(torch.stack(looks), dim=-1), torch.stack([meaning(sentences, own) for own in words])
    )


def _top(eye: nn.Module, crops: npt.NDArray[np.uint8]) -> Tensor:
    """(n, m, S, S, 3) crops of n subjects → (n, 1280), the mean of each subject's m crops."""
    pixels = torch.from_numpy(crops).flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    top = see(eye, (pixels - mean) / std).top.mean((2, 3))
    return top.unflatten(0, crops.shape[:2]).mean(1)
