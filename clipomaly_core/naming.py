"""Names for the regions of a batch of frames: preselection by region embedding, then rescoring with crops.

Preselection as in CAT-Seg (arXiv 2303.11797); "CLIP-Best" of the Clipomaly paper is read as this rescoring.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.crops import CropChoice, Moment, RegionSeen, choose_crops, context_crop, masked_crop
from clipomaly_core.dense import FrameEncoder
from clipomaly_core.exemplars import Recall, nothing_recalled
from clipomaly_core.options import Options
from clipomaly_core.prompted_vocabulary import PromptedVocabulary
from clipomaly_core.regions import Region, bounding_box, logit, mask_at_frame_size, region_embeddings
from clipomaly_core.text import Prompts
from clipomaly_core.types import UNKNOWN_NAME, Frame, NameScore

_TOP = 5
_ABOVE_ALL = 4.0
"""More than two cosines can differ: brings what exemplars name into the preselection."""


@dataclass(frozen=True, slots=True)
class RegionName:
    """What a region was called.

    ``candidate`` is the number of a candidate name; ``None`` where no name is clear and near enough.
    ``reassigned_known`` is true where a known class fits the region better than any candidate, or almost as well: see
    ``Options.reassign_known_margin``. ``reason`` says why there is no name: ``margin``, the best two are too close;
    ``distance``, all are too far; ``candidates``, there are none; ``known``, a
    known class fits better, but the region is too anomalous for it; ``None`` where there is a name. ``judged`` is true
    where exemplars name the region, false where they say that it is no anomaly, ``None`` where they do not decide.
    """

    candidate: int | None
    names: tuple[NameScore, ...]
    reassigned_known: bool = False
    reason: str | None = None
    judged: bool | None = None

    @property
    def name(self) -> str:
        """The name, or "unknown object"."""
        return self.best if self.candidate is not None else UNKNOWN_NAME

    @property
    def best(self) -> str:
        """The best candidate's name, clear or not; "unknown object" where there are no candidates."""
        return self.names[0].name if self.names else UNKNOWN_NAME

    @property
    def score(self) -> float:
        """Probability of the best candidate, in [0, 1]; 0 where there is none."""
        return self.names[0].score if self.names else 0.0


def name_regions(
    regions: Tensor,
    crops: Tensor,
    known: Prompts,
    candidates: Prompts,
    names: tuple[str, ...],
    options: Options,
    allowed: Tensor | None = None,
    recall: Recall | None = None,
    unknown: Tensor | None = None,
) -> list[RegionName]:
    """Choose a name for each region.

    Args:
        regions: (R, D) float32 region embeddings, L2-normalised.
        crops: (R, D) float32 crop embeddings, L2-normalised.
        known: the known classes (V). A region that they fit better is reassigned to them.
        candidates: prompts of the N candidate names.
        names: the N candidate names.
        options: preselect, region_weight, naming_scale, margin, name_cosine and reassign_known_margin are read.
        allowed: (R, N) bool, the candidates that each region may be called; all where ``None``.
        recall: what exemplars say of the regions; ``None`` where there are none.
        unknown: (R,) bool, regions that no known class may take: "unknown objects" where one fits better.
    """
    if not names or not len(regions):
        return [RegionName(None, (), reason="candidates")] * len(regions)
    if allowed is None:
        allowed = torch.ones(len(regions), len(names), dtype=torch.bool, device=regions.device)
    candidates_region, candidates_crop = _cosines(candidates, regions), _cosines(candidates, crops)
    fused = torch.lerp(candidates_crop, candidates_region, options.region_weight)
    fused_known = torch.lerp(_cosines(known, crops), _cosines(known, regions), options.region_weight).amax(1)
    texts = _read_texts(candidates_region.masked_fill(~allowed, -torch.inf), fused, fused_known, options)
    shares = nothing_recalled(len(regions), len(names), regions.device)
    if recall is not None:
        settled = texts.clear | texts.known
        if unknown is not None:  # without exemplars these would be called "unknown object"
            settled &= ~(texts.known & unknown)
        best_text = texts.kept.gather(1, texts.probability.argmax(1, keepdim=True))[:, 0]
        shares = recall.shares(settled, best_text)
        # What exemplars name is compared, however far its text is.
        allowed = allowed | (shares.names > 0.5)
        raised = candidates_region + _ABOVE_ALL * shares.names
        texts = _read_texts(raised.masked_fill(~allowed, -torch.inf), fused, fused_known, options)
    kept = texts.kept
    no_find = shares.ordinary > 0.5
    reassigned = ((texts.known & ~shares.certain) | no_find).tolist()
    verdicts = zip(shares.certain.tolist(), no_find.tolist(), strict=True)
    judged = [True if sure else False if no else None for sure, no in verdicts]
    near = (texts.near | shares.certain).tolist()
    recalled = shares.names.masked_fill(~allowed, 0).gather(1, kept)
    probability = shares.rest[:, None] * texts.probability + recalled
    best = probability.topk(min(_TOP, probability.shape[1]), dim=-1)
    chosen = kept.gather(1, best.indices)
    counts = allowed.sum(1).tolist()
    named = []
    rows = zip(best.values.tolist(), chosen.tolist(), near, reassigned, judged, counts, strict=True)
    for row_scores, row, is_near, is_known, verdict, count in rows:
        scores, indices = row_scores[:count], row[:count]  # candidates that are not allowed come last
        if not count:
            named.append(RegionName(None, (), reason="candidates"))
            continue
        clear = len(scores) == 1 or scores[0] - scores[1] >= options.margin
        reason = None if is_near and clear else "margin" if is_near else "distance"
        top = tuple(NameScore(names[index], score) for index, score in zip(indices, scores, strict=True))
        named.append(RegionName(None if reason else indices[0], top, is_known, reason, verdict))
    return named


@dataclass(frozen=True, slots=True)
class _Texts:
    """What texts say of R regions: the numbers of the K candidates that are compared and their probabilities, (R, K),
    and (R,) bool each, whether the best is near enough, one is clearly the best, and a known class fits better."""

    kept: Tensor
    probability: Tensor
    near: Tensor
    clear: Tensor
    known: Tensor


def _read_texts(by_region: Tensor, fused: Tensor, fused_known: Tensor, options: Options) -> _Texts:
    """Compare the candidates that lead ``by_region`` (R, N), -inf where one is not allowed, by ``fused`` (R, N)."""
    leading = by_region.topk(min(options.preselect, by_region.shape[1]), dim=-1)
    kept = leading.indices
    compared = fused.gather(1, kept).masked_fill(leading.values == -torch.inf, -torch.inf)
    best = compared.amax(1)
    probability = torch.softmax(options.naming_scale * compared, dim=-1)
    ahead = probability.topk(min(2, probability.shape[1]), dim=-1).values
    near = best >= options.name_cosine
    clear = near & (ahead[:, 0] - ahead[:, 1:].sum(1) >= options.margin)
    return _Texts(kept, probability, near, clear, fused_known > best - options.reassign_known_margin)


def _cosines(prompts: Prompts, embeddings: Tensor) -> Tensor:
    """Cosines of a few embeddings: (R, N) float32."""
    # Summed in float64 on a CPU: a float32 product of few rows depends on how many threads share it, and so would
    # the scores of names.
    exact = torch.float64 if embeddings.device.type == "cpu" else torch.float32
    return prompts.cosines(embeddings.to(exact)).float()


def name_frame_regions(
    frames: Sequence[Frame],
    features: Sequence[Tensor],
    regions: Sequence[Sequence[Region]],
    words: PromptedVocabulary,
    allowed: Tensor | None,
    encoder: FrameEncoder,
    options: Options,
    moments: Sequence[Moment | None] | None = None,
) -> list[list[RegionName]]:
    """Name the regions of all frames together, so that their crops fill the device.

    Args:
        frames: B frames of (H, W, 3) uint8 RGB.
        features: (h, w, D) float32, L2-normalised, of each frame.
        regions: the regions of each frame.
        words: known classes and candidate names.
        allowed: (B, N) bool, the candidates of each frame; all where ``None``.
        encoder: embeds the crops.
        options: context, region_weight, crop_sightings, crop_share, certain_threshold and what ``name_regions`` reads.
        moments: of each frame, ``None`` for one that stands alone; all do where it is left out.

    Returns:
        A name for each region of each frame. Suppressed regions are marked as reassigned to the known classes.
    """
    if not any(regions):
        return [[] for _ in frames]
    device = features[0].device
    embedded = torch.cat(
        [
            region_embeddings(frame_features, torch.from_numpy(np.stack([r.mask for r in found])).to(device))
            for frame_features, found in zip(features, regions, strict=True)
            if found
        ]
    )
    crops = embedded
    if options.region_weight < 1:  # at 1 crops have no influence, and are not computed
        choice = _choice(frames, regions, embedded, moments or [None] * len(frames), encoder, options)
        if choice.cropped:
            every = [(frame, region) for frame, found in zip(frames, regions, strict=True) for region in found]
            pairs = [_crops(*every[number], encoder, options) for number in choice.cropped]
            both = encoder.crops([*chain(*pairs)]).unflatten(0, (-1, 2))
            crops = choice.give(normalize(both.mean(1), dim=-1), embedded)
    counts = torch.tensor([*map(len, regions)], device=device)
    own = None if allowed is None else allowed.repeat_interleave(counts, dim=0)
    recall = words.recall(embedded)
    least = float("inf") if options.certain_threshold is None else logit(options.certain_threshold)
    certain = [region.peak > least for found in regions for region in found]
    unknown = torch.tensor(certain, device=device)
    named = name_regions(embedded, crops, words.known, words.candidates, words.names, options, own, recall, unknown)
    named = [
        _certain(name) if sure and name.judged is not False else name for name, sure in zip(named, certain, strict=True)
    ]
    suppressed = words.suppressed(embedded, [name.best for name in named])
    # What looks like an accepted thing is one, though it looks like a rejected one, too.
    suppressed = [hit and not name.judged for hit, name in zip(suppressed, named, strict=True)]
    rest = iter(
        replace(name, reassigned_known=name.reassigned_known or hit)
        for name, hit in zip(named, suppressed, strict=True)
    )
    return [[next(rest) for _ in found] for found in regions]


def _choice(
    frames: Sequence[Frame],
    regions: Sequence[Sequence[Region]],
    embedded: Tensor,
    moments: Sequence[Moment | None],
    encoder: FrameEncoder,
    options: Options,
) -> CropChoice:
    """Which of the regions get crops."""
    rest = iter(embedded.cpu())
    seen = [RegionSeen(number, region, next(rest)) for number, found in enumerate(regions) for region in found]
    most = [
        float("inf")
        if options.crop_share is None
        else options.crop_share * encoder.frame_pixels(frame.shape[0], frame.shape[1]) / (2 * encoder.crop_size**2)
        for frame in frames
    ]
    return choose_crops(seen, moments, most, options.crop_sightings)


def _certain(name: RegionName) -> RegionName:
    """The name of a region that no known class may take."""
    if not name.reassigned_known:
        return name
    return replace(name, candidate=None, reassigned_known=False, reason="known")


def _crops(frame: Frame, region: Region, encoder: FrameEncoder, options: Options) -> tuple[Frame, Frame]:
    mask = mask_at_frame_size(region.mask, frame.shape[:2])
    bbox = bounding_box(mask)
    size, interpolation = encoder.crop_size, encoder.interpolation
    alone = masked_crop(frame, mask, bbox, size, interpolation)
    return alone, context_crop(frame, bbox, size, options.context, interpolation)
