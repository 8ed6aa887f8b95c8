"""What the first night of a user gives with a model that nobody calibrated: how far the finds are from the dial.

    python -m benchmarks.first_night FOLDER... --model nano --model ViT-B-32 --model RN50 --model MobileCLIP-S1

Models other than the built-in ones are untrained: open_clip's own random weights, of a fixed seed. Each archive is
scanned without any option that concerns calibration, so the scan makes its reference. Then it is scanned again with as
many finds an hour as give about ``COUNTED`` in this footage, because the default of 30 an hour gives hardly one in a
minute. Untrained models get 60 of the dictionary's names, for embedding all of them takes long on a CPU. Prints a table
and writes ``results/first-night.json``.
"""

import argparse
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.compute as pc
import torch
import yaml

from benchmarks.results import write_results
from clipomaly_core.vocabulary import Vocabulary
from clipomaly_core.weights import NANO, ROAD
from flows.parameters import ScanParameters
from flows.scan import run_scan
from tasks.tables import open_table

COUNTED = 20
DEFAULT = 30.0
_NAMES = 60


@dataclass(frozen=True, slots=True)
class FirstNight:
    """A scan: finds are instances; ``largest_share`` is the greatest share of a frame's pixels that is called unknown,
    ``ratio`` the finds by those that the dial asks for."""

    model: str
    archive: str
    finds_per_hour: float
    frames: int
    finds: int
    expected: float
    ratio: float
    largest_share: float
    told: str


def untrained(name: str, folder: Path) -> dict[str, str]:
    """Random weights of an architecture, and a short vocabulary, as parameters of a scan."""
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = open_clip.create_model(name, load_weights=False)
    weights, words = folder / f"{name}.safetensors", folder / "words.yaml"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, weights)
    candidates = [candidate.name for candidate in Vocabulary.load().candidates]
    chosen = candidates[:: len(candidates) // _NAMES]
    words.write_text(yaml.safe_dump({"dictionary": {"things": chosen}}))
    return {"weights": str(weights), "vocabulary": str(words)}


def scan(model: str, archive: Path, tables: Path, given: dict[str, str], dial: float | None) -> FirstNight:
    """Scan an archive, and compare what was found with the dial."""
    method = {} if dial is None else {"finds_per_hour": dial}
    parameters = ScanParameters(archive=str(archive), tables=str(tables), model=model, method=method, **given)
    summary = run_scan(parameters)
    rows = open_table(tables, "instances", scan_id=summary.scan_id).to_table(
        ["source_uri", "frame_index", "area", "frame_height", "frame_width"]
    )
    shares = pc.divide(pc.cast(rows["area"], "double"), pc.multiply(rows["frame_height"], rows["frame_width"]))
    by_frame = rows.append_column("share", shares).group_by(["source_uri", "frame_index"]).aggregate([("share", "sum")])
    wished = dial or DEFAULT
    expected = wished * summary.frames / parameters.fps / 3600
    return FirstNight(
        model,
        archive.name,
        wished,
        summary.frames,
        summary.instances,
        round(expected, 2),
        round(summary.instances / expected, 2),
        round(pc.max(by_frame["share_sum"]).as_py() or 0.0, 4),
        "; ".join(summary.notes),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="+", type=Path)
    parser.add_argument("--model", action="append", default=[])
    asked = parser.parse_args()
    nights = []
    for model in asked.model or [NANO]:
        with tempfile.TemporaryDirectory() as folder:
            given = {} if model in (NANO, ROAD) else untrained(model, Path(folder))
            for archive in asked.archives:
                tables = Path(folder) / archive.name
                night = scan(model, archive, tables, given, None)
                counted = scan(model, archive, tables, given, round(DEFAULT * COUNTED / night.expected))
                for done in (night, counted):
                    print(
                        f"{done.model} {done.archive}: {done.finds} finds in {done.frames} frames, {done.expected:g} "
                        f"expected at {done.finds_per_hour:g} an hour ({done.ratio:g} x); at most "
                        f"{done.largest_share:.1%} of a frame; {done.told}",
                        flush=True,
                    )
                    nights.append(asdict(done))
    write_results("first-night", {"nights": nights})


if __name__ == "__main__":
    main()
