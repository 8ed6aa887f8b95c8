"""The result of one frame, at the frame's size, from what was found on the working grid."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from clipomaly_core.edges import cut_out, follow_edges
from clipomaly_core.naming import RegionName
from clipomaly_core.options import Options
from clipomaly_core.prompted_vocabulary import PromptedVocabulary
from clipomaly_core.reference.thresholds import found_up_to
from clipomaly_core.regions import Mask, Region, bounding_box, connected_regions, mask_at_frame_size, region_embeddings
from clipomaly_core.types import UNKNOWN_NAME, Frame, FrameResult, Instance


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in a frame, on the working grid (h, w), on the CPU.

    ``score`` is (h, w) float32. ``known_labels`` is (h, w) int16, the best known class; ``labels`` the same with
    ``chosen`` names after the known classes. ``chosen`` holds the numbers of the candidates that name a region.
    ``regions`` are those that stayed anomalous. ``features`` are (h', w', D) float32, ``None`` without regions.
    """

    frame: Frame
    score: npt.NDArray[np.float32]
    known_labels: npt.NDArray[np.int16]
    labels: npt.NDArray[np.int16]
    chosen: tuple[int, ...]
    regions: tuple[tuple[Region, RegionName], ...]
    features: Tensor | None


@torch.inference_mode()
def frame_result(findings: Findings, words: PromptedVocabulary, options: Options) -> FrameResult:
    """Enlarge maps and masks to the frame, and turn the named parts of the label map into instances.

    Args:
        findings: of one frame.
        words: the vocabulary that the findings refer to.
        options: edges, min_area, reassign_known and threshold are read.
    """
    size = (findings.frame.shape[0], findings.frame.shape[1])
    known = len(words.vocabulary.known)
    names = [words.names[index] for index in findings.chosen]
    if any(name.candidate is None for _, name in findings.regions):
        names.append(UNKNOWN_NAME)
    labels = _labels_with_regions(findings, known, names, options)
    vocabulary = (*(c.name for c in words.vocabulary.known), *names)

    scaled = cv2.resize(findings.score, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    full_score = np.clip(scaled, 0, 1).astype(np.float32)
    if options.edges == "guided":
        full_score = follow_edges(full_score, findings.frame)
    enlarged = cv2.resize(findings.known_labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    full_labels = enlarged.astype(np.int16)
    parts: list[tuple[Region, RegionName, float]] = []
    masks: list[Mask] = []
    for label in range(known, len(vocabulary)):
        for part in connected_regions(labels == label, options.min_area * labels.size, labels.size):
            overlaps = [
                int(np.count_nonzero(region.mask & part.mask)) if name.name == vocabulary[label] else 0
                for region, name in findings.regions
            ]
            if not any(overlaps):  # outside of every region with this name: the known classes keep these pixels
                continue
            if options.edges == "grabcut":
                mask = cut_out(findings.frame, part.mask, findings.score)
            else:
                mask = mask_at_frame_size(part.mask, size)
            full_labels[mask] = label
            masks.append(mask)
            region, name = findings.regions[int(np.argmax(overlaps))]
            parts.append((part, name, found_up_to(region)))
    instances = _instances(words, full_score, findings.features, masks, parts)
    return FrameResult(full_score, full_labels, vocabulary, known, options.threshold, instances)


def _labels_with_regions(findings: Findings, known: int, names: list[str], options: Options) -> npt.NDArray[np.int16]:
    """The label map in which each region that stays whole has its name."""
    by_region = options.reassign_known == "region"
    labels = findings.known_labels.copy() if by_region else findings.labels
    for region, name in findings.regions:
        # An unknown object has no text that could win pixels, so it keeps the region in which it was found.
        if name.candidate is None or by_region:
            labels[region.mask] = known + names.index(name.name)
    return labels


def _instances(
    words: PromptedVocabulary,
    score: npt.NDArray[np.float32],
    features: Tensor | None,
    masks: list[Mask],
    parts: list[tuple[Region, RegionName, float]],
) -> tuple[Instance, ...]:
    """The instances of a frame, the highest score first."""
    if not parts:
        return ()
    assert features is not None
    grids = torch.from_numpy(np.stack([part.mask for part, _, _ in parts]))
    embeddings = region_embeddings(features, grids).numpy()
    candidates = words.vocabulary.candidates
    instances = []
    for mask, (_, name, evidence), embedding in zip(masks, parts, embeddings, strict=True):
        inside = score[mask]
        instances.append(
            Instance(
                name=name.name,
                name_score=name.score,
                names=name.names,
                name_source="none" if name.candidate is None else candidates[name.candidate].source.value,
                mask=mask,
                bbox=bounding_box(mask),
                area=int(np.count_nonzero(mask)),
                score=float(inside.mean()),
                score_max=float(inside.max()),
                embedding=embedding,
                evidence=evidence,
                name_reason=name.reason,
            )
        )
    return tuple(sorted(instances, key=lambda instance: (-instance.score_max, instance.bbox)))
