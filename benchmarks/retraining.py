"""What a checkpoint that was trained on reviewers' decisions is worth on drives that it never saw.

    python benchmarks/retraining.py --out build/retraining

Does what a team does: draws an archive of the demo fleet, scans and mines it, lets a reviewer who knows the truth judge
everything, builds a dataset of that with half of its drives to train on, runs ``clipomaly finetune`` on it, and lets
``clipomaly evaluate`` judge the new checkpoint and the old one on the other half.

Label maps of decisions are void wherever nobody judged. So fully labelled scenes of the demo fleet stand beside them:
in the training (``--scenes 0`` leaves them out), and in the judgement, to show what becomes of V. Prints the IoU of
each class and writes ``results/retraining.json``.
"""

import argparse
import json
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.loop import decide, scan
from benchmarks.results import run_command, write_results
from demo_fleet import write_archive
from flows.dataset_request import DatasetRequest, build_from_queue
from flows.mine import run_mine
from schemas.dataset_format import DatasetFormat
from tasks.datasets.build import DatasetOptions
from tasks.datasets.manifest import Manifest
from tasks.mining.mine import MiningOptions
from training.finetune.data import write_scenes

KINDS = ("traffic cone", "mattress", "wild boar", "barrel", "boulder", "pumpkin")
DRIVES, CLIPS = 6, 2
HALVES = 2  # a seed of the split that gives three drives to train on and three to judge by
HELD_OUT_SCENES = 30


def judged(folder: Path, seed: int, seconds: float, fps: float) -> Counter[str]:
    """Archive, tables and judged queue in ``folder``; how often each verdict fell. A drawn archive is used again."""
    if not (folder / "archive").exists():
        kinds = [*KINDS] * (2 * CLIPS)
        write_archive(folder / "archive", seed=seed, drives=DRIVES, clips=CLIPS, seconds=seconds, objects=len(kinds),
                      nights=0, kinds=kinds)  # fmt: skip
    for path in (folder / "tables", folder / "dataset", folder / "labelled", folder / "tuned"):
        shutil.rmtree(path, ignore_errors=True)
    queue, words = folder / "queue.db", folder / "words.yaml"
    queue.unlink(missing_ok=True)
    words.write_text("extends: builtin\ndictionary: {}\n", "utf-8")
    night = scan(folder / "archive", str(folder / "tables"), words, fps)
    run_mine(str(folder / "tables"), str(queue), MiningOptions(count=1000))
    return decide(str(queue), night, rejected="")


def built(folder: Path) -> Manifest:
    """The dataset of these decisions."""
    options = DatasetOptions(str(folder / "tables"), DatasetFormat.CITYSCAPES, seed=HALVES, shares=(0.5, 0.5, 0.0))
    return build_from_queue(DatasetRequest(str(folder / "queue.db"), str(folder / "dataset"), options)).manifest


def beside_scenes(folder: Path, scenes: int) -> Path:
    """A folder with links to the dataset's drives, and drawn scenes beside them in both splits."""
    dataset, out = folder / "dataset", folder / "labelled"
    for split in ("train", "val"):
        for kind in ("leftImg8bit", "gtFine"):
            (out / kind / split).mkdir(parents=True)
            for drive in (dataset / kind / split).iterdir():
                (out / kind / split / drive.name).symlink_to(drive.resolve(), target_is_directory=True)
    for name in ("classes.txt", "vocabulary.yaml"):
        shutil.copy(dataset / name, out / name)
    write_scenes(out, scenes, HELD_OUT_SCENES)
    return out


def evaluated(data: Path, out: Path, flags: list[str]) -> Mapping[str, float | None]:
    """The IoU of each class on the held-out frames, as ``clipomaly evaluate`` finds it."""
    run_command(["evaluate", "--dataset", str(data), "--format", "cityscapes", "--set", "threshold=1",
                 "--out", str(out), *flags])  # fmt: skip
    told = json.loads((out / "metrics.json").read_text("utf-8"))
    return {entry["name"]: entry["iou"] for entry in told["known"]["classes"]}


def mean(iou: Mapping[str, float | None], names: set[str]) -> float:
    """Of those of the classes that were seen or said."""
    return round(statistics.mean(value for name, value in iou.items() if name in names and value is not None), 4)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/retraining"))
    parser.add_argument("--seed", type=int, default=43)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--scenes", type=int, default=80, help="fully labelled scenes beside the dataset, to train on")
    parser.add_argument("--short-side", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    given = parser.parse_args()
    folder = given.out
    folder.mkdir(parents=True, exist_ok=True)
    said = judged(folder, given.seed, given.seconds, given.fps)
    manifest = built(folder)
    data = beside_scenes(folder, given.scenes)
    flags = ["--vocabulary", str(data / "vocabulary.yaml"), "--set", f"short_side={given.short_side}",
             "--device", "cpu"]  # fmt: skip
    trained = run_command(
        ["finetune", "--data", str(data), "--format", "cityscapes", "--out", str(folder / "tuned"), "--blocks", "5",
         "--epochs", str(given.epochs), "--learning-rate", str(given.learning_rate), *flags]
    )  # fmt: skip
    before = evaluated(data, folder / "before", flags)
    after = evaluated(data, folder / "after", [*flags, "--weights", str(folder / "tuned" / "weights.safetensors")])
    names = set(manifest.objects)
    told: dict[str, object] = {
        "arguments": {key: str(value) for key, value in vars(given).items() if key != "out"},
        "decisions": dict(said),
        "frames": {split.split: split.frames for split in manifest.counts.splits},
        "instances": {split.split: split.instances for split in manifest.counts.splits},
        "seconds to train": round(trained.seconds),
        "IoU, before and after": {name: [before[name], after[name]] for name in before},
        "mean of names": [mean(before, names), mean(after, names)],
        "mean of V": [mean(before, before.keys() - names), mean(after, after.keys() - names)],
    }
    print(json.dumps(told, indent=1))
    write_results("retraining", told)


if __name__ == "__main__":
    main()
