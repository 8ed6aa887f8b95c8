"""What the page needs from the tables, if it may search them: similar finds, and finds that fit a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.review import ReviewItem


@dataclass(frozen=True, slots=True)
class Find:
    """An object of the tables. ``item_id`` is the id that it has, or would have, in the queue; ``cosine`` in [-1, 1] is
    its similarity to the query."""

    item_id: str
    instance_id: str
    name: str
    drive: str
    timestamp: datetime
    cosine: float


class FindsGoneError(Exception):
    """The tables cannot answer. The message is one line that says why."""


class FindSource(Protocol):
    """Searches the tables. Every call may raise FindsGoneError."""

    def like(self, item: ReviewItem, count: int) -> Sequence[Find]:
        """The objects that look most like an item, nearest first, without the item itself."""

    def search(self, text: str, count: int) -> Sequence[Find]:
        """The objects that fit a text best, the best first."""

    def picture(self, instance_id: str) -> bytes:
        """The object in its surroundings, JPEG, of an instance that ``like`` or ``search`` found. Raises
        FrameGoneError."""

    def items(self, finds: Sequence[Find], cluster: str | None) -> Sequence[ReviewItem]:
        """These finds as items for the queue; those whose footage is gone are left out."""
