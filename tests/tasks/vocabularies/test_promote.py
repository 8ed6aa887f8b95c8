"""What becomes of decisions: names, other words, suppressions, each with its reason, and nothing unseen."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clipomaly_core.names import NameSource, Suppression
from clipomaly_core.types import UNKNOWN_NAME
from clipomaly_core.vocabulary import Vocabulary
from schemas.review import ItemStatus, QueuedItem, State, Verdict
from tasks.errors import UsageError, UserError
from tasks.mining.neighbours import Distances
from tasks.vocabularies.change import Change, ChangeKind
from tasks.vocabularies.promote import Promotion, propose, write_promotion
from tasks.vocabularies.verdicts import Space
from tests.review.samples import make_item

MODEL = "f" * 64
SPACES = {"scan-1": Space(MODEL, Distances(1.0))}
FILE = """\
# our words
extends: builtin
dictionary:
  user: [parade float]  # since May
"""


def judged(
    count: int,
    verdict: Verdict,
    name: str | None = None,
    suggested: str = UNKNOWN_NAME,
    look: npt.NDArray[np.float32] | None = None,
    spread: float = 0.05,
    seed: int = 0,
) -> list[QueuedItem]:
    """Items of one kind: their embeddings lie around ``look``."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        embedding = None
        if look is not None:
            vector = look + spread * rng.normal(size=look.shape) / np.sqrt(len(look))
            embedding = (vector / np.linalg.norm(vector)).astype("<f2").tobytes()
        item = make_item(1, item_id=f"{verdict.name}-{name}-{seed}-{number}", name=suggested, embedding=embedding)
        status = ItemStatus(
            State.DECIDED, verdict=verdict, name=name, decided_by="ada", decided_at=datetime(2026, 11, 24, tzinfo=UTC)
        )
        made.append(QueuedItem(item, status))
    return made


def direction(seed: int) -> npt.NDArray[np.float32]:
    vector = np.random.default_rng(seed).normal(size=64)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def run(items: Sequence[QueuedItem], file: Path | None = None, least: int = 3, **rest: Any) -> Promotion:
    return propose(items, str(file) if file else None, SPACES, least, **rest)


def of_kind(promotion: Promotion, kind: ChangeKind) -> list[Change]:
    return [change for change in promotion.changes if change.kind is kind]


def suppressions(promotion: Promotion) -> list[Suppression]:
    return [change.suppression for change in promotion.changes if change.suppression]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words.yaml"
    path.write_text(FILE)
    return path


def test_a_name_that_was_given_or_accepted_often_enough(file):
    items = [
        *judged(2, Verdict.RELABEL, "parade balloon"),
        *judged(2, Verdict.ACCEPT, "Parade balloons", "Parade balloons"),
        *judged(2, Verdict.RELABEL, "flamingo raft"),
    ]
    promotion = run(items, file)
    [change] = promotion.changes
    assert (change.kind, change.subject) == (ChangeKind.NAME, "Parade balloons")
    assert change.reason == "given twice, accepted twice"
    after = Vocabulary.parse(promotion.after, "next")
    assert [c.source for c in after.candidates if c.name == "Parade balloons"] == [NameSource.PROMOTED]
    assert after.sha256 != Vocabulary.load(str(file)).sha256
    assert "# our words" in promotion.after and "# since May" in promotion.after
    assert "- Parade balloons # given twice, accepted twice" in " ".join(promotion.after.split())


def test_names_that_change_nothing_are_told(file):
    items = [
        *judged(3, Verdict.ACCEPT, "mattress", "mattress"),
        *judged(3, Verdict.RELABEL, "motorcar"),
        *judged(3, Verdict.RELABEL, "ice sculpture", seed=1),
        *judged(1, Verdict.KNOWN, "ice sculpture", seed=2),
    ]
    promotion = run(items, file)
    assert promotion.changes == ()
    assert promotion.after == FILE
    assert [note.split(":")[0] for note in promotion.notes] == ["ice sculpture", "mattress", "motorcar"]
    assert "Decide it" in promotion.notes[0] and "already" in promotion.notes[1] and "car" in promotion.notes[2]


def test_a_name_that_was_always_one_known_class_is_another_word_for_it(file):
    items = [
        *judged(3, Verdict.KNOWN, "car", "velomobile"),
        *judged(3, Verdict.KNOWN, "truck", "crate", seed=1),
        *judged(1, Verdict.ACCEPT, "crate", "crate", seed=2),
        *judged(4, Verdict.KNOWN, "bus", UNKNOWN_NAME, seed=3),
    ]
    promotion = run(items, file)
    [change] = promotion.changes
    assert (change.kind, change.subject, change.known) == (ChangeKind.WORD, "velomobile", "car")
    after = Vocabulary.parse(promotion.after, "next")
    assert "velomobile" in next(known.synonyms for known in after.known if known.name == "car")
    assert "velomobile" not in after.extend(["velomobile"]).names[len(after.known) :]
    assert any(note.startswith("crate: judged truck 3 times") for note in promotion.notes)


def test_rejected_look_alikes_are_suppressed_and_accepted_ones_are_not(file):
    nothing, thing = direction(1), direction(2)
    items = [
        *judged(5, Verdict.NOT_AN_OBJECT, None, "puddle", nothing),
        *judged(2, Verdict.NOT_AN_OBJECT, None, "glare", direction(3)),
        *judged(5, Verdict.ACCEPT, "ladder", "ladder", thing),
    ]
    promotion = run(items, file)
    made = of_kind(promotion, ChangeKind.SUPPRESSION)
    assert all("rejected 5 times (puddle 5)" in change.reason for change in made)
    suppressed = Vocabulary.parse(promotion.after, "next").suppressed
    assert suppressed == tuple(change.suppression for change in made)
    # What is called so again is taken from further away; by its looks alone it is taken whatever it is called.
    named, nameless = suppressed
    assert (named.name, nameless.name) == ("puddle", None) and named.cosine < nameless.cosine
    for one in suppressed:
        middle = np.frombuffer(one.embedding, "<f2").astype(float)
        for item in items:
            assert item.item.embedding
            vector = np.frombuffer(item.item.embedding, "<f2").astype(float)
            near = vector @ middle / np.linalg.norm(middle) >= one.cosine
            assert near == (item.item.name == "puddle")
    # Once it is in the file, the same decisions ask for nothing more.
    write_promotion(promotion, str(file.with_name("words-2.yaml")))
    again = run(items, file.with_name("words-2.yaml"))
    assert again.changes == ()
    assert any("already" in note for note in again.notes)


def test_what_looks_like_an_accepted_object_is_not_suppressed(file):
    look = direction(1)
    items = [
        *judged(5, Verdict.NOT_AN_OBJECT, None, "tire", look),
        *judged(5, Verdict.ACCEPT, "tire", "tire", look, seed=1),
    ]
    promotion = run(items, file)
    assert promotion.changes == ()
    assert any("accepted objects look the same" in note for note in promotion.notes)
    assert any("mostly judged otherwise" in note for note in promotion.notes)


def test_duplicates_share_the_verdict_of_what_stands_for_them(file):
    look = direction(1)
    first, second = judged(2, Verdict.NOT_AN_OBJECT, None, "puddle", look)
    others = judged(3, Verdict.UNSURE, None, "oil spill", look, seed=1)
    # The last points to the one before it: an older scan's, which was merged twice.
    points = [first.item.item_id, second.item.item_id, others[1].item.item_id]
    duplicates = [
        replace(one, status=ItemStatus(State.DUPLICATE, duplicate_of=to))
        for one, to in zip(others, points, strict=True)
    ]
    assert run([first, second], file).changes == ()
    [nameless] = run([*duplicates, first, second], file).changes
    assert nameless.reason.startswith("rejected twice with 3 duplicates (oil spill 3, puddle 2)")
    assert nameless.suppression is not None and nameless.suppression.name is None
    # One verdict for all reaches less far, and what is open suppresses nothing.
    alone = [replace(one, status=ItemStatus(State.DUPLICATE, duplicate_of=first.item.item_id)) for one in others]
    [narrow] = suppressions(run([first, *alone], file))
    assert 1 - narrow.cosine < 0.5 * (1 - nameless.suppression.cosine)
    pending = replace(second, status=ItemStatus(State.PENDING))
    assert run([*duplicates, first, pending], file).changes == ()
    # Duplicates of accepted objects keep a suppression away from them.
    kept = judged(1, Verdict.ACCEPT, "ladder", "ladder", direction(2))
    near = [
        replace(one, status=ItemStatus(State.DUPLICATE, duplicate_of=kept[0].item.item_id))
        for one in judged(1, Verdict.UNSURE, None, "ladder", look, seed=3)
    ]
    assert run([*duplicates, first, second, *kept, *near], file).changes == ()


def test_known_things_of_changing_names_are_suppressed_by_their_looks(file):
    look = direction(4)
    items = [
        one
        for number, name in enumerate(("crate", "skip", "tent", "kiosk"))
        for one in judged(1, Verdict.KNOWN, "truck", name, look, seed=number)
    ]
    promotion = run(items, file)
    assert [change.kind for change in promotion.changes] == [ChangeKind.SUPPRESSION]
    assert "truck 4" in promotion.changes[0].reason


def test_items_of_scans_that_are_not_in_the_tables_suppress_nothing(file):
    items = judged(5, Verdict.NOT_AN_OBJECT, None, "puddle", direction(1))
    promotion = propose(items, str(file), {}, 3)
    assert promotion.changes == ()
    assert promotion.notes == ("5 rejected items have no embedding of a scan in the tables: they suppress nothing.",)


def test_the_diff_has_a_reason_in_each_line_and_short_embeddings(file):
    items = [
        *judged(3, Verdict.RELABEL, "parade balloon"),
        *judged(3, Verdict.KNOWN, "car", "velomobile"),
        *judged(5, Verdict.NOT_AN_OBJECT, None, "puddle", direction(1)),
    ]
    diff = run(items, file).diff("words.yaml", "words-2.yaml")
    added = [line for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert max(map(len, added)) <= 120
    assert any("parade balloon" in line and "given 3 times" in line for line in added)
    assert any("velomobile" in line and "car 3 times" in line for line in added)
    assert any("reason: rejected 5 times (puddle 5)" in line for line in added)
    assert not any(line.startswith("-") and not line.startswith("---") for line in diff.splitlines())


@pytest.mark.parametrize("entry", ["  - [tire, tyre]", "  - - tire\n    - tyre", "    - [tire, tyre]"])
def test_a_file_keeps_its_indentation(file, entry):
    lists = ["extends: builtin", "dictionary:", "  cargo:", *entry.split("\n")]
    file.write_text("\n".join(lists) + "\n")
    promotion = run(judged(3, Verdict.RELABEL, "parade balloon"), file)
    kept = [line for line in promotion.after.splitlines() if "promoted" not in line and "balloon" not in line]
    assert kept == lists
    assert "parade balloon" in Vocabulary.parse(promotion.after, "next").names


@pytest.mark.parametrize(
    ("suggested", "reaches"), [("puddle", {"puddle": 1.5, None: 1.0}), (UNKNOWN_NAME, {None: 1.0})]
)
def test_a_suppression_reaches_as_far_as_look_alikes_do(file, suggested, reaches):
    items = judged(5, Verdict.NOT_AN_OBJECT, None, suggested, direction(1), spread=0.0)
    items = [replace(one, item=replace(one.item, names=())) for one in items]
    found = {one.name: one.cosine for one in suppressions(run(items, file))}
    assert found == {name: pytest.approx(1 - reach * 0.35) for name, reach in reaches.items()}
    # The same distance is another cosine in a model whose embeddings all lie near each other.
    spaces = {"scan-1": Space(MODEL, Distances(0.2))}
    found = {one.name: one.cosine for one in suppressions(propose(items, str(file), spaces, 3))}
    assert found == {name: pytest.approx(1 - reach * 0.35 * 0.2) for name, reach in reaches.items()}


def test_what_is_rejected_under_one_name_may_look_less_alike(file):
    look, near = direction(1), direction(2)
    other = np.asarray(0.55 * look + np.sqrt(1 - 0.55**2) * (near - (near @ look) * look), np.float32)
    alike = [*judged(3, Verdict.NOT_AN_OBJECT, None, "puddle", look, spread=0.6),
             *judged(3, Verdict.NOT_AN_OBJECT, None, "puddle", look, spread=0.6, seed=1)]  # fmt: skip
    [named, _] = suppressions(run(alike, file))
    assert named.name == "puddle"
    # An accepted puddle bounds it; an accepted object of another name does not.
    bound = run([*alike, *judged(3, Verdict.RELABEL, "oil spill", "puddle", other, spread=0.0)], file)
    free = run([*alike, *judged(3, Verdict.RELABEL, "tire", "tire", other, spread=0.0)], file)
    bounded, unbounded = (
        next(one.cosine for one in suppressions(found) if one.name == "puddle") for found in (bound, free)
    )
    assert bounded > unbounded == named.cosine


def test_a_change_can_be_left_out(file):
    items = [*judged(3, Verdict.RELABEL, "parade balloon"), *judged(3, Verdict.RELABEL, "flamingo raft")]
    assert [change.subject for change in run(items, file, leave_out=["Parade balloon"]).changes] == ["flamingo raft"]


def test_without_a_file_the_built_in_vocabulary_grows(tmp_path):
    promotion = run(judged(3, Verdict.RELABEL, "parade balloon"))
    out = tmp_path / "words.yaml"
    write_promotion(promotion, str(out))
    names = Vocabulary.load(str(out)).names
    assert "parade balloon" in names and "mattress" in names


def test_an_older_version_is_never_overwritten(file):
    promotion = run(judged(3, Verdict.RELABEL, "parade balloon"), file)
    with pytest.raises(UserError, match="already"):
        write_promotion(promotion, str(file))
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("dictionary:\n  user: [ladder, ladder]\n", 2, "twice"),
        ("extends: builtin\ndictionary: {}\nalso_known:\n  zeppelin: [blimp]\n", 4, "no known class"),
        ("extends: builtin\ndictionary: {}\nsuppressed:\n  - reason: x\n    model: y\n", 4, "cosine"),
        (
            "extends: builtin\ndictionary: {}\nsuppressed:\n  - reason: x\n    model: y\n    cosine: 2\n"
            "    embedding: AAAA\n",
            6,
            "above 0",
        ),
        (
            "extends: builtin\ndictionary: {}\nsuppressed:\n  - reason: x\n    model: y\n    cosine: 0.9\n"
            "    embedding: not base64\n",
            7,
            "base64",
        ),
    ],
)
def test_a_file_edited_by_hand_with_an_error_names_its_line(file, text, line, says):
    file.write_text(text)
    with pytest.raises(UsageError, match=rf"line {line}: .*{says}"):
        run(judged(3, Verdict.RELABEL, "parade balloon"), file)
    assert file.read_text() == text


def test_the_identity_of_a_vocabulary_without_suppressions_is_what_it_was():
    plain = Vocabulary.load()
    changed = replace(plain, suppressed=())
    assert plain.sha256 == changed.sha256


def test_every_decision_is_told_with_what_it_changes_or_why_not(file):
    items = [
        *judged(3, Verdict.RELABEL, "cow", "boulder", direction(1)),
        *judged(3, Verdict.KNOWN, "car", "velomobile", seed=1),
        *judged(3, Verdict.NOT_AN_OBJECT, None, "puddle", direction(2), seed=2),
        *judged(2, Verdict.RELABEL, "goat", "dog", direction(3), seed=3),
        *judged(1, Verdict.NOT_AN_OBJECT, None, "glare", direction(4), seed=4),
        *judged(1, Verdict.UNSURE, None, "dog", direction(5), seed=5),
        *judged(1, Verdict.ACCEPT, None, UNKNOWN_NAME, direction(6), seed=6),
        *judged(1, Verdict.NOT_AN_OBJECT, None, "dog", seed=7),
        *judged(3, Verdict.ACCEPT, "tire", "tire", direction(7), seed=8),
    ]
    told = {(one.count, one.decision): (one.changes, one.effect) for one in run(items, file).outcomes}
    assert sum(count for count, _ in told) == len(items)
    assert told == {
        (3, "named cow (it was called boulder)"): (True, "exemplars of cow"),
        (3, "known car (it was called velomobile)"): (True, "another word velomobile for car"),
        (3, "not an object (it was called puddle)"): (True, "suppression puddle 3"),
        (3, "accepted tire"): (True, "exemplars of tire"),
        (2, "named goat (it was called dog)"): (False, "2 of the 3 decisions that a name needs"),
        (1, "not an object (it was called glare)"): (False, "fewer than 3 that look like it were rejected"),
        (1, "unsure"): (False, "nobody could tell what it is"),
        (1, "accepted unknown object"): (False, "it was given no name"),
        (1, "not an object (it was called dog)"): (False, "it has no embedding"),
    }


def test_what_is_left_out_as_asked_is_told_so(file):
    items = [
        *judged(3, Verdict.RELABEL, "parade balloon"),
        *judged(3, Verdict.NOT_AN_OBJECT, None, "puddle", direction(2), seed=2),
    ]
    outcomes = run(items, file, leave_out=["parade balloon", "puddle 3"]).outcomes
    assert {one.effect for one in outcomes} == {"it is left out, as asked"}
