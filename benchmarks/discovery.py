"""How many items a reviewer judges until the kinds are found: mining against by-score and random order.

    python benchmarks/discovery.py --out build/discovery

Draws drives of the demo fleet with a long tail of kinds (most planted once, a few often), scans them with nano and
mines them. Then a reviewer who knows the truth judges one item after the other. An item is real when its instance
overlaps a planted object by an IoU of 0.2 or more; its kind is the object's. Prints JSON and draws the curves.
``--archive`` and ``--tables`` use what is there already (the archive with its ``.truth`` beside it).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from demo_fleet import HELD_OUT_KINDS, KINDS, write_archive
from flows.parameters import ScanParameters
from flows.scan import run_scan
from tasks.masks import decode_mask
from tasks.mining.candidates import Candidates, read_candidates
from tasks.mining.mine import MiningOptions, mine
from tasks.mining.queue_index import index_queue
from tasks.tables import Tables, open_table

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OVERLAP = 0.2
LOOKED_AT = (20, 40, 60, 100)
SHUFFLES = 200


@dataclass(frozen=True)
class Item:
    """What the reviewer sees: the planted object and its kind, None where there is none, and which share of the
    instance lies on anything planted."""

    thing: int | None
    kind: str | None
    planted: float


def draw(archive: Path, seed: int) -> None:
    """36 clips of 8 seconds with about 90 objects: the commonest kind 14 times, half of the kinds once."""
    usual = sorted(kind.name for kind in KINDS if kind.name not in HELD_OUT_KINDS and kind.size_m >= 0.4)
    order = np.random.default_rng(5).permutation(len(usual))
    kinds = [usual[order[place]] for place in range(60) for _ in range(max(1, round(14 / (place + 1))))]
    write_archive(archive, seed=seed, drives=6, clips=6, objects=len(kinds), seconds=8, kinds=kinds)


def judge(tables: str, archive: Path, scan_id: str | None = None) -> dict[str, Item]:
    """What each instance on this archive, of one scan or of the newest of each source, shows, by its id."""
    truth = Path(f"{archive}.truth")
    objects = pq.read_table(truth / "objects.parquet").to_pylist()
    kinds = {row["track_id"]: row["name"] for row in objects}
    items = {}
    columns = ["instance_id", "source_uri", "frame_index", "mask_rle"]
    for row in open_table(tables, "instances", scan_id=scan_id).to_table(columns=columns).to_pylist():
        if not row["source_uri"].startswith(archive.resolve().as_uri()):
            continue
        clip = "/".join(row["source_uri"].split("/")[-2:]).removesuffix(".mp4")
        labels = np.asarray(Image.open(truth / clip / f"{row['frame_index']:06d}_instances.png"))
        mask = decode_mask(row["mask_rle"], *labels.shape)
        things, counts = np.unique(labels[mask & (labels > 0)], return_counts=True)
        unions = [np.count_nonzero(mask | (labels == thing)) for thing in things]
        overlaps = counts / np.array(unions) if len(things) else np.zeros(1)
        best = int(overlaps.argmax())
        thing = int(things[best]) if overlaps[best] >= OVERLAP else None
        items[row["instance_id"]] = Item(
            thing, kinds[thing] if thing is not None else None, float((labels[mask] > 0).mean())
        )
    return items


def orders(tables: str, candidates: Candidates, options: MiningOptions) -> dict[str, list[str]]:
    """Instance ids in the order in which they are judged, without and with mining."""
    scores = open_table(tables, "instances").to_table(columns=["instance_id", "anomaly_score"]).to_pylist()
    by_score = sorted(scores, key=lambda row: (-row["anomaly_score"], row["instance_id"]))
    shown = candidates.rows["instance_id"].take(candidates.best).to_pylist()
    tracks = sorted(range(len(candidates)), key=lambda index: (-candidates.score[index], shown[index]))

    def mined(options: MiningOptions) -> list[str]:
        nothing = index_queue([], [], candidates.scans[-1].embedding_dimension)
        chosen = mine(candidates, nothing, replace(options, count=len(candidates))).chosen
        items = [one for one in chosen if one.duplicate_of is None]
        items.sort(key=lambda one: (-one.rank, one.item_id))  # as the queue does
        return [shown[one.candidate] for one in items]

    return {
        "instances by score": [row["instance_id"] for row in by_score],
        "objects by score": [shown[index] for index in tracks],
        "mined": mined(options),
        "mined, none at random": mined(replace(options, random_share=0)),
    }


def found(kinds: Sequence[str | None]) -> np.ndarray:
    """Distinct kinds after each item."""
    seen: set[str] = set()
    curve = []
    for kind in kinds:
        seen |= {kind} if kind else set()
        curve.append(len(seen))
    return np.array(curve)


def needed(curve: np.ndarray, kinds: int) -> int | None:
    """Items until so many kinds are found, None where they never are."""
    return int(np.argmax(curve >= kinds)) + 1 if len(curve) and curve.max() >= kinds else None


def at(curve: np.ndarray, items: int) -> float:
    """The curve after so many items, or at its end."""
    return round(float(curve[min(items, len(curve)) - 1]), 1)


def figures(order: Sequence[Item]) -> dict[str, object]:
    """Of one order: kinds found, precision and share of repeated objects among the first k."""
    curve = found([item.kind for item in order])
    first: dict[str, int] = {}
    for place, item in enumerate(order, start=1):
        if item.kind:
            first.setdefault(item.kind, place)
    told: dict[str, object] = {"items": len(order), "kinds": int(curve[-1])}
    for k in LOOKED_AT:
        head = [item.thing for item in order[:k]]
        real = [thing for thing in head if thing is not None]
        told[f"at {k}"] = {
            "kinds": at(curve, k),
            "precision": round(len(real) / len(head), 2),
            "duplicates": round(1 - len(set(real)) / max(len(real), 1), 2),
        }
    told["items to the first of a kind, median"] = float(np.median(list(first.values())))
    return told


def plot(curves: dict[str, np.ndarray], path: Path) -> None:
    """The discovery curves up to 150 items."""
    colours = {"mined": "#0b6e99", "objects by score": "#d9730d", "instances by score": "#b3261e", "random": "#8a8a8a"}
    figure, axes = plt.subplots(figsize=(7.2, 4.4), dpi=150)
    for name, colour in colours.items():
        shown = curves[name][:150]
        axes.plot(range(1, len(shown) + 1), shown, label=name, color=colour, lw=2.4 if name == "mined" else 1.6)
    axes.set_xlabel("items judged")
    axes.set_ylabel("distinct true kinds found")
    axes.set_title("Demo fleet, built-in demonstration model", fontsize=10, loc="left")
    axes.set_xlim(0, 150)
    axes.set_ylim(0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    figure.savefig(path)


def tracks(tables: str, items: dict[str, Item]) -> dict[str, object]:
    """Whether the objects that were found got one track each, and whether a track holds one object."""
    rows = open_table(tables, "instances").to_table(columns=["instance_id", "track_id"]).to_pylist()
    of_thing: dict[int, set[str]] = {}
    of_track: dict[str, set[int]] = {}
    sights: dict[int, int] = {}
    for row in rows:
        thing = items[row["instance_id"]].thing
        if thing is not None:
            of_thing.setdefault(thing, set()).add(row["track_id"])
            of_track.setdefault(row["track_id"], set()).add(thing)
            sights[thing] = sights.get(thing, 0) + 1
    again = [len(of_thing[thing]) == 1 for thing, count in sights.items() if count > 1]
    return {
        "objects found": len(of_thing),
        "with one track": round(float(np.mean([len(ids) == 1 for ids in of_thing.values()])), 3),
        "found more than once": len(again),
        "of these with one track": round(float(np.mean(again)), 3),
        "tracks with two objects": sum(len(things) > 1 for things in of_track.values()),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/discovery"))
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--tables")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--fps", type=float, default=2.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    archive = options.archive or options.out / "archive"
    tables = options.tables or str(options.out / "tables")
    if not archive.exists():
        draw(archive, options.seed)
    if options.tables is None:
        run_scan(ScanParameters(archive=str(archive), tables=tables, model="nano", fps=options.fps))

    items = judge(tables, archive)
    candidates = read_candidates(Tables.at(tables), ds.field("scan").isin([_newest(tables)]))
    judged = {
        name: [items[key] for key in order] for name, order in orders(tables, candidates, MiningOptions()).items()
    }
    curves = {name: found([item.kind for item in order]) for name, order in judged.items()}
    objects = [item.kind for item in judged["objects by score"]]
    rng = np.random.default_rng(0)
    shuffled = [found([objects[i] for i in rng.permutation(len(objects))]) for _ in range(SHUFFLES)]
    curves["random"] = np.mean(shuffled, axis=0)
    goal = int(at(curves["instances by score"], 100))
    result = {
        "tracks": tracks(tables, items),
        "orders": {name: figures(order) for name, order in judged.items()},
        "random": {f"kinds at {k}": at(curves["random"], k) for k in LOOKED_AT},
        "kinds that instances by score find in 100 items": goal,
        "items needed for as many": {name: needed(curve, goal) for name, curve in curves.items()},
    }
    plot(curves, options.out / "discovery.png")
    (options.out / "discovery.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


def _newest(tables: str) -> str:

    return Tables.at(tables).scans()[-1].scan_id


if __name__ == "__main__":
    main()
