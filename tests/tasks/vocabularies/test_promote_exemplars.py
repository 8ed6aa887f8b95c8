"""Judged objects become exemplars of their names: which, how far they are trusted, and how that is taken back."""

from dataclasses import replace

import numpy as np
import pytest

from clipomaly_core.names import Exemplars
from clipomaly_core.vocabulary import Vocabulary
from schemas.review import ItemStatus, State, Verdict
from tasks.vocabularies.change import ChangeKind
from tasks.vocabularies.promote import Promotion, propose, write_promotion
from tests.tasks.vocabularies.test_promote import SPACES, direction, judged


def promote(items, file=None, **rest) -> Promotion:
    return propose(items, str(file) if file else None, SPACES, 3, **rest)


def exemplars(promotion: Promotion) -> dict[str, Exemplars]:
    return {change.subject: change.exemplars for change in promotion.changes if change.exemplars}


def weights(one: Exemplars) -> list[float]:
    return np.frombuffer(one.weights, "<f4").tolist()


def test_a_name_of_the_vocabulary_that_was_given_often_enough_gets_exemplars():
    items = judged(3, Verdict.RELABEL, "cow", "boulder", direction(1))
    promotion = promote(items)
    assert [(change.kind, change.subject) for change in promotion.changes] == [(ChangeKind.EXEMPLARS, "cow")]
    assert promotion.changes[0].reason == "given 3 times, accepted never; 3 sightings"
    assert exemplars(promote(items[:2])) == {}


def test_more_decisions_are_trusted_more():
    few, many = (exemplars(promote(judged(n, Verdict.RELABEL, "cow", "boulder", direction(1))))["cow"] for n in (3, 6))
    assert 0.5 < max(weights(few)) < min(weights(many)) < 1


def test_what_was_judged_otherwise_too_is_trusted_less_and_lies_beside_with_no_trust():
    cows = judged(4, Verdict.RELABEL, "cow", "boulder", direction(1))
    alone = exemplars(promote(cows))
    assert alone.keys() == {"cow"}
    promotion = promote([*cows, *judged(1, Verdict.RELABEL, "horse", "boulder", direction(1), seed=9)])
    disputed = exemplars(promotion)
    assert max(weights(disputed.pop("cow"))) < min(weights(alone["cow"]))
    [limit] = disputed.values()
    assert limit.name is None and weights(limit) == [0]
    assert (
        promotion.changes[-1].reason
        == "1 sightings that were judged otherwise or too seldom limit the exemplars of names"
    )


def test_looks_that_were_mostly_judged_otherwise_are_no_exemplars():
    items = [
        *judged(3, Verdict.RELABEL, "cow", "boulder", direction(1)),
        *judged(5, Verdict.NOT_AN_OBJECT, None, "boulder", direction(1), seed=9),
    ]
    promotion = promote(items)
    assert exemplars(promotion) == {}
    assert any("cow" in note and "judged otherwise" in note for note in promotion.notes)


def test_all_sightings_of_an_object_are_exemplars():
    items = judged(3, Verdict.RELABEL, "cow", "boulder", direction(1))
    looks = tuple(one.item.embedding for one in judged(4, Verdict.ACCEPT, "x", "x", direction(1), seed=5))
    items = [replace(one, item=replace(one.item, track_id=f"track-{number}")) for number, one in enumerate(items)]
    promotion = promote(items, sightings={"track-0": looks})
    assert "6 sightings" in promotion.changes[0].reason
    assert len(weights(exemplars(promotion)["cow"])) == 6


def test_sightings_of_a_track_that_went_over_to_another_object_are_no_exemplars():
    items = judged(3, Verdict.RELABEL, "cow", "boulder", direction(1))
    items = [replace(one, item=replace(one.item, track_id=f"track-{number}")) for number, one in enumerate(items)]
    shown, other = direction(1), direction(2)
    on_the_way = (shown + 0.45 * other, shown + 1.2 * other)  # each looks like the one before
    looks = tuple((look / np.linalg.norm(look)).astype("<f2").tobytes() for look in (shown, *on_the_way, -other))
    kept = exemplars(promote(items, sightings={"track-0": looks}))["cow"]
    cows = np.frombuffer(kept.embeddings, "<f2").reshape(len(weights(kept)), -1).astype(np.float32)
    assert len(cows) == 5  # three of the track, and one of each other cow
    assert (cows @ other > -0.5).all()


def test_exemplars_reach_farther_where_sightings_of_one_object_differ_more():
    items = judged(3, Verdict.RELABEL, "cow", "boulder", direction(1))
    items = [replace(one, item=replace(one.item, track_id=f"track-{number}")) for number, one in enumerate(items)]

    def reach(spread: float) -> float:
        looks = [judged(8, Verdict.ACCEPT, "x", "x", direction(1), spread, seed) for seed in range(3)]
        sightings = {f"track-{n}": tuple(one.item.embedding for one in own) for n, own in enumerate(looks)}
        [width] = set(np.frombuffer(exemplars(promote(items, sightings=sightings))["cow"].widths, "<f4").tolist())
        return width

    steady, less_steady, restless = (reach(spread) for spread in (0.05, 0.3, 0.6))
    assert steady == less_steady
    assert restless > 1.2 * steady


def test_one_decision_and_its_duplicates_reach_less_far_than_several():
    [first, second, *others] = judged(5, Verdict.RELABEL, "cow", "boulder", direction(1))
    duplicates = [replace(one, status=ItemStatus(State.DUPLICATE, duplicate_of=first.item.item_id)) for one in others]
    assert exemplars(promote([first, duplicates[0]])) == {}
    one, several = (exemplars(promote([*direct, *duplicates]))["cow"] for direct in ([first], [first, second]))
    assert "with 3 duplicates" in one.reason
    assert max(np.frombuffer(one.widths, "<f4")) < 0.5 * min(np.frombuffer(several.widths, "<f4"))


def test_a_name_that_is_left_out_gets_no_exemplars():
    items = [
        *judged(3, Verdict.RELABEL, "cow", "boulder", direction(1)),
        *judged(3, Verdict.RELABEL, "parade balloon", "boulder", direction(2), seed=1),
    ]
    assert exemplars(promote(items)).keys() == {"cow", "parade balloon"}
    assert exemplars(promote(items, leave_out=["Cows", "parade balloon"])) == {}


def test_without_tables_there_are_no_exemplars():
    items = judged(3, Verdict.RELABEL, "cow", "boulder", direction(1))
    assert propose(items, None, {}, 3).changes == ()


@pytest.fixture
def first(tmp_path):
    """The first version, with exemplars of two names."""
    items = [
        *judged(3, Verdict.RELABEL, "cow", "boulder", direction(1)),
        *judged(3, Verdict.RELABEL, "horse", "boulder", direction(2), seed=1),
    ]
    path = tmp_path / "words-1.yaml"
    write_promotion(promote(items), str(path))
    return path


def test_what_is_written_is_read_again_and_asks_for_nothing_more(first):
    assert {one.name for one in Vocabulary.load(str(first)).exemplars} == {"cow", "horse"}
    again = promote(judged(3, Verdict.RELABEL, "cow", "boulder", direction(1)), first)
    assert again.changes == ()
    assert any("cow" in note and "already" in note for note in again.notes)


def test_the_next_version_keeps_what_other_queues_gave(first):
    promotion = promote(judged(4, Verdict.ACCEPT, "cow", "cow", direction(1), seed=7), first)
    write_promotion(promotion, str(first.with_name("words-2.yaml")))
    after = {one.name: one for one in Vocabulary.load(str(first.with_name("words-2.yaml"))).exemplars}
    before = {one.name: one for one in Vocabulary.load(str(first)).exemplars}
    assert after["horse"] == before["horse"]
    assert len(weights(after["cow"])) == 7 and after["cow"].sha256 != before["cow"].sha256


def test_a_decision_that_was_changed_takes_its_exemplars_back(first):
    changed = judged(3, Verdict.RELABEL, "cow", "boulder", direction(1))
    changed = [replace(one, status=replace(one.status, name="horse")) for one in changed]
    more = judged(3, Verdict.RELABEL, "cow", "boulder", direction(3), seed=8)
    after = exemplars(promote([*changed, *more], first))
    assert len(weights(after["cow"])) == 3


def test_taking_the_entry_out_of_the_file_takes_its_exemplars_back(first):
    lines = first.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if "name: cow" in line) - 1
    first.write_text("\n".join([*lines[:start], *lines[start + 6 :]]) + "\n")
    assert [one.name for one in Vocabulary.load(str(first)).exemplars] == ["horse"]


def test_the_vocabulary_tells_which_names_people_replaced(first):
    text = first.read_text()
    [cow] = [one for one in Vocabulary.load(str(first)).exemplars if one.name == "cow"]
    assert cow.instead_of == ("boulder",) and text.count("instead_of: [boulder]") == 2
    other = first.with_name("other.yaml")
    other.write_text(text.replace("instead_of: [boulder]", "instead_of: [stone]", 1))
    assert Vocabulary.load(str(other)).sha256 != Vocabulary.load(str(first)).sha256
