"""Folders that ``clipomaly finetune`` reads.

python -m training.finetune.data scenes --out DIR           # drawn scenes of the demo fleet, as Cityscapes is laid out
python -m training.finetune.data idd-lite --data DIR --out DIR   # links to IDD-Lite's frames and label maps
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from demo_fleet import sample_scene
from demo_fleet.scene import UNKNOWN_LABEL

TRAIN_SEED, HELD_OUT_SEED = 20_000_000, 21_000_000
"""The first seeds of either split; ``nano`` was trained and measured on seeds below both."""

_VOID = 255

IDD_CLASSES = """drivable area, road
non-drivable area, sidewalk
living thing, person
vehicle, car
roadside object, wall
far object, building
sky
"""
IDD_VOCABULARY = """# The seven classes of IDD-Lite's label maps as V, with words that they cover.
known:
  - name: drivable area
    synonyms: [road, parking lot]
  - name: non-drivable area
    synonyms: [sidewalk, terrain, lawn]
  - name: living thing
    synonyms: [person, rider, animal]
  - name: vehicle
    synonyms: [car, truck, bus, motorcycle, bicycle, auto rickshaw, train, caravan]
  - name: roadside object
    synonyms: [wall, fence, pole, traffic sign, traffic light, guard rail, billboard, curb]
  - name: far object
    synonyms: [building, vegetation, bridge, tree]
  - name: sky
"""


def write_scenes(out: Path, train: int, held_out: int, negative: bool = False) -> None:
    """Draw scenes with their label maps; planted objects are void, because no class of V covers them.

    ``negative`` shows them in grey with tones inverted, as a camera might that no model was trained for.
    """
    for split, first, count in (("train", TRAIN_SEED, train), ("val", HELD_OUT_SEED, held_out)):
        images, labels = (out / kind / split / "drawn" for kind in ("leftImg8bit", "gtFine"))
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            scene = sample_scene(seed)
            known = np.where(scene.labels == UNKNOWN_LABEL, _VOID, scene.labels)
            image = Image.fromarray(scene.image)
            if negative:
                image = ImageOps.invert(ImageOps.grayscale(image)).convert("RGB")
            image.save(images / f"{seed}_leftImg8bit.png")
            Image.fromarray(known).save(labels / f"{seed}_gtFine_labelTrainIds.png")


def link_idd_lite(data: Path, out: Path) -> None:
    """Link the frames and label maps of IDD-Lite into the folders of ``camvid-like``, with classes and a vocabulary."""
    for split in ("train", "val"):
        for folder in (out / split, out / f"{split}annot"):
            folder.mkdir(parents=True, exist_ok=True)
        for image in sorted((data / "leftImg8bit" / split).glob("*/*_image.jpg")):
            name = image.stem.removesuffix("_image")
            label = data / "gtFine" / split / image.parent.name / f"{name}_label.png"
            _link(out / split / f"{image.parent.name}_{name}.jpg", image)
            _link(out / f"{split}annot" / f"{image.parent.name}_{name}.png", label)
    (out / "classes.txt").write_text(IDD_CLASSES, encoding="utf-8")
    (out / "vocabulary.yaml").write_text(IDD_VOCABULARY, encoding="utf-8")


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target.resolve())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    scenes = kinds.add_parser("scenes")
    scenes.add_argument("--out", type=Path, required=True)
    scenes.add_argument("--train", type=int, default=300)
    scenes.add_argument("--held-out", type=int, default=60)
    scenes.add_argument("--negative", action="store_true", help="grey, with tones inverted")
    idd = kinds.add_parser("idd-lite")
    idd.add_argument("--data", type=Path, required=True)
    idd.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.kind == "scenes":
        write_scenes(arguments.out, arguments.train, arguments.held_out, arguments.negative)
    else:
        link_idd_lite(arguments.data, arguments.out)


if __name__ == "__main__":
    main()
