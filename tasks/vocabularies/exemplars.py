"""Judged objects as exemplars of their names: how far each is trusted, and how far it reaches.

An exemplar is trusted more if its name has more decisions, and if more of its look-alikes got the same verdict. It
reaches less far if an object with another verdict is near.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clipomaly_core.exemplar_file import make_exemplars
from clipomaly_core.lemma import lemma
from clipomaly_core.names import Exemplars
from clipomaly_core.types import UNKNOWN_NAME
from schemas.review import Verdict
from tasks.vocabularies.account import Account, part_of
from tasks.vocabularies.change import Change, ChangeKind, times
from tasks.vocabularies.verdicts import Judged, Space, unit_vector

Floats = npt.NDArray[np.float32]

_WIDTH = 0.5  # distance (see tasks/mining/neighbours.py) at which an exemplar is trusted 1/e as much
_RIVAL = 0.25  # what is left of its trust at the nearest object that was judged otherwise
_LEAST_AGREEMENT = 0.5  # share of the look-alikes that were judged the same; others are no exemplars
_MOST = 256  # sightings of a name, the latest
_DIGITS = 8  # of a model, in the key of its exemplars
_NOTHING = ""  # the label of what is no anomaly


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
        sighted = _sighted(of_model)
        for key in sorted(set(map(_label, of_model)) & names.keys()):
            own = [decision for decision in of_model if _label(decision) == key]
            if not _often(own, least):
                continue
            tensors = f"{key} {space.model[:_DIGITS]}"
            before = next((exemplar for exemplar in there if exemplar.tensors == tensors), None)
            made = _exemplars(key, names[key], tensors, own, sighted, space, before, account)
            if made is None:
                continue
            if before is not None and before.sha256 == made.sha256:
                note = f"{made.name}: {_told(own)}; its exemplars are in the vocabulary already."
                account.leave(part_of(own), "the vocabulary has its exemplars already", note)
            else:
                changes.append(
                    Change(ChangeKind.EXEMPLARS, names[key], made.reason, exemplars=made, items=part_of(own))
                )
    return changes


def _label(decision: Judged) -> str:
    if decision.verdict.is_real and decision.name and decision.name != UNKNOWN_NAME:
        return lemma(decision.name)
    return _NOTHING


def _often(own: Sequence[Judged], least: int) -> bool:
    """Whether these decisions are enough. A single verdict is not, even with many duplicates: it may be a mistake."""
    return len(own) >= least and sum(not decision.duplicate for decision in own) >= min(least, 2)


def _sighted(judged: Iterable[Judged]) -> _Sighted:
    rows = [(one, number, sight) for number, one in enumerate(judged) for sight in one.sightings]
    return _Sighted(
        np.stack([unit_vector(sight) for _, _, sight in rows]) if rows else np.zeros((0, 1), np.float32),
        np.array([_label(one) for one, _, _ in rows]),
        np.array([number for _, number, _ in rows], np.int64),
    )


def _exemplars(
    key: str,
    name: str,
    tensors: str,
    own: Sequence[Judged],
    sighted: _Sighted,
    space: Space,
    before: Exemplars | None,
    account: Account,
) -> Exemplars | None:
    mine = np.flatnonzero(sighted.labels == key)[-_MOST:]
    distances = 1 - sighted.vectors[mine] @ sighted.vectors.T
    same = sighted.labels == key
    near = distances <= _WIDTH * space.distances.usual / 2
    agreeing, others = (_objects(near & of, sighted.objects) for of in (same, ~same))
    agreement = agreeing / (agreeing + others)
    rivals = distances[:, ~same].min(1) if (~same).any() else np.full(len(mine), np.inf, np.float32)
    widths = np.minimum(_WIDTH * space.distances.usual, rivals / np.sqrt(-np.log(_RIVAL)))
    kept = (agreement > _LEAST_AGREEMENT) & (widths > 0)
    if not kept.any():
        note = f"{name}: {_told(own)}; no exemplars, because what looks the same was mostly judged otherwise."
        account.leave(part_of(own), "what looks the same was mostly judged otherwise", note)
        return None
    weights = (1 - 0.5 ** len(own)) * agreement[kept]
    left = len(kept) - int(kept.sum())
    reason = f"{_told(own)}; {int(kept.sum())} sightings" + (f", {left} left out that look like others" if left else "")
    rows = [
        sighted.vectors[mine][kept].astype("<f2"),
        weights.astype("<f4")[:, None],
        widths[kept].astype("<f4")[:, None],
    ]
    if before is not None:
        rows = [np.concatenate(pair) for pair in zip(_elsewhere(before, sighted), rows, strict=True)]
    return make_exemplars(reason, space.model, name, tensors, *(part.tobytes() for part in rows))


def _elsewhere(before: Exemplars, sighted: _Sighted) -> list[npt.NDArray[np.generic]]:
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
