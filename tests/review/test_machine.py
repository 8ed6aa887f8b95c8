"""Random sequences of everything people do, checked against a plain model of the rules."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from review import ConflictError, Queue, UnknownItemError
from schemas.review import State, Verdict
from tests.review.conftest import Clock
from tests.review.new_queue import new_queue
from tests.review.samples import make_item
from tests.review.trail import check_trail

people = st.sampled_from(["ann", "bob"])
numbers = st.integers(0, 5)


class QueueMachine(RuleBasedStateMachine):
    """``decided`` maps an item to who decided it; nobody else may change that."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.queue = Queue.open(new_queue(Path(self.folder.name) / "queue.db"), clock=self.clock)
        self.entered: set[str] = set()
        self.decided: dict[str, str] = {}

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    @rule(number=numbers, older=numbers)
    def enqueue(self, number: int, older: int) -> None:
        supersedes = () if older >= number else (f"item{older:06d}",)
        self.queue.enqueue([make_item(number, supersedes=supersedes)])
        self.entered.add(f"item{number:06d}")

    @rule(person=people, count=st.integers(1, 3))
    def lease(self, person: str, count: int) -> None:
        for queued in self.queue.lease(person, count=count):
            assert queued.status.holder == person and queued.status.state is State.LEASED
            assert queued.item.item_id not in self.decided

    @rule(person=people, number=numbers, verdict=st.sampled_from([Verdict.ACCEPT, Verdict.UNSURE]))
    def decide(self, person: str, number: int, verdict: Verdict) -> None:
        item_id = f"item{number:06d}"
        try:
            status = self.queue.item(item_id).status
            self.queue.decide(person, item_id, verdict)
        except UnknownItemError:
            assert item_id not in self.entered
        except ConflictError:
            leased = status.state is State.LEASED and status.until is not None and status.until > self.clock.now
            held = leased and status.holder != person
            assert held or item_id in self.decided or status.state is State.DUPLICATE
        else:
            assert item_id not in self.decided
            self.decided[item_id] = person

    @rule(person=people, number=numbers)
    def snooze(self, person: str, number: int) -> None:
        item_id = f"item{number:06d}"
        try:
            self.queue.snooze(person, item_id, timedelta(hours=1))
        except (ConflictError, UnknownItemError):
            return
        assert item_id not in self.decided

    @rule(person=people)
    def undo(self, person: str) -> None:
        try:
            back = self.queue.undo(person)
        except ConflictError:
            assert person not in self.decided.values()
            return
        for queued in back:
            assert self.decided.pop(queued.item.item_id, person) == person

    @rule(person=people)
    def release(self, person: str) -> None:
        self.queue.release(person)

    @rule()
    def export(self) -> None:
        assert self.queue.mark_exported(self.decided, actor="dataset") <= len(self.decided)

    @rule(minutes=st.sampled_from([1, 6, 70]))
    def wait(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @invariant()
    def decisions_stand(self) -> None:
        assert {one.item_id: one.reviewer for one in self.queue.decisions()} == self.decided

    @invariant()
    def every_change_is_on_record(self) -> None:
        for item_id in self.entered:
            assert check_trail(self.queue, item_id) == (item_id in self.decided)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
