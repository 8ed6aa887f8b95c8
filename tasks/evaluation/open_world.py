"""Label maps of known and unknown classes, and the names of instances, against the truth."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from clipomaly_core import FrameResult, Vocabulary
from clipomaly_core.metrics import ConfusionMatrix, UnknownIoU
from clipomaly_core.names import lemma
from clipomaly_core.types import UNKNOWN_NAME
from tasks.errors import UsageError
from tasks.evaluation.data import Dataset
from tasks.evaluation.formats import VOID, EvaluationFrame, LabelMap
from tasks.evaluation.lexicon import AcceptedNames, Lexicon, Match
from tasks.evaluation.results import ClassIoU, KnownReport, NamingReport, NamingScore

LEAST_OVERLAP: Final = 0.5
"""An instance's name is judged where at least this share of its pixels lies on true anomaly."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which known class of the vocabulary stands for each class of a dataset.

    ``to_known`` (256,) uint8 turns the values of a class map into indices of known classes: anomaly into the number of
    known classes; void, and classes without a known one, into 255. ``judged`` are the known classes that the dataset
    has. ``not_covered`` names its other classes.
    """

    to_known: LabelMap
    judged: tuple[int, ...]
    not_covered: tuple[str, ...]


def cover(vocabulary: Vocabulary, dataset: Dataset) -> Coverage:
    """Find the known classes that stand for those of a dataset: first by name or synonym, then by kind.

    Raises:
        UsageError: no known class is among them, or there are more than a label map can hold.
    """
    classes = [_known_index(vocabulary, words) for words in dataset.classes]
    judged = sorted({index for index in classes if index is not None})
    if dataset.classes and not judged:
        raise UsageError(f"The vocabulary covers no class of {dataset.format}: give another --vocabulary.")
    if len(vocabulary.known) >= VOID:
        raise UsageError(f"The vocabulary has {len(vocabulary.known)} known classes; {VOID - 1} can be judged.")
    to_known = np.full(256, VOID, np.uint8)
    for value, index in enumerate(classes):
        to_known[value] = VOID if index is None else index
    to_known[len(classes)] = len(vocabulary.known)
    not_covered = (words[0] for words, index in zip(dataset.classes, classes, strict=True) if index is None)
    return Coverage(to_known, tuple(judged), tuple(not_covered))


class OpenWorld:
    """Counts over the label maps and the names of the instances, frame by frame."""

    def __init__(self, vocabulary: Vocabulary, dataset: Dataset, accepted: AcceptedNames | None) -> None:
        self._vocabulary = vocabulary
        self._dataset = dataset
        self._accepted = accepted
        self._unknown = ConfusionMatrix(1)
        self._coverage = cover(vocabulary, dataset)
        self._known = ConfusionMatrix(len(vocabulary.known))
        self._lexicon = Lexicon((Vocabulary.load(), vocabulary), accepted.kinds) if accepted else None
        self._tallies: dict[str, Counter[str]] = {}
        self._instances = self._frames_judged = 0

    def add(self, frame: EvaluationFrame, label: LabelMap, result: FrameResult) -> None:
        self._unknown.update(result.labels >= result.known_classes, label)
        if self._dataset.classes:
            self._known.update(result.labels, self._coverage.to_known[self._dataset.class_map(frame)])
        if self._accepted is None or self._lexicon is None:
            return
        words = self._accepted.frames[frame.name]
        self._instances += len(result.instances)
        tally = self._tallies.setdefault(self._lexicon.category(words[0]), Counter())
        judged = 0
        for instance in result.instances:
            seen = label[instance.mask]
            seen = seen[seen != VOID]
            if not seen.size or np.count_nonzero(seen == 1) < LEAST_OVERLAP * seen.size:
                continue
            judged += 1
            matches = [self._lexicon.match(name.name, words) for name in instance.names[:5]]
            tally["judged"] += 1
            if matches and matches[0]:
                tally["hit1"] += 1
                tally[matches[0]] += 1
            tally["hit5"] += any(matches)
            if instance.name == UNKNOWN_NAME:
                tally["said_unknown"] += 1
            elif not self._lexicon.match(instance.name, words):
                tally["said_wrong"] += 1
        self._frames_judged += judged > 0

    def unknown(self) -> UnknownIoU:
        return self._unknown.unknown()

    def known(self) -> KnownReport:
        iou = self._known.iou()[list(self._coverage.judged)]
        names = [self._vocabulary.known[index].name for index in self._coverage.judged]
        if np.isnan(iou).all():
            raise UsageError(f"No known class in any label map of {self._dataset.root}: check --format.")
        return KnownReport(
            float(np.nanmean(iou)),
            tuple(
                ClassIoU(name, None if np.isnan(value) else float(value))
                for name, value in zip(names, iou, strict=True)
            ),
            self._coverage.not_covered,
        )

    def naming(self) -> NamingReport | None:
        if self._accepted is None:
            return None
        overall: Counter[str] = Counter()
        for tally in self._tallies.values():
            overall.update(tally)
        return NamingReport(
            self._instances,
            self._frames_judged,
            _naming_score("all", overall),
            tuple(_naming_score(category, tally) for category, tally in sorted(self._tallies.items())),
        )


def _naming_score(category: str, tally: Counter[str]) -> NamingScore:
    judged = tally["judged"]
    return NamingScore(
        category,
        judged,
        tally["hit1"] / judged if judged else None,
        tally["hit5"] / judged if judged else None,
        tally[Match.EXACT],
        tally[Match.SYNONYM],
        tally[Match.HYPONYM],
        tally["said_unknown"],
        tally["said_wrong"],
    )


def _known_index(vocabulary: Vocabulary, words: Sequence[str]) -> int | None:
    """The known class for a class of a dataset: first by name or synonym, then by kind."""
    wanted = {lemma(word) for word in words}
    for index, known in enumerate(vocabulary.known):
        if wanted & {lemma(word) for word in (known.name, *known.synonyms)}:
            return index
    for index, known in enumerate(vocabulary.known):
        if wanted & {lemma(word) for word in known.kinds}:
            return index
    return None
