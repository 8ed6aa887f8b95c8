"""What decisions on one night are worth on the next, when the same things are seen again and nothing is trained.

    python -m benchmarks.second_night again --seed 61
    python -m benchmarks.second_night drawn --seed 61
    python -m benchmarks.second_night photos --model road
    python -m benchmarks.second_night clips --clip night.mp4 --clip rain.mp4 --set threshold=0.9

Does what a team does: scan a night, mine it, decide by the truth, ``vocabulary promote``, scan the next night. The next
night is scanned with the old vocabulary, too, and the two are compared. ``seen_again.py`` says what the nights are.

The reviewer accepts a name that is right, corrects one that is wrong, and rejects a find that lies on nothing planted
or on a kind that nobody wants.
An instance shows a thing when they overlap by an IoU of 0.2 or more; less than a tenth of a false find is planted. A
thing carries the name that its track has in most of its instances. A kind was corrected three times when three of its
items, duplicates with them, had another name. A false find was rejected three times when it has the look of an item
that was rejected together with two duplicates or more: as near to one of them as mining takes for the same object. A
wider count takes all false finds with a best name that was rejected three times. Things count only if the second night
delivers them with the old vocabulary. Prints the figures and writes ``results/second-night-SOURCE.json``.
"""

import argparse
import json
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml

from benchmarks.discovery import Item, judge
from benchmarks.results import write_results
from benchmarks.seen_again import Footage, drawn_again, drawn_roads, ordinary_clips, photos
from clipomaly_core.types import UNKNOWN_NAME
from flows.mine import run_mine
from flows.parameters import ScanParameters
from flows.promote import propose_from_queue
from flows.scan import run_scan
from review import Queue
from schemas.review import JUDGED, State, Verdict
from tasks.mining.mine import MiningOptions
from tasks.tables import Tables, open_table
from tasks.tables.embeddings import read_vectors
from tasks.vocabularies.promote import Promotion, write_promotion
from tasks.vocabularies.verdicts import read_spaces, unit_vector

OFTEN = 3
REVIEWER = "truth"


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance: what it shows, the name of its track, the best name, be it clear or not, and its embedding."""

    item: Item
    name: str
    best: str
    look: npt.NDArray[np.float32]

    @property
    def false(self) -> bool:
        """Whether it shows nothing that was planted, not even in part."""
        return self.item.planted < 0.1


@dataclass(frozen=True, slots=True)
class Decided:
    """How often each kind's name was corrected, and each best name of a false find rejected, duplicates included.

    ``looks`` are the embeddings of items that were rejected with two duplicates or more, and of these, by best name.
    ``named`` are the things that got a right name, from a person or as a duplicate.
    """

    corrected: Counter[str]
    rejected: Counter[str]
    verdicts: Counter[str]
    looks: tuple[tuple[str, npt.NDArray[np.float32]], ...]
    named: frozenset[int]


def scan(archive: Path, tables: Path, method: ScanParameters, vocabulary: Path | None) -> dict[str, Seen]:
    """Scan an archive and hold what was found against its truth: the instances by id."""
    words = None if vocabulary is None else str(vocabulary)
    summary = run_scan(method.model_copy(update={"archive": str(archive), "tables": str(tables), "vocabulary": words}))
    items = judge(str(tables), archive, summary.scan_id)
    columns = ["instance_id", "name", "names", "track_name"]
    found = open_table(str(tables), "instances", scan_id=summary.scan_id).to_table(columns=columns)
    scans = [scan for scan in Tables.at(str(tables)).scans() if scan.scan_id == summary.scan_id]
    looks = read_vectors(Tables.at(str(tables)), scans, found["instance_id"]).astype(np.float32)
    return {
        row["instance_id"]: Seen(
            items[row["instance_id"]],
            row["track_name"] or row["name"],
            row["names"][0]["name"] if row["names"] else row["name"],
            look,
        )
        for row, look in zip(found.to_pylist(), looks, strict=True)
    }


def shown(tables: Path) -> dict[tuple[str, int], str]:
    """The instance that an item of the queue shows, by its track and frame."""
    columns = ["instance_id", "track_id", "frame_index"]
    rows = open_table(str(tables), "instances").to_table(columns=columns).to_pylist()
    return {(row["track_id"] or row["instance_id"], row["frame_index"]): row["instance_id"] for row in rows}


def decide(queue_url: str, tables: Path, night: dict[str, Seen], footage: Footage) -> Decided:
    """Judge every item that waits by the truth."""
    instances = shown(tables)
    with Queue.open(queue_url, create=False) as queue:
        for queued in list(queue.walk((State.PENDING,), with_pictures=False)):
            item = queued.item
            seen = night[instances[item.track_id or item.item_id, item.frame_index]]
            if seen.false or seen.item.kind in footage.unwanted:
                queue.decide(REVIEWER, item.item_id, Verdict.NOT_AN_OBJECT)
            elif seen.item.kind is not None:
                right = item.suggestion is not None and footage.is_right(item.suggestion, seen.item.kind)
                queue.decide(REVIEWER, item.item_id, Verdict.ACCEPT if right else Verdict.RELABEL,
                             None if right else seen.item.kind)  # fmt: skip
        corrected, rejected, verdicts = Counter[str](), Counter[str](), Counter[str]()
        named = set[int]()
        told = {}
        groups: dict[str, list[tuple[str, npt.NDArray[np.float32]]]] = defaultdict(list)
        for queued in queue.walk((*JUDGED, State.DUPLICATE), with_pictures=False):
            item, status = queued.item, queued.status
            told[item.item_id] = status, item
        for status, item in told.values():
            of, original = status, item.item_id
            while of.duplicate_of is not None and of.duplicate_of in told:
                original = of.duplicate_of
                of = told[original][0]
            if of.verdict is not None:
                verdicts[f"{of.verdict.value}{', as a duplicate' if status.duplicate_of else ''}"] += 1
            there = night[instances[item.track_id or item.item_id, item.frame_index]].item
            if there.thing is not None and there.kind and of.name and footage.is_right(of.name, there.kind):
                named.add(there.thing)
            if of.verdict is Verdict.RELABEL and of.name:
                corrected[of.name] += 1
            elif of.verdict is Verdict.NOT_AN_OBJECT:
                rejected[item.suggestion or item.name] += 1
                best = item.suggestion or item.name
                groups[original].append((best, unit_vector(item.embedding or b"")))
    often = [member for group in groups.values() if len(group) >= OFTEN for member in group]
    return Decided(corrected, rejected, verdicts, tuple(often), frozenset(named))


def run(
    folder: Path, footage: Footage, method: ScanParameters, least: int
) -> tuple[Decided, Promotion, list[dict[str, Seen]], float]:
    """Decide on the first night; the second with the old and with the new vocabulary; the usual distance of finds."""
    own = label(method)
    two = f"{own}-{footage.two.name}"
    one, before, after = folder / f"{own}-{footage.one.name}", folder / f"{two}-before", folder / f"{two}-after"
    queue, words = folder / f"{two}.db", folder / f"{two}.yaml"
    shutil.rmtree(after, ignore_errors=True)
    for path in (words, queue, *folder.glob("exemplars-*")):
        path.unlink(missing_ok=True)
    night = scan(footage.one, one, method, None)
    run_mine(str(one), str(queue), MiningOptions(count=1000))
    decided = decide(str(queue), one, night, footage)
    promotion = propose_from_queue(str(queue), str(one), None, least)
    if promotion.changes:
        write_promotion(promotion, str(words))
    nights = [
        scan(footage.two, before, method, None),
        scan(footage.two, after, method, words if promotion.changes else None),
    ]
    space = next(iter(read_spaces(Tables.at(str(one))).values()))
    return decided, promotion, nights, space.distances.usual


def label(method: ScanParameters) -> str:
    """The model and the options that were set, for names of files."""
    return "-".join([method.model.replace("/", "-"), *(f"{name}={value}" for name, value in method.method.items())])


def carried(night: dict[str, Seen]) -> dict[int, tuple[str, str]]:
    """The kind of each thing that was found, and the name that it carries."""
    names: dict[int, Counter[str]] = defaultdict(Counter)
    kinds: dict[int, str] = {}
    for seen in night.values():
        if seen.item.thing is not None and seen.item.kind is not None:
            names[seen.item.thing][seen.name] += 1
            kinds[seen.item.thing] = seen.item.kind
    return {thing: (kinds[thing], max(sorted(called), key=lambda n: called[n])) for thing, called in names.items()}


def seen_again(seen: Seen, decided: Decided, usual: float) -> bool:
    """Whether mining would take a find for an object that was rejected three times; ``usual`` as of ``Distances``."""
    reach = MiningOptions().same_look * usual
    return any(
        1 - float(look @ seen.look) <= (1.5 * reach if best == seen.best else reach) for best, look in decided.looks
    )


def figures(footage: Footage, decided: Decided, nights: list[dict[str, Seen]], usual: float) -> dict[str, object]:
    """What the decisions were worth; ``usual`` is the usual distance of the first night's finds."""
    everything = [carried(night) for night in nights]
    before, after = (
        {thing: told for thing, told in night.items() if told[0] not in footage.unwanted} for night in everything
    )
    often = {kind for kind, count in decided.corrected.items() if count >= OFTEN}
    rejected = {name for name, count in decided.rejected.items() if count >= OFTEN}
    again = [thing for thing, (kind, _) in before.items() if kind in often]
    right = {
        label: {thing for thing, (kind, name) in night.items() if footage.is_right(name, kind)}
        for label, night in (("before", before), ("after", after))
    }
    lost = sorted(right["before"] - right["after"])
    first, second = footage.objects(footage.one), footage.objects(footage.two)
    judged = {first.get(thing, thing) for thing in decided.named}
    themselves = [thing for thing in again if second.get(thing) in judged]
    false = [[seen for seen in night.values() if seen.false] for night in nights]
    of_rejected = [sum(seen.best in rejected for seen in night) for night in false]
    again_rejected = [sum(seen_again(seen, decided, usual) for seen in night) for night in false]
    unwanted = [sum(seen.item.kind in footage.unwanted for seen in night.values()) for night in nights]
    return {
        "things of kinds corrected three times": len(again),
        "carry the name before": share(len(right["before"] & set(again)), len(again)),
        "carry the name after": share(len(right["after"] & set(again)), len(again)),
        "of these, judged themselves": len(themselves),
        "and carry the name after": share(len(right["after"] & set(themselves)), len(themselves)),
        "things right before": len(right["before"]),
        "things right after": len(right["after"]),
        "unknown before, wrong after": sum(
            name == UNKNOWN_NAME and thing in after and after[thing][1] != UNKNOWN_NAME and thing not in right["after"]
            for thing, (_, name) in before.items()
        ),
        "right, then wrong": [f"{before[t][0]}: {after[t][1] if t in after else 'not found'}" for t in lost],
        "things found": [len(before), len(after)],
        "finds on kinds that nobody wants": unwanted,
        "fall of these": share(unwanted[0] - unwanted[1], unwanted[0]),
        "false finds that were rejected three times": again_rejected,
        "their fall": share(again_rejected[0] - again_rejected[1], again_rejected[0]),
        "false finds of names rejected three times": of_rejected,
        "fall by name": share(of_rejected[0] - of_rejected[1], of_rejected[0]),
        "all false finds": [len(night) for night in false],
        "all fall": share(len(false[0]) - len(false[1]), len(false[0])),
    }


def share(part: int, whole: int) -> float | None:
    """A share, None of nothing."""
    return round(part / whole, 3) if whole else None


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=("again", "drawn", "photos", "clips"))
    parser.add_argument("--out", type=Path, default=Path("build/second-night"))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--seed", type=int, default=61)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/roadanomaly-open"))
    parser.add_argument("--names", type=Path, default=Path("tests/data/roadanomaly_open_names.yaml"))
    parser.add_argument("--half", choices=("odd", "even"), help="only the photos at such places in sorted order")
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a real clip; repeatable")
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the method")
    parser.add_argument("--at-least", type=int, default=3, help="decisions that a change of the vocabulary needs")
    given = parser.parse_args()
    source = f"{given.source}-{given.seed}" + (f"-{given.half}" if given.half else "")
    folder = given.out / source.replace("again-", "drawn-")
    folder.mkdir(parents=True, exist_ok=True)
    if given.source == "again":
        footage = drawn_again(folder, given.seed)
    elif given.source == "drawn":
        footage = drawn_roads(folder, given.seed)
    elif given.source == "photos":
        footage = photos(folder, given.photos, given.names, given.seed, given.half)
    else:
        footage = ordinary_clips(folder, given.clip)
    options = {name: yaml.safe_load(value) for name, _, value in (option.partition("=") for option in given.set)}
    method = ScanParameters(
        archive=str(footage.one),
        tables=str(folder),
        model=given.model,
        fps=given.fps,
        method=options,
        no_reference=True,
    )
    decided, promotion, nights, usual = run(folder, footage, method, given.at_least)
    told = {
        "model": given.model,
        "options": options,
        "seed": given.seed,
        "verdicts": dict(decided.verdicts),
        "corrected": dict(decided.corrected.most_common()),
        "rejected": dict(decided.rejected.most_common()),
        "changes": [f"{change.kind} {change.subject}: {change.reason}" for change in promotion.changes],
        "notes": list(promotion.notes),
        **figures(footage, decided, nights, usual),
    }
    print(json.dumps(told, indent=1))
    write_results(f"second-night-{source}-{label(method)}", told)


if __name__ == "__main__":
    main()
