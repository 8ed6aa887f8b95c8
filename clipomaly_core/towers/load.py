"""A checkpoint, ready to run."""

import torch

from clipomaly_core.towers.families import image_tower
from clipomaly_core.towers.protocol import Preprocessing, Tower
from clipomaly_core.towers.text import OpenClipText
from clipomaly_core.weights import Checkpoint, load_network


def load_tower(checkpoint: Checkpoint, device: torch.device) -> Tower:
    """Build the model of a checkpoint on a device, in float32 and evaluation mode, without gradients.

    Raises:
        UserError: a file that does not hold weights of this architecture, or an architecture without dense features.
    """
    network = load_network(checkpoint, device)
    size = network.visual.image_size
    return Tower(
        image=image_tower(network.visual),
        text=OpenClipText(network, checkpoint.architecture),
        preprocessing=Preprocessing(
            mean=checkpoint.mean,
            std=checkpoint.std,
            interpolation="bilinear",
            image_size=(size, size) if isinstance(size, int) else (size[0], size[1]),
        ),
        network=network,
    )
