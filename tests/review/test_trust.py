"""Decisions that can be trusted: no class without a name, names that are merged, second opinions, remarks."""

import pytest

from review import BadInputError, ConflictError, Queue, UnknownItemError
from review.names import KnownName, complete_name, nearest_names, unclear_reason
from schemas.review import UNKNOWN_NAME, EventKind, NameScore, Second, State, Unclear, Verdict
from tests.review.samples import make_item, make_items
from tests.review.trail import check_trail

TENT = (NameScore("tent", 0.98), NameScore("shark", 0.01))


def unclear(number: int = 0, **changes: object):
    return make_item(number, **({"name": UNKNOWN_NAME, "names": TENT, "unclear": Unclear.DISTANCE} | changes))


# "unknown object" is no name


def test_accepting_an_item_without_a_clear_name_records_the_suggestion(queue: Queue) -> None:
    queue.enqueue([unclear()])
    [decision] = queue.decide("ann", "item000000", Verdict.ACCEPT)
    assert (decision.verdict, decision.name) == (Verdict.ACCEPT, "tent")


def test_accepting_where_nothing_is_suggested_is_refused(queue: Queue) -> None:
    queue.enqueue([make_item(0), unclear(1, names=())])
    with pytest.raises(BadInputError, match="no suggestion to accept"):
        queue.decide("ann", ["item000000", "item000001"], Verdict.ACCEPT)
    assert list(queue.decisions()) == []


def test_a_group_is_accepted_by_each_items_own_name(queue: Queue) -> None:
    queue.enqueue([make_item(0), unclear(1), make_item(2)])
    done = queue.decide("ann", ["item000000", "item000001", "item000002"], Verdict.ACCEPT)
    assert [one.name for one in done] == ["traffic cone", "tent", "tire"]


@pytest.mark.parametrize(
    "name", ["unknown object", "Unknown  Objects", "unknown-object", "unnamed", "Unsure", "not an object"]
)
@pytest.mark.parametrize("verdict", [Verdict.RELABEL, Verdict.KNOWN])
def test_words_that_name_nothing_are_no_names(queue: Queue, name: str, verdict: Verdict) -> None:
    queue.enqueue([make_item(0)])
    with pytest.raises(BadInputError, match=r"not the name|a verdict"):
        queue.decide("ann", "item000000", verdict, name)


def test_what_names_nothing_is_not_offered(queue: Queue) -> None:
    queue.set_vocabulary(["car"], ["tent", "unknown object"])
    assert [one.name for one in queue.vocabulary()] == ["car", "tent"]


@pytest.mark.parametrize(
    ("why", "words"),
    [(Unclear.MARGIN, "nearly as likely"), (Unclear.DISTANCE, "does not look like any name"), (None, "not sure")],
)
def test_why_there_is_no_name_is_said_in_words(why: Unclear | None, words: str) -> None:
    assert words in str(unclear_reason(unclear(unclear=why)))
    assert unclear_reason(make_item(0)) is None


def test_what_is_told_of_an_item_comes_back(queue: Queue) -> None:
    item = unclear(anomaly_percentile=0.93, anomaly_of=40, timestamp_source="mtime")
    queue.enqueue([item])
    assert queue.item(item.item_id).item == item


# What old queues hold


def _old_decision(queue: Queue, item_id: str, name: str) -> None:
    from sqlalchemy import update

    from review.tables import items

    queue.decide("ann", item_id, Verdict.RELABEL, "placeholder")
    statement = update(items).where(items.c.item_id == item_id).values(decided_name=name)
    queue.database.write(lambda connection: connection.execute(statement))


def test_an_old_queue_is_told_of_decisions_that_name_nothing_and_of_slips(queue: Queue) -> None:
    queue.enqueue([unclear(0), *make_items(8)[1:]])
    _old_decision(queue, "item000000", UNKNOWN_NAME)
    for number in (1, 2, 3):
        queue.decide("ann", f"item{number:06d}", Verdict.RELABEL, "jerry can")
    queue.decide("ann", "item000004", Verdict.RELABEL, "jery can")
    found = queue.audit()
    assert [(one.decision.item_id, one.decision.name) for one in found.unnamed] == [("item000000", UNKNOWN_NAME)]
    assert [(one.name, one.likely, one.items, one.likely_items) for one in found.spellings] == [
        ("jery can", "jerry can", 1, 3)
    ]
    assert not found.is_clean
    queue.reopen("ann", "item000000", "it has no name")
    queue.rename("ann", ["jery can"], "jerry can")
    assert queue.audit().is_clean


# Names


def test_nearest_names_come_first() -> None:
    names = [KnownName(name, False) for name in ("jerry can", "canoe", "tin can", "pumpkin")]
    assert [one.name for one in complete_name(names, "jery can")] == ["jerry can"]
    assert nearest_names(["jerry can", "jerrycan", "pumpkin"], "jery can")[:2] == ["jerry can", "jerrycan"]
    assert nearest_names(["pumpkin"], "jery can") == []


def test_suggestions_of_the_item_come_first_among_equals() -> None:
    names = [KnownName(name, False) for name in ("tarp", "tent", "tire")]
    assert [one.name for one in complete_name(names, "t", suggested=["tire"])] == ["tire", "tarp", "tent"]


def test_names_are_merged_with_an_event_for_each_decision(queue: Queue) -> None:
    queue.set_vocabulary(["car"], ["jerry can"])
    queue.enqueue(make_items(4))
    for number, name in enumerate(["jery can", "gerry can", "Jerry can"]):
        queue.decide("ann", f"item{number:06d}", Verdict.RELABEL, name)
    assert queue.rename("bob", ["jery can", "gerry can"], "JERRY CAN") == 2
    assert {one.name for one in queue.decisions()} == {"jerry can"}
    event = queue.events("item000000")[-1]
    assert (event.kind, event.actor, event.note) == (EventKind.RENAMED, "bob", "jery can → jerry can")
    assert [one.name for one in queue.vocabulary()] == ["car", "jerry can"]
    for number in range(3):
        check_trail(queue, f"item{number:06d}")
    # What was renamed is still the reviewer's own to take back.
    queue.undo("ann", "item000000")
    assert queue.item("item000000").status.state is State.LEASED


def test_a_name_merged_into_a_known_class_is_known(queue: Queue) -> None:
    queue.set_vocabulary(["car"])
    queue.enqueue(make_items(1))
    queue.decide("ann", "item000000", Verdict.RELABEL, "carr")
    queue.rename("ann", ["carr"], "Car")
    [decision] = queue.decisions()
    assert (decision.verdict, decision.name) == (Verdict.KNOWN, "car")
    with pytest.raises(BadInputError, match="known vocabulary"):
        queue.rename("ann", ["car"], "automobile")


# Groups


def test_a_group_tells_what_it_holds(queue: Queue) -> None:
    queue.enqueue(
        [make_item(0, cluster="a", name="jerrycan"), make_item(1, cluster="a", name="traffic cone")]
        + [make_item(number, cluster="b", name="tire") for number in (2, 3)]
    )
    mixed, alike = sorted(queue.clusters(), key=lambda one: one.cluster)
    assert mixed.names == (("jerrycan", 1), ("traffic cone", 1)) and mixed.is_mixed and mixed.items == 2
    assert alike.names == (("tire", 2),) and not alike.is_mixed


# Opened again, remarks, taken back


def test_a_decision_is_opened_again_with_a_reason(queue: Queue) -> None:
    queue.enqueue(make_items(1))
    queue.decide("ann", "item000000", Verdict.NOT_AN_OBJECT)
    with pytest.raises(BadInputError, match="Say why"):
        queue.reopen("bob", "item000000", "  ")
    queue.reopen("bob", "item000000", "it is a tire")
    assert queue.item("item000000").status.state is State.PENDING
    assert queue.events("item000000")[-1].note == "it is a tire"
    assert check_trail(queue, "item000000") == 0
    with pytest.raises(ConflictError, match="only judged items"):
        queue.reopen("bob", "item000000", "again")
    queue.decide("bob", "item000000", Verdict.RELABEL, "tire")
    assert check_trail(queue, "item000000") == 1


def test_a_remark_changes_nothing_but_the_history(queue: Queue) -> None:
    queue.enqueue(make_items(1))
    before = queue.item("item000000").status
    queue.comment("ann", "item000000", "seen before in Leipzig")
    event = queue.events("item000000")[-1]
    assert (event.kind, event.note, event.actor) == (EventKind.COMMENTED, "seen before in Leipzig", "ann")
    assert queue.item("item000000").status == before
    with pytest.raises(UnknownItemError):
        queue.comment("ann", "nothing", "x")


def test_several_decisions_are_taken_back_at_once(queue: Queue) -> None:
    queue.enqueue(make_items(5))
    queue.decide("ann", ["item000000", "item000001"], Verdict.ACCEPT)
    queue.decide("ann", "item000002", Verdict.UNSURE)
    queue.decide("bob", "item000003", Verdict.UNSURE)
    with pytest.raises(ConflictError):
        queue.undo_items("ann", ["item000002", "item000003"])
    assert queue.item("item000002").status.state is State.DECIDED
    back = queue.undo_items("ann", ["item000000", "item000002"])
    assert {one.item.item_id for one in back} == {"item000000", "item000001", "item000002"}
    assert [one.item_id for one in queue.decisions()] == ["item000003"]


# Second opinions


@pytest.fixture
def judged(queue: Queue) -> Queue:
    queue.enqueue(make_items(6))
    queue.decide("ann", [f"item{number:06d}" for number in range(4)], Verdict.ACCEPT)
    return queue


def test_a_second_opinion_goes_to_somebody_else(judged: Queue) -> None:
    assert judged.ask_second("lead", ["item000000", "item000001"]) == 2
    assert judged.next_second("ann") == ()
    assert [one.item.item_id for one in judged.next_second("bob", 5)] == ["item000000", "item000001"]
    assert judged.give_opinion("bob", "item000000", Verdict.RELABEL, "Traffic Cone") is Second.AGREED
    assert judged.give_opinion("bob", "item000001", Verdict.NOT_AN_OBJECT) is Second.DISAGREED
    assert judged.next_second("bob") == ()
    [found] = judged.disagreements()
    assert found.queued.item.item_id == "item000001" and found.opinions[0].reviewer == "bob"
    assert [one.name for one in judged.decisions()][:2] == ["traffic cone", "mattress"]
    check_trail(judged, "item000001")


def test_who_may_not_give_a_second_opinion(judged: Queue) -> None:
    with pytest.raises(ConflictError, match="Nobody asked"):
        judged.give_opinion("bob", "item000000", Verdict.UNSURE)
    judged.ask_second("lead", "item000000")
    with pytest.raises(ConflictError, match="yourself"):
        judged.give_opinion("ann", "item000000", Verdict.UNSURE)
    judged.give_opinion("bob", "item000000", Verdict.UNSURE)
    with pytest.raises(ConflictError, match="already"):
        judged.give_opinion("bob", "item000000", Verdict.UNSURE)
    with pytest.raises(ConflictError, match="needs a first"):
        judged.ask_second("lead", "item000005")


def test_a_disagreement_is_settled_or_judged_anew(judged: Queue) -> None:
    judged.ask_second("lead", ["item000000", "item000001"])
    for number in (0, 1):
        judged.give_opinion("bob", f"item{number:06d}", Verdict.UNSURE)
    judged.settle("lead", "item000000", "the picture is clear")
    assert [one.queued.item.item_id for one in judged.disagreements()] == ["item000001"]
    judged.reopen("lead", "item000001", "look at the whole frame")
    judged.decide("cem", "item000001", Verdict.RELABEL, "pallet")
    assert judged.disagreements() == ()
    assert judged.item("item000001").second is Second.SETTLED


def test_a_share_of_all_is_the_same_each_time(queue: Queue) -> None:
    queue.enqueue(make_items(300))
    for start in (0, 150):
        queue.decide("ann", [f"item{number:06d}" for number in range(start, start + 150)], Verdict.ACCEPT)
    asked = queue.ask_second_share("lead", 0.2)
    assert 30 <= asked <= 90
    assert queue.ask_second_share("lead", 0.2) == 0
    assert queue.agreement().waiting == asked


def test_agreement_is_krippendorffs(judged: Queue) -> None:
    assert judged.agreement().alpha is None
    ids = [f"item{number:06d}" for number in range(4)]
    judged.ask_second("lead", ids)
    for item_id in ids[:3]:
        judged.give_opinion("bob", item_id, Verdict.ACCEPT)
    judged.give_opinion("bob", ids[3], Verdict.UNSURE)
    told = judged.agreement()
    assert (told.items, told.agreed, told.open_disagreements) == (4, 3, 1)
    # Nominal alpha by hand: 1 - (n - 1) * sum of disagreeing pairs / (sum over unlike values n_c * n_k).
    counts = [2, 2, 2, 1, 1]
    expected = 1 - 7 * 2 / (8**2 - sum(count**2 for count in counts))
    assert told.alpha == pytest.approx(expected)
