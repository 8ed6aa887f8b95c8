"""The review queue: items in, leases out, decisions back. Every change is one transaction and leaves its events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from review import decisions, enqueue, forget, leases, masks, opinions, places, revisions
from review.changes import CHUNK, MOST_AT_ONCE, check_action, in_chunks, new_action, unique_ids
from review.enqueue import Enqueued as Enqueued
from review.errors import BadInputError
from review.masks import Edit
from review.names import check_class_name, check_item, check_reviewer
from review.queue_reads import EVERYTHING, QueueToRead
from review.reads import Cluster as Cluster
from review.reads import Filters
from schemas.masks import encode_mask
from schemas.review import JUDGED as JUDGED
from schemas.review import OPEN as OPEN
from schemas.review import Decision, MaskState, QueuedItem, ReviewItem, Second, Verdict


class Queue(QueueToRead):
    """A review queue. Made by ``Queue.open``; safe to share between threads.

    Any method may raise UnavailableError if the database does not answer. Then nothing was changed, and you can repeat
    the same call.
    """

    # Into the queue

    def enqueue(self, new: Iterable[ReviewItem], *, actor: str = "mine") -> Enqueued:
        """Add items. Items that are in the queue already stay as they are, in every state.

        An item replaces the open items that it ``supersedes``. If one of them was judged, or a reviewer holds it, that
        one stays and the new item becomes its duplicate: no decision is ever lost.

        Raises BadInputError with the id of the item, before anything of its chunk of 200 is written.
        """
        total = Enqueued()
        for chunk in in_chunks(new):
            for item in chunk:
                check_item(item)
            unique = {item.item_id: item for item in chunk}
            total += self._write(partial(enqueue.enqueue, new=unique, actor=actor, action=new_action()))
            total += Enqueued(unchanged=len(chunk) - len(unique))
        return total

    def set_vocabulary(self, known: Iterable[str], candidates: Iterable[str] = ()) -> None:
        """Set the known classes and the names to offer; names that people typed stay."""
        both = tuple(known), tuple(candidates)
        self.database.write(lambda c: enqueue.set_vocabulary(c, *both))

    # Leases

    def lease(
        self,
        reviewer: str,
        filters: Filters = EVERYTHING,
        count: int = 1,
        *,
        holding: Sequence[str] = (),
    ) -> tuple[QueuedItem, ...]:
        """Lease up to ``count`` items to a reviewer, highest rank first; nobody else gets them meanwhile.

        Items that the reviewer holds already come first, except those in ``holding``: their leases are renewed. This
        call also returns items to the queue whose lease or snooze is over.
        """
        check_reviewer(reviewer)
        if not 1 <= count <= MOST_AT_ONCE:
            raise BadInputError(f"Between 1 and {MOST_AT_ONCE} items can be leased at once.")
        action = new_action()

        def work(connection: Connection, now: datetime) -> tuple[QueuedItem, ...]:
            return leases.lease(connection, now, now + self.lease_time, reviewer, filters, count, holding, action)

        # If a power failure loses a lease, nothing is lost: the item is in the queue again.
        return self._write(work, durable=False)

    def renew(self, reviewer: str, item_ids: Sequence[str]) -> tuple[str, ...]:
        """Renew leases; returns the ids that the reviewer still holds. A renewal leaves no event."""

        def work(connection: Connection, now: datetime) -> tuple[str, ...]:
            leases.renew(connection, now, now + self.lease_time, reviewer, item_ids)
            return leases.still_held(connection, now, reviewer, item_ids)

        return self._write(work, durable=False)

    def release(self, reviewer: str, item_ids: Sequence[str] | None = None) -> int:
        """Give leased items back, by default all of the reviewer; returns how many."""
        action = new_action()
        return self._write(lambda c, now: leases.release(c, now, reviewer, item_ids, action), durable=False)

    # Decisions

    def decide(
        self,
        reviewer: str,
        item_ids: str | Sequence[str],
        verdict: Verdict,
        name: str | None = None,
        *,
        action_id: str | None = None,
    ) -> tuple[Decision, ...]:
        """Judge one item, or several alike: all of them or none.

        ``relabel`` and ``known`` need a name. ``accept`` takes the suggestion of each item: its name, or the likeliest
        if none is clear. The other verdicts take no name. A relabel to the suggested name counts as ``accept``, and a
        relabel to a known class as ``known``. The item need not be leased, but nobody else may hold it. Two calls with
        the same ``action_id`` decide once.

        Raises UnknownItemError; BadInputError for a name that cannot be used, or if there is no suggestion to accept
        ("unknown object" is not a name); ConflictError if another reviewer holds an item or it is judged already.
        """
        check_reviewer(reviewer)
        wanted, said = unique_ids(item_ids), decisions.check_verdict(verdict, name)
        action = check_action(action_id)
        return self._write(lambda c, now: decisions.decide(c, now, reviewer, wanted, verdict, said, action))

    def snooze(
        self,
        reviewer: str,
        item_ids: str | Sequence[str],
        length: timedelta = timedelta(days=1),
        *,
        action_id: str | None = None,
    ) -> datetime:
        """Put items away for a time; returns when they come back. Raises the errors of ``decide``."""
        check_reviewer(reviewer)
        wanted = unique_ids(item_ids)
        if not timedelta(0) < length <= timedelta(days=366):
            raise BadInputError("An item can be snoozed for up to 366 days.")
        action = check_action(action_id)
        return self._write(lambda c, now: decisions.snooze(c, now, length, reviewer, wanted, action))

    def undo(
        self, reviewer: str, item_id: str | None = None, *, action_id: str | None = None
    ) -> tuple[QueuedItem, ...]:
        """Undo the reviewer's last decision or snooze, or their last one on ``item_id``.

        Items that were decided together are undone together. The reviewer then holds them again. Two calls with the
        same ``action_id`` undo once.

        Raises ConflictError if there is nothing to undo.
        """
        check_reviewer(reviewer)
        action = check_action(action_id)

        def work(connection: Connection, now: datetime) -> tuple[QueuedItem, ...]:
            return decisions.undo(connection, now, now + self.lease_time, reviewer, item_id, action)

        return self._write(work)

    def undo_items(self, reviewer: str, item_ids: Sequence[str]) -> tuple[QueuedItem, ...]:
        """Undo the reviewer's decisions or snoozes on these items, and on all items decided together with them.

        Raises ConflictError if there is nothing of the reviewer to undo; then nothing is changed.
        """
        check_reviewer(reviewer)
        wanted = unique_ids(item_ids)

        def work(connection: Connection, now: datetime) -> tuple[QueuedItem, ...]:
            back: dict[str, QueuedItem] = {}
            for item_id in wanted:
                if item_id not in back:
                    action, until = new_action(), now + self.lease_time
                    taken = decisions.undo(connection, now, until, reviewer, item_id, action)
                    back |= {queued.item.item_id: queued for queued in taken}
            return tuple(back.values())

        return self._write(work)

    def reopen(self, actor: str, item_ids: str | Sequence[str], note: str) -> None:
        """Put judged items back into the queue, no matter who judged them; ``note`` is the reason.

        Raises UnknownItemError, ConflictError for items that are not judged, and BadInputError without a reason.
        """
        check_reviewer(actor)
        wanted, why, action = unique_ids(item_ids), revisions.check_note(note), new_action()
        self._write(lambda c, now: revisions.reopen(c, now, actor, wanted, why, action))

    def comment(self, actor: str, item_id: str, note: str) -> None:
        """Write a comment into the history of an item. Raises UnknownItemError and BadInputError."""
        check_reviewer(actor)
        said, action = revisions.check_note(note), new_action()
        self._write(lambda c, now: revisions.comment(c, now, actor, item_id, said, action))

    def rename(self, actor: str, old: Iterable[str], new: str) -> int:
        """Change the name of all decisions with the names ``old`` to ``new``, with an event for each; returns how many.

        The old names are no longer offered. If ``new`` exists already, its spelling is kept. If it is a known class,
        the verdicts become ``known``. Raises BadInputError for a text that is not a name, and for an old name that is a
        known class.
        """
        check_reviewer(actor)
        renamed = 0
        target = self.database.read(partial(revisions.spelling, name=check_class_name(new)))
        for name in dict.fromkeys(old):
            if name == target:
                continue
            self.database.write(partial(revisions.replace_name, old=name, new=target))
            step = partial(revisions.rename_some, actor=actor, old=name, new=target)
            while count := self._write(partial(step, action=new_action())):
                renamed += count
        return renamed

    # Masks

    def flag_mask(self, reviewer: str, item_id: str, state: MaskState | None) -> None:
        """Say that the mask of an item is right or wrong; None removes this, and any repair.

        Raises UnknownItemError, and BadInputError for ``repaired``, which only ``repair_mask`` sets.
        """
        check_reviewer(reviewer)
        if state is MaskState.REPAIRED:
            raise BadInputError("To repair a mask, send the steps of the repair.")
        action = new_action()
        self._write(lambda c, now: masks.set_state(c, now, reviewer, item_id, state, action))

    def repair_mask(self, reviewer: str, item_id: str, edits: Sequence[Edit]) -> QueuedItem:
        """Repair the current mask with these steps, and store it beside the scan's; returns the new item.

        Raises UnknownItemError, and BadInputError for steps that cannot be done.
        """
        from review.mask_edits import apply_edits  # OpenCV, which most commands do without

        check_reviewer(reviewer)
        queued = self.item(item_id)
        mask_rle = encode_mask(apply_edits(queued.item, queued.mask_rle, edits))
        told = (*(queued.repaired.edits if queued.repaired else ()), *(edit.told() for edit in edits))
        action = new_action()
        self._write(lambda c, now: masks.repair(c, now, reviewer, item_id, mask_rle, told, action))
        return self.item(item_id)

    # Second opinions

    def ask_second(self, actor: str, item_ids: str | Sequence[str]) -> int:
        """Ask for a second opinion on judged items; returns how many are new. Raises ConflictError."""
        wanted, action = unique_ids(item_ids), new_action()
        return self._write(lambda c, now: opinions.ask(c, now, check_reviewer(actor), wanted, action))

    def ask_second_share(self, actor: str, share: float) -> int:
        """Ask for a second opinion on a ``share`` in (0, 1] of all judged items, the same ones each time."""
        if not 0 < share <= 1:
            raise BadInputError(f"A share lies between 0 and 1, such as 0.1; {share} does not.")
        asked, after = 0, ""
        while found := self.database.read(partial(opinions.unasked_after, after=after, count=CHUNK)):
            chosen = [item_id for item_id in found if opinions.is_in_share(item_id, share)]
            asked += self.ask_second(actor, chosen) if chosen else 0
            after = found[-1]
        return asked

    def next_second(self, reviewer: str, count: int = 1) -> tuple[QueuedItem, ...]:
        """Items that wait for this reviewer's opinion, highest rank first. Do not show the first decision."""
        return self.database.read(partial(opinions.next_for, reviewer=check_reviewer(reviewer), count=count))

    def give_opinion(self, reviewer: str, item_id: str, verdict: Verdict, name: str | None = None) -> Second:
        """Record a second opinion; returns whether it agrees with the decision, which does not change.

        Raises the errors of ``decide``, and ConflictError if nobody asked, or if the reviewer judged it already.
        """
        check_reviewer(reviewer)
        said, action = decisions.check_verdict(verdict, name), new_action()
        return self._write(lambda c, now: opinions.give(c, now, reviewer, item_id, verdict, said, action))

    def settle(self, actor: str, item_id: str, note: str) -> None:
        """Keep a decision in spite of a different opinion; ``note`` is the reason. Raises ConflictError."""
        check_reviewer(actor)
        why, action = revisions.check_note(note), new_action()
        self._write(lambda c, now: opinions.settle(c, now, actor, item_id, why, action))

    def mark_exported(self, item_ids: Iterable[str], *, actor: str) -> int:
        """Mark decided items as exported; returns how many are new."""
        marked = 0
        for chunk in in_chunks(item_ids):
            marked += self._write(partial(decisions.mark_exported, item_ids=chunk, actor=actor, action=new_action()))
        return marked

    def forget_sources(self, actor: str, source_uris: Iterable[str]) -> int:
        """Remove all items of these sources, with pictures, masks, decisions and events; returns how many.

        Their ids stay, so that mining does not bring them back. Items of other sources that were duplicates of them
        wait to be judged again. An SQLite file is written again, so that no byte of them stays; PostgreSQL frees theirs
        at its next vacuum.
        """
        check_reviewer(actor)
        removed = 0
        for uris in in_chunks(source_uris):
            found = self.database.read(partial(forget.items_of_sources, source_uris=uris))
            for chunk in in_chunks(found):
                step = partial(forget.forget_items, item_ids=chunk, actor=actor, action=new_action())
                removed += self._write(step)
        self.database.compact()
        return removed

    # The map of finds

    def set_places(self, weights: str, found: Mapping[str, tuple[float, float]]) -> None:
        """Draw the map of finds anew: the place (x, y) of each item; other items have none from now on.

        ``weights`` is the SHA-256 of the weights that the embeddings are of.
        """
        self.database.write(partial(places.replace_places, weights=weights, found=found))
