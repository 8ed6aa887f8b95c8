"""Reads the events of a queue as an auditor would."""

from dataclasses import replace

from review import Queue
from schemas.review import EventKind, ItemStatus, State


def check_trail(queue: Queue, item_id: str) -> int:
    """Every change of the item is there, each starting where the one before ended; how many decisions stand."""
    standing: set[int] = set()
    status: ItemStatus | None = None
    events = queue.events(item_id)
    assert [event.event_id for event in events] == sorted(event.event_id for event in events)
    assert events[0].kind is EventKind.ENQUEUED
    for event in events:
        # Renewals lengthen a lease without an event.
        assert _without_lease(event.before) == _without_lease(status), event
        if event.kind is EventKind.DECIDED:
            standing.add(event.event_id)
        if event.undoes is not None:  # taken back, or opened again
            standing.discard(event.undoes)
        status = event.after
    assert _without_lease(queue.item(item_id).status) == _without_lease(status)
    judged = status is not None and status.state in (State.DECIDED, State.EXPORTED)
    assert len(standing) == judged
    return len(standing)


def _without_lease(status: ItemStatus | None) -> ItemStatus | None:
    return replace(status, until=None) if status and status.state is State.LEASED else status
