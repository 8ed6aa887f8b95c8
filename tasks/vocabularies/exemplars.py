"""Judged objects as exemplars of their names: how far each is trusted, and how far it reaches.

An exemplar is trusted more if its name has more decisions, and if more of its look-alikes got the same verdict. It
reaches farther if a model sees one object differently from sighting to sighting, and only to the same object if its
name rests on a single verdict. What was judged otherwise limits it: these sightings lie beside it in the file with a
weight of 0.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clipomaly_core.exemplar_file import make_exemplars
from clipomaly_core.names import Exemplars, lemma
from clipomaly_core.types import UNKNOWN_NAME
from schemas.review import Verdict
from tasks.vocabularies.account import Account, part_of
from tasks.vocabularies.change import Change, ChangeKind, times
from tasks.vocabularies.verdicts import Judged, Space, unit_vector

Floats = npt.NDArray[np.float32]

_WIDTH = 0.4  # distance (see tasks/mining/neighbours.py) at which an exemplar is trusted 1/e as much, or more:
_STEPS = 2.0  # times the distance between successive sightings of one object
_FEWEST_STEPS = 10  # between sightings; the median of fewer says little
_NARROW = 0.15  # the same, where one verdict stands for all: about what mining takes for one object
_STEP = 0.3  # distance up to which two sightings of a track show one object: a track may go over to another one
_ALIKE = 0.2  # distance up to which objects are look-alikes that should be judged the same
_LEAST_AGREEMENT = 0.5  # share of the look-alikes that were judged the same; others are no exemplars
_MOST = 256  # sightings of a name, the latest
_MOST_OTHERS = 1024  # sightings that were judged otherwise, the latest
_DIGITS = 8  # of a model, in the key of its exemplars
_NOTHING = ""  # the label of what was given no name
_OTHERS = "what was judged otherwise"


@dataclass(frozen=True, slots=True)
class _Sighted:
    """The sightings of judged objects of one model: (M, D) vectors, and of each the label and the object's number."""

    vectors: Floats
    labels: npt.NDArray[np.str_]
    objects: npt.NDArray[np.int64]


def propose_exemplars(
    judged: Sequence[Judged], names: Mapping[str, str], there: Sequence[Exemplars], least: int, account: Account
) -> list[Change]:
    """Exemplars of every name that was decided often enough.

    Args:
        judged: decisions, and the duplicates that share them.
        names: the candidate names by the lemmas of their words, those to be promoted included.
        there: the exemplars of the present vocabulary.
        least: decisions that a name needs, duplicates included.
        account: gets a line for each name that has no new exemplars though it was decided often enough.
    """
    changes: list[Change] = []
    for space in {decision.space.model: decision.space for decision in judged if decision.space}.values():
        of_model = [
            decision
            for decision in judged
            if decision.space and decision.space.model == space.model and decision.sightings
        ]
        sighted = _sighted(of_model, space)
        by_name = {key: [one for one in of_model if _label(one) == key] for key in set(map(_label, of_model))}
        often = sorted(key for key, own in by_name.items() if key in names and len(own) >= least)
        acting = []
        reach = _reach(of_model, space)
        for key in often:
            own = by_name[key]
            tensors = f"{key} {space.model[:_DIGITS]}"
            before = next((exemplar for exemplar in there if exemplar.tensors == tensors), None)
            direct = sum(not decision.duplicate for decision in own)
            width = reach if direct >= min(least, 2) else _NARROW * space.distances.usual
            made = _exemplars(key, names[key], tensors, own, sighted, space, width, before, account)
            if made is None:
                continue
            acting.append(key)
            if before is not None and (before.sha256, before.instead_of) == (made.sha256, made.instead_of):
                note = f"{made.name}: {_told(own)}; its exemplars are in the vocabulary already."
                account.leave(part_of(own), "the vocabulary has its exemplars already", note)
            else:
                changes.append(
                    Change(ChangeKind.EXEMPLARS, names[key], made.reason, exemplars=made, items=part_of(own))
                )
        if acting:
            changes += _limits(sighted, acting, space, reach, there)
    return changes


def _label(decision: Judged) -> str:
    if decision.verdict.is_real and decision.name and decision.name != UNKNOWN_NAME:
        return lemma(decision.name)
    return _NOTHING


def _reach(judged: Iterable[Judged], space: Space) -> float:
    """1 - cosine at which an exemplar is trusted 1/e as much: farther where sightings of one object differ more."""
    steps: list[float] = []
    for one in judged:
        vectors = np.stack([unit_vector(sight) for sight in one.sightings])
        steps += (1 - np.einsum("ij,ij->i", vectors[:-1], vectors[1:])).tolist()
    usual = float(np.median(steps)) if len(steps) >= _FEWEST_STEPS else 0.0
    return max(_WIDTH * space.distances.usual, _STEPS * usual)


def _limits(
    sighted: _Sighted, acting: Sequence[str], space: Space, reach: float, there: Sequence[Exemplars]
) -> list[Change]:
    """The sightings that speak for no name: what is nearer to them keeps the name that its text gives."""
    others = np.flatnonzero(~np.isin(sighted.labels, acting))[-_MOST_OTHERS:]
    tensors = f"others {space.model[:_DIGITS]}"
    before = next((exemplar for exemplar in there if exemplar.tensors == tensors), None)
    if before is None and not len(others):
        return []
    rows = _rows(sighted.vectors[others], np.zeros(len(others)), np.full(len(others), reach))
    reason = f"{len(others)} sightings that were judged otherwise or too seldom limit the exemplars of names"
    made = make_exemplars(reason, space.model, None, tensors, *_joined(rows, before, sighted))
    if before is not None and before.sha256 == made.sha256:
        return []
    return [Change(ChangeKind.EXEMPLARS, _OTHERS, reason, exemplars=made)]


def _sighted(judged: Iterable[Judged], space: Space) -> _Sighted:
    rows = [(one, number, sight) for number, one in enumerate(judged) for sight in _like_shown(one, space)]
    return _Sighted(
        np.stack([sight for _, _, sight in rows]) if rows else np.zeros((0, 1), np.float32),
        np.array([_label(one) for one, _, _ in rows]),
        np.array([number for _, number, _ in rows], np.int64),
    )


def _like_shown(one: Judged, space: Space) -> Floats:
    """(K, D): the sightings that lead, look by look, to the one that people saw: they said nothing of the others."""
    vectors = np.stack([unit_vector(sight) for sight in one.sightings])
    if not one.embedding:
        return vectors
    step = _STEP * space.distances.usual
    near = 1 - vectors @ vectors.T <= step
    shown = unit_vector(one.embedding)
    kept = 1 - vectors @ shown <= step
    for _ in vectors:
        kept = kept | near[kept].any(axis=0)
    return vectors[kept] if kept.any() else shown[None]


def _exemplars(
    key: str,
    name: str,
    tensors: str,
    own: Sequence[Judged],
    sighted: _Sighted,
    space: Space,
    width: float,
    before: Exemplars | None,
    account: Account,
) -> Exemplars | None:
    mine = np.flatnonzero(sighted.labels == key)[-_MOST:]
    distances = 1 - sighted.vectors[mine] @ sighted.vectors.T
    same = sighted.labels == key
    near = distances <= _ALIKE * space.distances.usual
    agreeing, others = (_objects(near & of, sighted.objects) for of in (same, ~same))
    agreement = agreeing / (agreeing + others)
    kept = agreement > _LEAST_AGREEMENT
    if not kept.any():
        note = f"{name}: {_told(own)}; no exemplars, because what looks the same was mostly judged otherwise."
        account.leave(part_of(own), "what looks the same was mostly judged otherwise", note)
        return None
    weights = (1 - 0.5 ** len(own)) * agreement[kept]
    left = len(kept) - int(kept.sum())
    reason = f"{_told(own)}; {int(kept.sum())} sightings" + (f", {left} left out that look like others" if left else "")
    rows = _rows(sighted.vectors[mine][kept], weights, np.full(len(weights), width))
    replaced = {lemma(one.best) for one in own if one.verdict is Verdict.RELABEL} - {key, lemma(UNKNOWN_NAME)}
    instead_of = tuple(sorted(replaced | set(before.instead_of if before else ())))
    made = make_exemplars(reason, space.model, name, tensors, *_joined(rows, before, sighted))
    return replace(made, instead_of=instead_of)


Rows = list[npt.NDArray[np.generic]]
"""Embeddings (K, D), weights (K, 1) and widths (K, 1), as the exemplar file has them."""


def _rows(vectors: Floats, weights: npt.NDArray[np.floating], widths: npt.NDArray[np.floating]) -> Rows:
    return [vectors.astype("<f2"), weights.astype("<f4")[:, None], widths.astype("<f4")[:, None]]


def _joined(rows: Rows, before: Exemplars | None, sighted: _Sighted) -> Iterator[bytes]:
    """The rows after those that ``before`` has from other queues."""
    if before is not None:
        rows = [np.concatenate(pair) for pair in zip(_elsewhere(before, sighted), rows, strict=True)]
    return (part.tobytes() for part in rows)


def _elsewhere(before: Exemplars, sighted: _Sighted) -> Rows:
    """The exemplars that this queue does not know: their embeddings, weights and widths."""
    weights = np.frombuffer(before.weights, "<f4")[:, None]
    embeddings = np.frombuffer(before.embeddings, "<f2").reshape(len(weights), -1)
    judged = {row.tobytes() for row in sighted.vectors.astype("<f2")}
    kept = np.array([row.tobytes() not in judged for row in embeddings], np.bool_)
    return [embeddings[kept], weights[kept], np.frombuffer(before.widths, "<f4")[kept][:, None]]


def _objects(near: npt.NDArray[np.bool_], objects: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many objects have a sighting among these, for each row."""
    return np.array([len(set(objects[row].tolist())) for row in near])


def _told(own: Sequence[Judged]) -> str:
    verdicts = Counter(decision.verdict for decision in own if not decision.duplicate)
    duplicates = sum(decision.duplicate for decision in own)
    told = f"given {times(verdicts[Verdict.RELABEL])}, accepted {times(verdicts[Verdict.ACCEPT])}"
    return told + (f", with {duplicates} duplicate{'s' if duplicates > 1 else ''}" if duplicates else "")
