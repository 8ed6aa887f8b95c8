"""From a seed to the checkpoint of ``nano``: ``python -m training.nano --seed 0 --out DIR``.

Leaves ``nano.safetensors`` and ``curves.png`` in DIR. A run that was cut off goes on from what is there.
"""

import argparse
from pathlib import Path

import torch

from training.nano.concepts import training_kinds
from training.nano.fleet import fleet_looks
from training.nano.model import write_checkpoint
from training.nano.text import train_text
from training.nano.train import Settings, train


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.nano", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=22_000, help="of the image tower")
    parser.add_argument("--text-steps", type=int, default=1_500)
    parser.add_argument("--start", type=Path, help="checkpoint to go on from, instead of random weights")
    parser.add_argument("--rate", type=float, default=3e-3, help="of the image tower")
    parser.add_argument("--threads", type=int, default=1, help="beside the processes that draw")
    parser.add_argument("--bfloat16", action="store_true", help="for what multiplies it: twice as fast on a CPU")
    parser.add_argument("--device", default="cpu", help="such as cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw; other numbers draw other scenes")
    arguments = parser.parse_args()
    settings = Settings(
        arguments.seed,
        arguments.steps,
        arguments.out,
        arguments.start,
        arguments.threads,
        rate=arguments.rate,
        bfloat16=arguments.bfloat16,
        device=arguments.device,
        workers=arguments.workers,
    )
    run = train(settings, fleet_looks([kind.name for kind in training_kinds()]))
    file = arguments.out / "text.pt"
    if not file.exists():
        torch.save(train_text(arguments.seed, arguments.text_steps, arguments.start, arguments.device), file)
    text = torch.load(file, weights_only=True)
    image = {f"visual.{name}": value for name, value in run.average.items()}
    write_checkpoint({**image, **text}, arguments.out / "nano.safetensors")


if __name__ == "__main__":
    main()
