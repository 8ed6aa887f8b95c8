"""From frozen weights and drawn scenes to the data of the model road: ``python -m training.road --out DIR``.

Leaves ``road.safetensors`` in DIR. Only drawings are learned from: what knows photographs comes frozen from packages.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from clipomaly_core.towers.road.eye import load_eye
from clipomaly_core.towers.road.sentences import SentenceEncoder
from clipomaly_core.vocabulary import Vocabulary
from training.nano.concepts import training_kinds
from training.road.looks import learn_looks
from training.road.meanings import class_meanings

FIRST_SEED = 1000


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.road", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    sentences = SentenceEncoder()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.scenes)
    looks = learn_looks(load_eye(), sentences, Vocabulary.load().known, training_kinds(), seeds)
    tensors = {
        "classes": class_meanings(sentences),
        "centre": looks.centre,
        "looks": looks.looks,
        "meanings": looks.meanings,
    }
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, arguments.out / "road.safetensors")


if __name__ == "__main__":
    main()
