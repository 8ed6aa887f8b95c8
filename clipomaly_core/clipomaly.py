"""The method: frames in, named anomalous instances out.

Source: "Language-Guided Open-World Anomaly Segmentation", arXiv 2512.01427. What the paper leaves open is an
option, see ``options``.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from threading import Lock

import cv2
import numpy as np
import numpy.typing as npt
import torch
from open_clip import CLIP
from torch import Tensor
from torch.nn.functional import interpolate

from clipomaly_core.crops import context_crop, masked_crop
from clipomaly_core.dense import dense_features, image_embedding
from clipomaly_core.edges import follow_edges
from clipomaly_core.errors import UserError
from clipomaly_core.lemma import lemma
from clipomaly_core.names import ASKED, NameSource
from clipomaly_core.naming import RegionName, name_regions
from clipomaly_core.options import Options, default_options
from clipomaly_core.prompts import Prompts, make_prompts
from clipomaly_core.regions import Region, connected_regions, region_embeddings
from clipomaly_core.scores import anomaly_score
from clipomaly_core.steps import step
from clipomaly_core.suppression import Suppressor, make_suppressor
from clipomaly_core.tagger import ClipTagger, Tagger
from clipomaly_core.text import TextEncoder, load_templates
from clipomaly_core.types import UNKNOWN_NAME, Finish, Frame, FrameResult, Instance
from clipomaly_core.vocabulary import Vocabulary
from clipomaly_core.weights import Checkpoint, cache_dir, find_checkpoint, load_network

_FINER = 4
"""Maps are made at so many cells a patch: similarities are upsampled before, not after, they are compared."""
_LONGEST = 6
"""A frame's longer side is at most so many times its shorter one; slivers beyond it are squeezed, not a crash."""
_CROPS = 64
"""Crops in one forward pass."""

_NO_MASS = -1e4
"""Logarithm that stands for no mass at all, finite so that it can be interpolated."""


@dataclass(frozen=True, slots=True)
class _Words:
    """A vocabulary and its embeddings: one thing, so that a call sees the same one from beginning to end."""

    vocabulary: Vocabulary
    known: Prompts
    candidates: Prompts
    names: tuple[str, ...]
    suppressed: Suppressor


class Clipomaly:
    """A CLIP, a vocabulary and options. ``Clipomaly.load`` makes one."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        network: CLIP,
        vocabulary: Vocabulary,
        options: Options,
        device: torch.device,
        tagger: Tagger | None = None,
    ) -> None:
        self.name = checkpoint.name
        self.weights_sha256 = checkpoint.sha256
        self.embedding_dimension = checkpoint.embedding_dimension
        self.options = options
        self._network = network
        self._device = device
        self._patch = int(network.visual.patch_size[0])
        self._mean = torch.tensor(checkpoint.mean, device=device)[:, None, None]
        self._std = torch.tensor(checkpoint.std, device=device)[:, None, None]
        self._encoder = TextEncoder(
            network,
            checkpoint.architecture,
            checkpoint.sha256,
            load_templates(options.templates),
            cache_dir(),
        )
        self._extending = Lock()
        self._words = self._embedded(vocabulary)
        self._tagger = tagger
        if tagger is None and options.candidates == "ram":
            from clipomaly_core.ram import RecognizeAnything  # with it comes a package of its own

            self._tagger = RecognizeAnything(options.tagger_weights, device)

    @classmethod
    def load(
        cls,
        model: str = "nano",
        *,
        weights: str | None = None,
        vocabulary: str | Vocabulary | None = None,
        device: str = "auto",
        options: Options | None = None,
        tagger: Tagger | None = None,
    ) -> "Clipomaly":
        """Load a model.

        Args:
            model: ``"nano"`` (built in, for demonstration and tests) or an open_clip name with its pretrained
                tag, ``"ViT-B-16-quickgelu/openai"``.
            weights: path or fsspec URL of safetensors or an open_clip checkpoint.
            vocabulary: a vocabulary, or path or URL of a vocabulary file; the built-in one when ``None``.
            device: ``auto`` takes an accelerator where there is one; else any torch device.
            options: the model's defaults when ``None``.
            tagger: gives the candidate names of each frame, in place of what ``options.candidates`` says.

        Raises:
            UserError: anything of these that is not there or does not fit.
        """
        checkpoint = find_checkpoint(model, weights)
        target = choose_device(device)
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.load(vocabulary)
        options = options or default_options(model)
        return cls(checkpoint, load_network(checkpoint, target), vocabulary, options, target, tagger)

    @property
    def batch_size(self) -> int:
        """How many frames one call should hold: enough to fill the device, few enough for its memory."""
        return 4 if self._device.type == "cpu" else 32

    @property
    def network(self) -> CLIP:
        """The network itself, for training: float32, in evaluation mode, without gradients until they are asked for."""
        return self._network

    @property
    def vocabulary(self) -> Vocabulary:
        """V and W as they are now: a tagger, as ``extend``, adds names."""
        return self._words.vocabulary

    def extend(self, names: Iterable[str], source: NameSource = NameSource.USER) -> None:
        """Add candidate names; costs their text embeddings and nothing else."""
        with self._extending:  # threads that share a model may each bring names
            self._words = self._embedded(self.vocabulary.extend(names, source))

    def _embedded(self, vocabulary: Vocabulary) -> _Words:
        known = make_prompts(self._encoder, [(c.name, *c.synonyms) for c in vocabulary.known])
        candidates = self._candidate_prompts(vocabulary)
        if near := self._near_known(vocabulary, known, candidates):
            vocabulary = vocabulary.leave_out(near)
            candidates = self._candidate_prompts(vocabulary)
        names = tuple(c.name for c in vocabulary.candidates)
        suppressed = make_suppressor(vocabulary.suppressed, self.weights_sha256, self.embedding_dimension, self._device)
        return _Words(vocabulary, known, candidates, names, suppressed)

    def _candidate_prompts(self, vocabulary: Vocabulary) -> Prompts:
        return make_prompts(self._encoder, [(c.name, *c.synonyms) for c in vocabulary.candidates])

    def _near_known(self, vocabulary: Vocabulary, known: Prompts, candidates: Prompts) -> dict[str, str]:
        """Candidates that mean much the same as a class of V, with the reason. What a person asked for stays."""
        if not vocabulary.candidates:
            return {}
        best, index = known.cosines(candidates.names).max(dim=-1)
        return {
            candidate.name: f"cosine {cosine:.3f} to {vocabulary.known[row].name}, a known class"
            for candidate, cosine, row in zip(vocabulary.candidates, best.tolist(), index.tolist(), strict=True)
            if cosine >= self.options.known_cosine and candidate.source not in ASKED
        }

    def _words_for(self, frames: Sequence[Frame]) -> tuple[_Words, Tensor | None]:
        """The words, and which candidates each frame may have, (B, N) bool; ``None`` for all."""
        words = self._words
        tagger = self._tagger
        if tagger is None:
            if self.options.candidates == "dictionary":
                return words, None
            options = self.options
            tagger = ClipTagger(
                self._embed_crops,
                words.known,
                words.candidates,
                words.names,
                options.crop_size,
                options.naming_scale,
                options.tags,
            )
        tags = [[lemma(tag.name) for tag in found] for found in tagger(frames)]
        settled = {lemma(term) for c in words.vocabulary.candidates for term in (c.name, *c.synonyms)}
        settled |= {lemma(left.name) for left in words.vocabulary.left_out}
        if fresh := sorted({tag for found in tags for tag in found} - settled - {""}):
            self.extend(fresh, NameSource.TAGGER)
            words = self._words
        terms = [{lemma(term) for term in (c.name, *c.synonyms)} for c in words.vocabulary.candidates]
        asked = [c.source in ASKED for c in words.vocabulary.candidates]
        allowed = [
            [own or not term.isdisjoint(found) for own, term in zip(asked, terms, strict=True)] for found in tags
        ]
        return words, torch.tensor(allowed, dtype=torch.bool, device=self._device).reshape(len(frames), len(terms))

    def __call__(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """Find and name what V does not cover: what ``infer`` says, finished, one result a frame in order."""
        return [finish() for finish in self.infer(frames)]

    @torch.inference_mode()
    def infer(self, frames: Sequence[Frame]) -> list[Finish]:
        """Do what needs the network and its device.

        What is left, masks at the frame's size above all, is the CPU's, and any thread may do it while the next frames
        are on the device.

        Args:
            frames: (H, W, 3) uint8 RGB each; sizes may differ, those of one size go through together.

        Returns:
            A function a frame, in order, that makes its result. A frame's scores do not depend on the others of the
            call.

        Raises:
            UserError: a frame that is not (H, W, 3) uint8.
        """
        for frame in frames:
            if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
                raise UserError(f"A frame must be (height, width, 3) uint8 RGB, not {frame.shape} {frame.dtype}.")
        order = sorted(range(len(frames)), key=lambda index: (frames[index].shape, index))
        results: dict[int, Finish] = {}
        for _, group in groupby(order, key=lambda index: frames[index].shape):
            indices = list(group)
            same_size = self._same_size([frames[index] for index in indices])
            results.update(zip(indices, same_size, strict=True))
        return [results[index] for index in range(len(frames))]

    def known_cosines(self, frames: Sequence[Frame]) -> Tensor:
        """Cosines to the classes of V, as everything else rests on them; gradients flow through.

        Args:
            frames: (H, W, 3) uint8 RGB of one size.

        Returns:
            (B, C, 4h, 4w) float32 in [-1, 1], for h by w patches at the working size.
        """
        return self._finer(self._words.known.cosines(self._dense(frames)))

    def _same_size(self, frames: list[Frame]) -> list[Finish]:
        options = self.options
        with step("naming"):
            words, allowed = self._words_for(frames)
        with step("scoring"):
            features = self._dense(frames)
            known = self._finer(words.known.cosines(features))
            mass = self._mass(features, words, allowed) if options.score == "unknown-mass" else None
            scores = anomaly_score(options.score, known, mass, options.logit_scale).cpu().numpy()
        with step("naming"):
            least = options.min_area * scores[0].size
            regions = [connected_regions(score > options.threshold, least, options.max_regions) for score in scores]
            named = self._name(frames, features, regions, words, allowed)
            kept = [
                [pair for pair in zip(*of_frame, strict=True) if not pair[1].reclaimed]
                for of_frame in zip(regions, named, strict=True)
            ]
            chosen = [sorted({name.candidate for _, name in pairs if name.candidate is not None}) for pairs in kept]
            known_labels = known.argmax(1)
            labels = torch.stack(
                [
                    self._labels(known[index], known_labels[index], words.candidates.of(own), features[index])
                    if own and options.reclaim == "pixel"
                    else known_labels[index]
                    for index, own in enumerate(chosen)
                ]
            )
            # Brought over together: an accelerator is waited for once a batch, not once a frame. Features are needed
            # where something was found, which is in few frames.
            both = torch.stack([known_labels, labels]).to(torch.int16).cpu().numpy()
            hits = [index for index, pairs in enumerate(kept) if pairs]
            brought = dict(zip(hits, features[hits].cpu(), strict=True))
        return [
            partial(
                self._frame_result,
                frame,
                words,
                brought.get(index),
                scores[index],
                both[0, index],
                both[1, index],
                chosen[index],
                kept[index],
            )
            for index, frame in enumerate(frames)
        ]

    def _labels(self, known: Tensor, known_labels: Tensor, chosen: Prompts, features: Tensor) -> Tensor:
        """The most similar of V and of the chosen names of one frame, at each place: (4h, 4w) into V then these."""
        unknown = self._finer(chosen.cosines(features[None]))[0]
        best, index = unknown.max(0)
        return torch.where(best > known.amax(0), index + len(known), known_labels)

    def _mass(self, features: Tensor, words: _Words, allowed: Tensor | None) -> Tensor:
        """Log-sum-exp of the scaled cosines to the candidates that each frame may have: (B, 1, 4h, 4w)."""
        cosines = words.candidates.cosines(features)
        if allowed is not None:
            cosines = cosines.masked_fill(~allowed[:, None, None], -torch.inf)
        mass = torch.logsumexp(self.options.logit_scale * cosines, dim=-1, keepdim=True)
        return self._finer(mass.clamp(min=_NO_MASS))

    def _dense(self, frames: Sequence[Frame]) -> Tensor:
        """Features of frames of one size: (B, h, w, D) float32, L2-normalised, on the finer grid of two looks."""
        pixels = self._pixels(frames)
        if pixels.device.type != "cpu":  # of torch's kernels for this only the CPU's take bytes
            pixels = pixels.float()
        first = self._look(pixels, 1.0)
        if self.options.second_scale == 1:
            return first
        second = self._look(pixels, self.options.second_scale)
        finer, coarser = (first, second) if first.shape[1] >= second.shape[1] else (second, first)
        enlarged = interpolate(coarser.permute(0, 3, 1, 2), size=finer.shape[1:3], mode="bilinear").permute(0, 2, 3, 1)
        return torch.nn.functional.normalize(finer + enlarged, dim=-1)

    def _look(self, pixels: Tensor, scale: float) -> Tensor:
        """Features of (B, 3, H, W) pixels at ``scale`` times the working size."""
        size = self._working_size(pixels.shape[-2], pixels.shape[-1], scale)
        pixels = interpolate(pixels, size=size, mode="bilinear", antialias=True)
        with self._precision():
            return dense_features(
                self._network.visual,
                self._normalised(pixels),
                self.options.attention,
                self.options.window,
                self.options.stride,
            )

    def _precision(self) -> AbstractContextManager[object]:
        wanted = self.options.precision
        bfloat16 = wanted == "bfloat16" or (wanted == "auto" and self._device.type != "cpu")
        return torch.autocast(self._device.type, torch.bfloat16, enabled=bfloat16)

    def _working_size(self, height: int, width: int, scale: float = 1.0) -> tuple[int, int]:
        short_side = scale * self.options.short_side
        shrink = short_side / min(height, width)
        most = int(_LONGEST * short_side) // self._patch
        rows, columns = (max(1, min(most, round(side * shrink / self._patch))) for side in (height, width))
        return rows * self._patch, columns * self._patch

    def _pixels(self, images: Sequence[Frame]) -> Tensor:
        pixels = torch.from_numpy(np.stack(images))
        if self._device.type == "cuda":  # from pinned memory the copy runs while this thread goes on
            pixels = pixels.pin_memory()
        return pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2)

    def _normalised(self, pixels: Tensor) -> Tensor:
        return (pixels.float() / 255 - self._mean) / self._std

    @staticmethod
    def _finer(maps: Tensor) -> Tensor:
        """(B, h, w, C) on the patch grid → (B, C, 4h, 4w)."""
        maps = maps.permute(0, 3, 1, 2)
        if maps.shape[1] == 0:
            return maps.new_zeros(maps.shape[0], 0, maps.shape[2] * _FINER, maps.shape[3] * _FINER)
        return interpolate(maps, scale_factor=_FINER, mode="bilinear", align_corners=False)

    def _name(
        self, frames: list[Frame], features: Tensor, regions: list[list[Region]], words: _Words, allowed: Tensor | None
    ) -> list[list[RegionName]]:
        """Name the regions of all frames of a batch together, so that crops fill the device."""
        if not any(regions):
            return [[] for _ in frames]
        embedded = torch.cat(
            [
                region_embeddings(
                    feature, torch.from_numpy(np.stack([region.mask for region in found])).to(self._device)
                )
                for feature, found in zip(features, regions, strict=True)
                if found
            ]
        )
        crops = embedded  # where they have no say, the frame's own features name for next to nothing
        if self.options.region_weight < 1:
            pairs = [
                self._crops(frame, region) for frame, found in zip(frames, regions, strict=True) for region in found
            ]
            both = self._embed_crops([crop for pair in pairs for crop in pair]).unflatten(0, (-1, 2))
            crops = torch.nn.functional.normalize(both.mean(1), dim=-1)
        counts = torch.tensor([*map(len, regions)], device=self._device)
        own = None if allowed is None else allowed.repeat_interleave(counts, dim=0)
        named = name_regions(embedded, crops, words.known, words.candidates, words.names, self.options, own)
        hit = words.suppressed(embedded, [name.best for name in named])
        rest = iter(replace(name, reclaimed=name.reclaimed or no) for name, no in zip(named, hit, strict=True))
        return [[next(rest) for _ in found] for found in regions]

    def _crops(self, frame: Frame, region: Region) -> tuple[Frame, Frame]:
        mask = _to_frame(region.mask, frame.shape[:2])
        bbox = _bounds(mask)
        size = self.options.crop_size
        return masked_crop(frame, mask, bbox, size), context_crop(frame, bbox, size, self.options.context)

    def _embed_crops(self, crops: list[Frame]) -> Tensor:
        parts = []
        with self._precision():
            for start in range(0, len(crops), _CROPS):
                pixels = self._normalised(self._pixels(crops[start : start + _CROPS]))
                parts.append(image_embedding(self._network.visual, pixels))
        return torch.cat(parts)

    @torch.inference_mode()
    def _frame_result(
        self,
        frame: Frame,
        words: _Words,
        features: Tensor | None,
        score: npt.NDArray[np.float32],
        known_labels: npt.NDArray[np.int16],
        labels: npt.NDArray[np.int16],
        chosen: list[int],
        regions: list[tuple[Region, RegionName]],
    ) -> FrameResult:
        size = (frame.shape[0], frame.shape[1])
        known = len(words.vocabulary.known)
        names = [words.names[index] for index in chosen]
        if any(name.candidate is None for _, name in regions):
            names.append(UNKNOWN_NAME)
        if self.options.reclaim == "region":
            labels = known_labels.copy()
        for region, name in regions:
            # An unknown object has no text to win pixels with: it keeps the region in which it was found.
            if name.candidate is None or self.options.reclaim == "region":
                labels[region.mask] = known + names.index(name.name)
        vocabulary = (*(c.name for c in words.vocabulary.known), *names)

        scaled = cv2.resize(score, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        full_score = np.clip(scaled, 0, 1).astype(np.float32)
        if self.options.edges == "guided":
            full_score = follow_edges(full_score, frame)
        enlarged = cv2.resize(known_labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
        full_labels = enlarged.astype(np.int16)
        found: list[tuple[Region, RegionName]] = []
        masks = []
        for label in range(known, len(vocabulary)):
            for part in connected_regions(labels == label, self.options.min_area * labels.size, labels.size):
                overlaps = [
                    int(np.count_nonzero(region.mask & part.mask)) if name.name == vocabulary[label] else 0
                    for region, name in regions
                ]
                if not any(overlaps):  # the name won pixels that nothing had called unknown: V reclaims them
                    continue
                mask = _to_frame(part.mask, size)
                full_labels[mask] = label
                masks.append(mask)
                found.append((part, regions[int(np.argmax(overlaps))][1]))
        instances = self._instances(words, full_score, features, masks, found)
        return FrameResult(full_score, full_labels, vocabulary, known, self.options.threshold, instances)

    def _instances(
        self,
        words: _Words,
        score: npt.NDArray[np.float32],
        features: Tensor | None,
        masks: list[npt.NDArray[np.bool_]],
        found: list[tuple[Region, RegionName]],
    ) -> tuple[Instance, ...]:
        """The regions of a frame with their names as instances, and their masks over the frame; the surest first."""
        if not found:
            return ()
        assert features is not None  # what is found was a region
        grids = torch.from_numpy(np.stack([part.mask for part, _ in found]))
        embeddings = region_embeddings(features, grids).numpy()
        candidates = words.vocabulary.candidates
        instances = []
        for mask, (_, name), embedding in zip(masks, found, embeddings, strict=True):
            inside = score[mask]
            instances.append(
                Instance(
                    name=name.name,
                    name_score=name.score,
                    names=name.names,
                    name_source="none" if name.candidate is None else candidates[name.candidate].source.value,
                    mask=mask,
                    bbox=_bounds(mask),
                    area=int(np.count_nonzero(mask)),
                    score=float(inside.mean()),
                    score_max=float(inside.max()),
                    embedding=embedding,
                )
            )
        return tuple(sorted(instances, key=lambda instance: (-instance.score_max, instance.bbox)))


def choose_device(device: str) -> torch.device:
    """The torch device for ``auto`` or a device's name.

    Raises:
        UserError: a device that this machine does not have.
    """
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"Device {device!r} is not on this machine; use --device auto or cpu.") from error
    return chosen


def _to_frame(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """A mask of the working grid at the frame's (height, width), with smooth edges and never empty."""
    scaled = cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    full = scaled >= 0.5
    return full if full.any() else scaled >= scaled.max()


def _bounds(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return int(x), int(y), int(width), int(height)
