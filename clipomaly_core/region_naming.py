"""The regions of a batch of frames and their names, from dense features and from crops."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.anomaly_regions import logit
from clipomaly_core.crop_choice import CropChoice, Moment, RegionSeen, choose_crops
from clipomaly_core.crops import context_crop, masked_crop
from clipomaly_core.frame_encoder import FrameEncoder
from clipomaly_core.masks import bounding_box, mask_at_frame_size
from clipomaly_core.naming import RegionName, name_regions
from clipomaly_core.options import Options
from clipomaly_core.prompted_vocabulary import PromptedVocabulary
from clipomaly_core.regions import Region, region_embeddings
from clipomaly_core.types import Frame


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
