"""What the model road takes for ordinary: ``python -m training.road.reference --out DIR``.

Leaves ``road.reference.safetensors`` in DIR, for the road.safetensors that is built in.
"""

import argparse
from pathlib import Path

import torch

from clipomaly_core import Clipomaly
from clipomaly_core.reference.ordinary import Ordinary
from clipomaly_core.reference.record import Reference, ReferenceFacts, reference_bytes
from clipomaly_core.weights import ROAD
from training.road.ordinary import ordinary_frames

FIRST_SEED = 2000
CREATED = "2026-11-29T00:00:00+00:00"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.road.reference", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = Clipomaly.load(ROAD, device="cpu")
    ordinary = Ordinary(arguments.scenes)
    for frame in ordinary_frames(range(FIRST_SEED, FIRST_SEED + arguments.scenes)):
        [look] = model.look([frame])
        ordinary.add(look.features, look.language)
    facts = ReferenceFacts(
        model=ROAD,
        weights_sha256=model.weights_sha256,
        vocabulary_sha256=model.vocabulary.sha256,
        options={},
        frames=arguments.scenes,
        sources=("drawn roads",),
        fps=1.0,
        created=CREATED,
        peaks=(),
        built_in=True,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{ROAD}.reference.safetensors"
    path.write_bytes(reference_bytes(Reference(facts, *ordinary.spreads())))


if __name__ == "__main__":
    main()
