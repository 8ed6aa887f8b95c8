"""Put both towers into one checkpoint: see ``python -m training.nano.assemble --help``."""

import argparse
from pathlib import Path

import torch

from training.nano.model import write_checkpoint


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    image = torch.load(arguments.image, weights_only=True)["average"]
    text = torch.load(arguments.text, weights_only=True)
    write_checkpoint({**{f"visual.{name}": value for name, value in image.items()}, **text}, arguments.out)


if __name__ == "__main__":
    main()
