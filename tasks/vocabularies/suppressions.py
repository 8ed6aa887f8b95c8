"""Suppress what people rejected often enough, by its appearance, unless an accepted object looks the same."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from clipomaly_core.names import Suppression, lemma
from clipomaly_core.types import UNKNOWN_NAME
from clipomaly_core.vocabulary import Vocabulary
from schemas.review import Verdict
from tasks.vocabularies.account import Account, part_of
from tasks.vocabularies.change import Change, ChangeKind, times
from tasks.vocabularies.verdicts import Judged, Space, unit_vector

_ALIKE = 0.35  # distance (see tasks/mining/neighbours.py) up to which rejected things are of one kind, as in mining
_LOST = 0.01  # share of accepted objects that a suppression may lose: among many, one always looks similar
_BEYOND = 0.01  # cosine by which it stays away from the others
_ONE_VERDICT = 0.43  # times as far, where one verdict stands for all: about what mining takes for one object
_NAMED_ALIKE = 1.5  # times further apart they may be under one name
_MOST_REJECTED = 5000  # the latest so many are grouped: their likeness is compared pair by pair


def propose_suppressions(
    judged: Sequence[Judged], vocabulary: Vocabulary, covered: Collection[str], least: int, account: Account
) -> list[Change]:
    """Groups of rejected look-alikes, each with how near a region must be to its middle."""
    changes: list[Change] = []
    spaces = {decision.space.model: decision.space for decision in judged if decision.space}
    for model, space in sorted(spaces.items()):
        of_model = [
            decision for decision in judged if decision.space and decision.space.model == model and decision.embedding
        ]
        accepted = [decision for decision in of_model if decision.verdict.is_real]
        rejected = [
            decision
            for decision in of_model
            if decision.verdict is Verdict.NOT_AN_OBJECT
            or (decision.verdict is Verdict.KNOWN and lemma(decision.suggested) not in covered)
        ][-_MOST_REJECTED:]
        there = [suppression for suppression in vocabulary.suppressed if suppression.model == model]
        already = [decision for decision in rejected if any(_covers(suppressed, decision) for suppressed in there)]
        rejected = [decision for decision in rejected if not any(_covers(suppressed, decision) for suppressed in there)]
        note = f"{len(already)} rejected items are suppressed by the vocabulary already."
        account.leave(part_of(already), "the vocabulary suppresses it already", note if len(already) >= least else None)
        by_name: dict[str, list[Judged]] = defaultdict(list)
        for decision in rejected:
            by_name[lemma(decision.best)].append(decision)
        by_name.pop(lemma(UNKNOWN_NAME), None)
        for name, called in sorted(by_name.items()):
            rivals = [decision for decision in accepted if lemma(decision.best) == name]
            changes += _regions(called, rivals, space, _NAMED_ALIKE * _ALIKE, called[0].best, least, account)
        # And of all of them by appearance alone: the next pumpkin may be called a squash.
        changes += _regions(rejected, accepted, space, _ALIKE, None, least, account)
    unplaced = sum(
        decision.verdict is Verdict.NOT_AN_OBJECT
        and not decision.duplicate
        and not (decision.space and decision.embedding)
        for decision in judged
    )
    if unplaced >= least:
        account.notes.append(
            f"{unplaced} rejected items have no embedding of a scan in the tables: they suppress nothing."
        )
    return changes


def _covers(suppressed: Suppression, decision: Judged) -> bool:
    if suppressed.name is not None and lemma(suppressed.name) != lemma(decision.best):
        return False
    return bool(unit_vector(suppressed.embedding) @ unit_vector(decision.embedding or b"") >= suppressed.cosine)


def _regions(
    rejected: Sequence[Judged],
    rivals: Sequence[Judged],
    space: Space,
    alike: float,
    name: str | None,
    least: int,
    account: Account,
) -> list[Change]:
    made = (
        _suppression(group, rivals, space, alike if _by_several(group, least) else _ONE_VERDICT * alike, name, account)
        for group in _groups(rejected, least, space.distances.cosine(alike))
    )
    return [change for change in made if change is not None]


def _groups(rejected: Sequence[Judged], least: int, alike: float) -> list[list[Judged]]:
    """The largest group of look-alikes, then the largest of what is left, as long as they have ``least`` members."""
    left = list(rejected)
    groups = []
    while len(left) >= least:
        vectors = _vectors(left)
        near = vectors @ vectors.T >= alike
        centre = int(near.sum(axis=1).argmax())
        members = [one for one, is_near in zip(left, near[centre], strict=True) if is_near]
        if len(members) < least:
            break
        if not all(decision.duplicate for decision in members):
            groups.append(members)
        left = [one for one, is_near in zip(left, near[centre], strict=True) if not is_near]
    return groups


def _by_several(group: Sequence[Judged], least: int) -> bool:
    """Whether people judged several members, not one for all its duplicates: one verdict may be a mistake."""
    return sum(not decision.duplicate for decision in group) >= min(least, 2)


def _suppression(
    group: Sequence[Judged],
    rivals: Sequence[Judged],
    space: Space,
    alike: float,
    name: str | None,
    account: Account,
) -> Change | None:
    """Around the middle of the group, for what gets ``name`` again or for all; ``rivals`` must be found again."""
    vectors = _vectors(group)
    middle = vectors.mean(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-12)
    inside = vectors @ middle
    beside = np.sort(_vectors(rivals) @ middle) if rivals else np.array([-1.0])
    nearest = float(beside[-1 - int(_LOST * len(beside))])
    # Wider than the group itself: a few judged items do not show how far the next ones will be.
    cosine = max(space.distances.cosine(alike), nearest + _BEYOND)
    names = sorted(
        Counter(decision.name or decision.best for decision in group).items(), key=lambda item: (-item[1], item[0])
    )
    called = ", ".join(f"{name} {count}" for name, count in names[:3])
    duplicates = sum(decision.duplicate for decision in group)
    shared = f" with {duplicates} duplicate{'s' if duplicates > 1 else ''}" if duplicates else ""
    told = f"rejected {times(len(group) - duplicates)}{shared} ({called})" + (
        f", for what is called {name} again" if name else ""
    )
    if np.count_nonzero(inside >= cosine) * 5 < len(group) * 4:
        note = f"{told}: not suppressed, because accepted objects look the same (cosine {nearest:.2f})."
        account.leave(part_of(group), "accepted objects look the same", note)
        return None
    cosine = round(cosine, 4)
    reason = f"{told}; nearest accepted object at cosine {nearest:.2f}" if rivals else told
    embedding = middle.astype("<f2").tobytes()
    suppression = Suppression(reason, space.model, cosine, embedding, name)
    return Change(ChangeKind.SUPPRESSION, called, reason, suppression=suppression, items=part_of(group))


def _vectors(items: Sequence[Judged]) -> npt.NDArray[np.float32]:
    if not items:
        return np.zeros((0, 1), np.float32)
    return np.stack([unit_vector(decision.embedding or b"") for decision in items])
