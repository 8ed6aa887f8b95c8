"""The model ``road``, ready to run."""

from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file

from clipomaly_core.towers.load import load_tower
from clipomaly_core.towers.protocol import Preprocessing, TextTower, Tower
from clipomaly_core.towers.road.eye import load_eye
from clipomaly_core.towers.road.pinned import MEAN, STD
from clipomaly_core.towers.road.sentences import SentenceEncoder
from clipomaly_core.towers.road.tower import SIZE, Prototypes, RoadImage, RoadNetwork, RoadText
from clipomaly_core.towers.text_alone import load_text
from clipomaly_core.weights import NANO, find_checkpoint


def load_road(path: Path, device: torch.device) -> Tower:
    """Build the model on a device, in float32 and evaluation mode, without gradients.

    Args:
        path: of ``road.safetensors``, what was made for the model by ``training.road``.
        device: where it runs; the sentence encoder stays on the CPU.

    Raises:
        UserError: a package with weights is missing or holds another file.
    """
    own = {name: value.float() for name, value in load_file(path).items()}
    prototypes = Prototypes(own["centre"], own["looks"], own["meanings"])
    nano = load_tower(find_checkpoint(NANO), device)
    assert isinstance(nano.network, open_clip.CLIP)
    network = RoadNetwork(nano.network, load_eye(), own["classes"], prototypes)
    mean, std = nano.preprocessing.mean, nano.preprocessing.std
    return Tower(
        image=RoadImage(network.to(device).eval().requires_grad_(False), nano.image, mean, std),
        text=_text(nano.text),
        preprocessing=Preprocessing(mean=MEAN, std=STD, interpolation="bilinear", image_size=(SIZE, SIZE)),
        network=network,
    )


def load_road_text(device: torch.device) -> TextTower:
    """The text tower alone. Raises UserError as ``load_road``."""
    return _text(load_text(find_checkpoint(NANO), device))


def _text(nano: TextTower) -> RoadText:
    return RoadText(nano, SentenceEncoder(), (open_clip.get_model_config(NANO) or {})["text_cfg"]["context_length"])
