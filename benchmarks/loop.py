"""What decisions of one night are worth on the next: a name that was missing, and false alarms of a kind.

    python benchmarks/loop.py --out build/loop

Draws two nights of the demo fleet, of other seeds, with the same kinds in both. One kind's name is taken out of the
dictionary, with all its synonyms; things of another kind are not wanted: the reviewer, who knows the truth, says "not
an object" of five of them, names everything else, and rejects every false alarm. Then it does what a team does: scan,
mine, decide, ``vocabulary promote``, scan the next night. That is scanned with the old vocabulary too, to compare.

An instance shows an object when they overlap by an IoU of 0.2 or more; of false alarms less than a tenth lies on
anything planted. A kind of false alarm is what got the same best name. Nothing is trained. Prints the figures and
writes ``results/loop.json``.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.discovery import Item, judge
from benchmarks.results import write_results
from clipomaly_core.names import lemma
from clipomaly_core.types import UNKNOWN_NAME
from clipomaly_core.vocabulary import Vocabulary
from demo_fleet import KINDS, write_archive
from flows.mine import run_mine
from flows.parameters import ScanParameters
from flows.promote import propose_from_queue
from flows.scan import run_scan
from review import Queue
from schemas.review import State, Verdict
from tasks.mining.mine import MiningOptions
from tasks.reporting.comparison import Comparison, compare_scans
from tasks.tables import Tables, open_table
from tasks.vocabularies.promote import Promotion, write_promotion

OTHERS = ("mattress", "wild boar", "barrel", "boulder")
REJECTED = 5
REVIEWER = "truth"


@dataclass(frozen=True)
class Seen:
    """An instance: what it shows, what it is called, and what it would be called had its name been clear."""

    item: Item
    name: str
    best: str

    @property
    def false(self) -> bool:
        """Whether it shows nothing that was planted, not even in part."""
        return self.item.planted < 0.1


@dataclass(frozen=True)
class Night:
    """One scan of one archive, and its instances by track and frame."""

    scan_id: str
    seen: Mapping[tuple[str, int], Seen]

    def of(self, kind: str) -> list[Seen]:
        """The instances that show this kind."""
        return [one for one in self.seen.values() if one.item.kind == kind]


@dataclass(frozen=True)
class Loop:
    """Both nights, the second with the old and the new vocabulary, what was decided and what was promoted."""

    one: Night
    before: Night
    after: Night
    said: Counter[str]
    promotion: Promotion
    comparison: Comparison


def vocabulary_without(missing: str, path: Path) -> None:
    """Write the built-in dictionary as a file, without a kind's name and whatever shares a word with it."""
    kind = next(kind for kind in KINDS if kind.name == missing)
    gone = {lemma(word) for word in (kind.name, *kind.synonyms)}
    categories: dict[str, list[list[str]]] = {}
    for candidate in Vocabulary.load().candidates:
        words = [candidate.name, *candidate.synonyms]
        if gone.isdisjoint(map(lemma, words)):
            categories.setdefault(candidate.category, []).append(words)
    path.write_text(yaml.safe_dump({"dictionary": categories}, allow_unicode=True), "utf-8")


def draw(archive: Path, seed: int, kinds: list[str], clips: int, seconds: float) -> None:
    """An archive in which each of these kinds is planted once for each time that it is named."""
    if not archive.exists():
        write_archive(archive, seed=seed, drives=2, clips=clips, seconds=seconds, objects=len(kinds), nights=0,
                      kinds=kinds)  # fmt: skip


def scan(archive: Path, tables: str, vocabulary: Path, fps: float) -> Night:
    """Scan an archive and hold what was found against its truth."""
    summary = run_scan(
        ScanParameters(archive=str(archive), tables=tables, model="nano", fps=fps, vocabulary=str(vocabulary))
    )
    items = judge(tables, archive, summary.scan_id)
    columns = ["instance_id", "track_id", "frame_index", "name", "names"]
    rows = open_table(tables, "instances", scan_id=summary.scan_id).to_table(columns=columns).to_pylist()
    seen = {
        (row["track_id"], row["frame_index"]): Seen(
            items[row["instance_id"]], row["name"], row["names"][0]["name"] if row["names"] else row["name"]
        )
        for row in rows
        if row["instance_id"] in items
    }
    return Night(summary.scan_id, seen)


def decide(queue_url: str, night: Night, rejected: str) -> Counter[str]:
    """Judge every item that waits by the truth; of the kind that nobody wants, five. How often each verdict fell."""
    said: Counter[str] = Counter()
    with Queue.open(queue_url, create=False) as queue:
        for queued in list(queue.walk((State.PENDING,), with_pictures=False)):
            item = queued.item
            seen = night.seen[item.track_id or "", item.frame_index]
            kind = seen.item.kind
            if kind == rejected:
                if said[f"{rejected}: not an object"] < REJECTED:
                    queue.decide(REVIEWER, item.item_id, Verdict.NOT_AN_OBJECT)
                    said[f"{rejected}: not an object"] += 1
            elif kind is not None:
                [decision] = queue.decide(REVIEWER, item.item_id, Verdict.RELABEL, kind)
                said[f"{decision.verdict.value}"] += 1
            elif seen.false:
                queue.decide(REVIEWER, item.item_id, Verdict.NOT_AN_OBJECT)
                said[f"not an object, called {seen.best}"] += 1
    return said


def run(
    folder: Path, missing: str, rejected: str, seed: int, clips: int, seconds: float, fps: float, least: int
) -> Loop:
    """Two nights, and the decisions between them. What an earlier run drew in ``folder`` is used again."""
    folder.mkdir(parents=True, exist_ok=True)
    each = max(REJECTED + 3, clips)
    kinds = [kind for kind in (missing, rejected) for _ in range(each)] + [*OTHERS] * (clips // 2)
    for name, own in (("one", seed), ("two", seed + 1)):
        draw(folder / name, own, kinds, clips, seconds)
    tables, queue = str(folder / "tables"), str(folder / "queue.db")
    words, promoted = folder / "words.yaml", folder / "words-2.yaml"
    for path in (words, promoted, folder / "queue.db"):
        path.unlink(missing_ok=True)
    shutil.rmtree(tables, ignore_errors=True)
    vocabulary_without(missing, words)
    one = scan(folder / "one", tables, words, fps)
    run_mine(tables, queue, MiningOptions(count=500))
    said = decide(queue, one, rejected)
    promotion = propose_from_queue(queue, tables, str(words), least)
    write_promotion(promotion, str(promoted))
    before = scan(folder / "two", tables, words, fps)
    after = scan(folder / "two", tables, promoted, fps)
    return Loop(one, before, after, said, promotion, compare_scans(Tables.at(tables), before.scan_id, after.scan_id))


def figures(loop: Loop, missing: str, rejected: str) -> dict[str, object]:
    """What the loop was worth."""
    alarms = Counter(seen.best for seen in loop.one.seen.values() if seen.false)
    often = {name: loop.said[f"not an object, called {name}"] for name in alarms}
    return {
        "promoted": [f"{change.kind} {change.subject}: {change.reason}" for change in loop.promotion.changes],
        "left alone": loop.promotion.notes,
        "scan ids": [loop.before.scan_id, loop.after.scan_id],
        "names gained": loop.comparison.names_gained,
        "missing name": {
            "night one": dict(Counter(seen.name for seen in loop.one.of(missing)).most_common()),
            "night two, old vocabulary": dict(Counter(seen.name for seen in loop.before.of(missing)).most_common()),
            "night two": dict(Counter(seen.name for seen in loop.after.of(missing)).most_common()),
            "unknown object in night one": share(loop.one.of(missing), UNKNOWN_NAME),
            "right in night two": share(loop.after.of(missing), missing),
        },
        "rejected kind": fall(loop, lambda seen: seen.item.kind == rejected),
        "false alarms of kinds rejected five times": {
            name: fall(loop, lambda seen, name=name: seen.false and seen.best == name)  # type: ignore[misc]
            for name, times in sorted(often.items())
            if times >= REJECTED
        },
        "all false alarms": fall(loop, lambda seen: seen.false),
        "instances of other objects": fall(loop, lambda seen: seen.item.kind not in (None, missing, rejected)),
        "true finds that are gone": gone(loop, rejected),
    }


def share(seen: list[Seen], name: str) -> float | None:
    """How many of these instances are called so."""
    return round(sum(one.name == name for one in seen) / len(seen), 3) if seen else None


def fall(loop: Loop, which: Callable[[Seen], bool]) -> dict[str, float | int | None]:
    """How many such instances the second night has with the old and the new vocabulary."""
    before, after = (sum(map(which, night.seen.values())) for night in (loop.before, loop.after))
    return {"before": before, "after": after, "fall": round(1 - after / before, 3) if before else None}


def gone(loop: Loop, rejected: str) -> dict[str, int]:
    """The wanted objects on frames of the second night that the old vocabulary shows and the new one does not."""
    still = {(seen.item.thing, frame) for (_, frame), seen in loop.after.seen.items()}
    lost = Counter(
        f"{seen.item.kind}, called {seen.best}"
        for (_, frame), seen in loop.before.seen.items()
        if seen.item.kind not in (None, rejected) and (seen.item.thing, frame) not in still
    )
    return dict(lost.most_common())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/loop"))
    parser.add_argument("--missing", default="traffic cone", help="a kind of the demo fleet")
    parser.add_argument("--rejected", default="pumpkin", help="another, of which nobody wants to hear")
    parser.add_argument("--seed", type=int, default=41, help="of the first night; the second has the next one")
    parser.add_argument("--clips", type=int, default=3, help="a drive; each night has two drives")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--fps", type=float, default=2.0)
    parser.add_argument("--at-least", type=int, default=3, help="decisions that a change of the vocabulary needs")
    given = parser.parse_args()
    loop = run(
        given.out, given.missing, given.rejected, given.seed, given.clips, given.seconds, given.fps, given.at_least
    )
    told = {
        "arguments": {key: str(value) for key, value in vars(given).items() if key != "out"},
        "decisions": dict(loop.said),
        **figures(loop, given.missing, given.rejected),
    }
    print(json.dumps(told, indent=1))
    write_results("loop", told)


if __name__ == "__main__":
    main()
