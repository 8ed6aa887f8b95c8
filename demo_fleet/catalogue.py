"""Every kind of unusual object, and the ones that training must never see."""

from __future__ import annotations

from collections.abc import Sequence

from demo_fleet.animals import ANIMALS
from demo_fleet.cargo import CARGO
from demo_fleet.kinds import Kind
from demo_fleet.nature import NATURE
from demo_fleet.roadworks import ROADWORKS
from demo_fleet.things import THINGS

KINDS: tuple[Kind, ...] = (*ANIMALS, *CARGO, *ROADWORKS, *NATURE, *THINGS)

HELD_OUT_KINDS: frozenset[str] = frozenset(
    {
        "goat", "kangaroo", "zebra", "ostrich",
        "armchair", "bathtub", "suitcase", "toilet",
        "wheelbarrow", "warning triangle",
        "hay bale",
        "boat", "tractor", "wheelchair", "kite",
    }
)  # fmt: skip


def kinds_named(names: Sequence[str | Kind] | None) -> tuple[Kind, ...]:
    """The kinds with these names, in this order; a kind stands for itself; all kinds for None.

    Raises ValueError naming what is not a kind.
    """
    if names is None:
        return KINDS
    known = {kind.name: kind for kind in KINDS}
    missing = [name for name in names if isinstance(name, str) and name not in known]
    if missing:
        raise ValueError(f"not a kind of the demo fleet: {', '.join(missing)}")
    return tuple(known[name] if isinstance(name, str) else name for name in names)
