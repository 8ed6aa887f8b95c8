"""The method: frames in, named anomalous instances out.

Source: "Language-Guided Open-World Anomaly Segmentation", arXiv 2512.01427. What the paper leaves open is an option,
see ``options``.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from clipomaly_core.assembly import Findings, frame_result
from clipomaly_core.crops import Moment
from clipomaly_core.dense import FrameEncoder, FramesInput, choose_device, to_frames
from clipomaly_core.errors import UserError
from clipomaly_core.names import NameSource
from clipomaly_core.naming import RegionName, name_frame_regions
from clipomaly_core.options import Options, default_options
from clipomaly_core.prompted_vocabulary import PromptedVocabulary, allowed_candidates, new_names, prompt_vocabulary
from clipomaly_core.reference.record import (
    ORDINARY_LOGIT,
    Reference,
    built_in_reference,
    calibrated_logits,
    read_reference,
)
from clipomaly_core.reference.thresholds import check_reference, thresholds_from
from clipomaly_core.regions import Logits, Region, anomaly_regions, probability
from clipomaly_core.scores import Look, anomaly_logit, candidate_evidence, finer, label_map
from clipomaly_core.tagger import ClipTagger, RecognizeAnything, Tagger
from clipomaly_core.text import TextEncoder, load_templates
from clipomaly_core.timing import step
from clipomaly_core.towers.load import load_tower
from clipomaly_core.towers.protocol import Tower
from clipomaly_core.types import Finish, Frame, FrameResult
from clipomaly_core.vocabulary import Vocabulary
from clipomaly_core.weights import Checkpoint, cache_dir, find_checkpoint


class Clipomaly:
    """A model, a vocabulary and options. ``Clipomaly.load`` makes one.

    Example:
        >>> import numpy as np
        >>> from clipomaly_core import Clipomaly
        >>> model = Clipomaly.load("nano", device="cpu")
        >>> [result] = model([np.zeros((360, 640, 3), np.uint8)])
        >>> result.anomaly_score.shape
        (360, 640)
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tower: Tower,
        vocabulary: Vocabulary,
        options: Options,
        device: torch.device,
        tagger: Tagger | None = None,
        reference: Reference | None = None,
    ) -> None:
        """Arguments as in ``load``, with the model itself as ``tower``, on ``device``."""
        self.name = checkpoint.name
        self.weights_sha256 = checkpoint.sha256
        self.embedding_dimension = tower.image.embedding_dimension
        self.options = options if reference is None else thresholds_from(reference, options)
        self.reference = None if reference is None else reference.on(device)
        self.encoder = FrameEncoder(tower, options, device)
        self._tower = tower
        self._given: tuple[str | None, str] = (str(checkpoint.path), str(device))
        self._given_tagger = tagger
        self._device = device
        templates = load_templates(options.templates)
        self._text = TextEncoder(
            tower.text,
            self.embedding_dimension,
            device,
            checkpoint.architecture,
            checkpoint.sha256,
            templates,
            cache_dir(),
        )
        self._extending = Lock()
        self._words = self._prompted(vocabulary)
        self._tagger = tagger
        if tagger is None and options.candidates == "ram":
            self._tagger = RecognizeAnything(options.tagger_weights, device)

    @classmethod
    def load(
        cls,
        model: str = "road",
        *,
        weights: str | None = None,
        vocabulary: str | Vocabulary | None = None,
        device: str = "auto",
        options: Options | None = None,
        tagger: Tagger | None = None,
        reference: str | Reference | None = None,
    ) -> "Clipomaly":
        """Load a model.

        Args:
            model: ``"road"`` or ``"nano"`` (built in) or an open_clip name with its pretrained tag,
                ``"ViT-B-16-quickgelu/openai"``.
            weights: path or fsspec URL of safetensors or an open_clip checkpoint.
            vocabulary: a vocabulary, or path or URL of a vocabulary file; the built-in one when ``None``.
            device: ``auto`` takes an accelerator where there is one; else any torch device.
            options: the model's defaults when ``None``.
            tagger: gives the candidate names of each frame, in place of ``options.candidates``.

        Raises:
            UserError: a model, file, device or package that is missing or does not fit.
        """
        checkpoint = find_checkpoint(model, weights)
        target = choose_device(device)
        if not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.load(vocabulary)
        options = options or default_options(model)
        if isinstance(reference, str):
            reference = read_reference(reference)
        if reference is not None:
            check_reference(reference, checkpoint.sha256, options)
        else:
            reference = built_in_reference(checkpoint.name, checkpoint.sha256)
        loaded = cls(checkpoint, load_tower(checkpoint, target), vocabulary, options, target, tagger, reference)
        loaded._given = (weights, device)
        return loaded

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle and copy by what the model was loaded from, with its vocabulary as it is now.

        The weights are not in the pickle, and a change of them is lost: whoever unpickles must reach the same file.
        """
        weights, device = self._given
        reference = self.reference and self.reference.on(torch.device("cpu"))
        words, options, tagger = self.vocabulary, self.options, self._given_tagger
        load = partial(_load_again, weights=weights, vocabulary=words, device=device, options=options, tagger=tagger)
        return load, (self.name, self.weights_sha256, reference)

    @property
    def batch_size(self) -> int:
        """How many frames one call should hold: enough to fill the device, few enough for its memory."""
        return 4 if self._device.type == "cpu" else 32

    @property
    def batches_in_flight(self) -> int:
        """How many batches a scan works at: on an accelerator, it looks at the next one while regions are named."""
        return 1 if self._device.type == "cpu" else 2

    @property
    def ordinary_logit(self) -> float:
        """The logit of the anomaly score at ordinary places."""
        return ORDINARY_LOGIT

    @property
    def tower(self) -> Tower:
        """The model behind the method."""
        return self._tower

    @property
    def network(self) -> nn.Module:
        """The network itself, for training: float32, in evaluation mode, without gradients until they are enabled."""
        return self._tower.network

    @property
    def words(self) -> PromptedVocabulary:
        """Known classes and candidate names with their embeddings, as they are now."""
        return self._words

    @property
    def vocabulary(self) -> Vocabulary:
        """Known classes (V) and candidate names (W) as they are now: ``extend`` and taggers add names."""
        return self._words.vocabulary

    def with_reference(self, reference: Reference, options: Options) -> "Clipomaly":
        """The same model, sharing its network and words, calibrated on a reference and with other thresholds."""
        model = object.__new__(type(self))
        model.__dict__.update(self.__dict__)  # a copy would load the network again
        model.reference = reference.on(self._device)
        model.options = thresholds_from(reference, options)
        return model

    def extend(self, names: Iterable[str], source: NameSource = NameSource.USER) -> None:
        """Add candidate names. It costs their text embeddings and nothing else; no retraining.

        Example:
            >>> from clipomaly_core import Clipomaly
            >>> model = Clipomaly.load("nano", device="cpu")
            >>> model.extend(["parade float"])
            >>> "parade float" in model.vocabulary.names
            True
        """
        with self._extending:  # threads that share a model may each bring names
            self._words = self._prompted(self.vocabulary.extend(names, source))

    def _prompted(self, vocabulary: Vocabulary) -> PromptedVocabulary:
        known_cosine = self.options.known_cosine
        return prompt_vocabulary(vocabulary, self._text, known_cosine, self.weights_sha256, self._device)

    def candidates_of(self, frames: Sequence[Frame]) -> list[tuple[str, ...]]:
        """The candidate names that each frame is compared with.

        Args:
            frames: (H, W, 3) uint8 RGB each.
        """
        words, allowed = self._candidates(frames)
        if allowed is None:
            return [words.names] * len(frames)
        rows = allowed.tolist()
        return [tuple(name for name, own in zip(words.names, row, strict=True) if own) for row in rows]

    def _candidates(self, frames: Sequence[Frame]) -> tuple[PromptedVocabulary, Tensor | None]:
        """The words, and which candidates each frame may have, (B, N) bool; ``None`` for all of them."""
        words, options = self._words, self.options
        tagger = self._tagger
        if tagger is None:
            if options.candidates == "dictionary":
                return words, None
            tagger = ClipTagger(
                self.encoder,
                words.known,
                words.candidates,
                words.names,
                options.naming_scale,
                options.tags,
            )
        tags = tagger(frames)
        if fresh := new_names(tags, words.vocabulary):
            self.extend(fresh, NameSource.TAGGER)
            words = self._words
        return words, allowed_candidates(tags, words.vocabulary, self._device)

    def __call__(self, frames: FramesInput) -> list[FrameResult]:
        """Find and name what the known classes do not cover: one result for each frame, in order.

        Args:
            frames: one frame or many: (H, W, 3) uint8 RGB arrays, PIL images, or uint8 tensors, (H, W, 3) or
                (3, H, W). One frame gives a list of one result. See ``infer``.

        Raises:
            UsageError: something that is no frame, or of which it is not clear what is meant.
        """
        return [finish() for finish in self.infer(frames)]

    @torch.inference_mode()
    def infer(self, frames: FramesInput) -> list[Finish]:
        """``look`` and ``find`` in one, for frames that do not belong to one source.

        Args:
            frames: as in a call. Sizes may differ; frames of one size are processed together.

        Returns:
            As ``find``. The scores of a frame do not depend on the other frames of the call.

        Raises:
            UserError: a frame that is not (H, W, 3) uint8.
        """
        return self.find(self.look(frames))

    @torch.inference_mode()
    def look(self, given: FramesInput) -> list[Look]:
        """Features and anomaly scores of frames.

        Args:
            given: frames as in a call. Sizes may differ; frames of one size are processed together.

        Returns:
            One look for each frame, in order. It holds memory of the device until it is dropped.

        Raises:
            UsageError: a frame that is not (H, W, 3) uint8.
        """
        frames = to_frames(given)
        order = sorted(range(len(frames)), key=lambda index: (frames[index].shape, index))
        looks: dict[int, Look] = {}
        for _, group in groupby(order, key=lambda index: frames[index].shape):
            indices = list(group)
            looks.update(zip(indices, self._look([frames[index] for index in indices]), strict=True))
        return [looks[index] for index in range(len(frames))]

    @torch.inference_mode()
    def find(
        self,
        looks: Sequence[Look],
        usual: Sequence[Logits | None] | None = None,
        moments: Sequence[Moment | None] | None = None,
    ) -> list[Finish]:
        """Regions and names of frames, as far as they need the network and its device.

        The rest, above all masks at the frame's size, runs on the CPU. Any thread may do it while the next frames are
        on the device.

        Args:
            looks: what ``look`` returned, of any frames.
            usual: for each look what is subtracted from its logits, see ``clipomaly_core.scores``; of each the
                size of the logits, or ``None``.
            moments: of each look, so that an object that several of them show is cropped only where it is largest;
                ``None`` for a frame that stands alone.

        Returns:
            A function for each look, in order, that makes the result of its frame.
        """
        subtracted = usual or [None] * len(looks)
        logits = [
            look.logits if own is None else look.logits - own for look, own in zip(looks, subtracted, strict=True)
        ]
        finishes: list[Finish] = []
        for _, group in groupby(range(len(looks)), key=lambda index: id(looks[index].words)):
            indices = list(group)
            own = [moments[index] for index in indices] if moments is not None else None
            finishes += self._find([looks[index] for index in indices], [logits[index] for index in indices], own)
        return finishes

    def known_cosines(self, frames: Sequence[Frame]) -> Tensor:
        """Cosines to the known classes; gradients flow through.

        Args:
            frames: (H, W, 3) uint8 RGB of one size.

        Returns:
            (B, C, 4h, 4w) float32 in [-1, 1], for h by w patches at the working size.
        """
        return finer(self._words.known.cosines(self.encoder.dense(frames)))

    def _look(self, frames: list[Frame]) -> list[Look]:
        """Look at frames of one size."""
        options = self.options
        with step("naming"):
            words, allowed = self._candidates(frames)
        with step("scoring"):
            features = self.encoder.dense(frames)
            known = finer(words.known.cosines(features))
            evidence = None
            if options.score == "candidate_probability":
                evidence = candidate_evidence(features, words.candidates, allowed, options.logit_scale)
            elif options.score == "word-msp":
                evidence = candidate_evidence(features, words.known.words(), None, options.logit_scale)
            language = anomaly_logit(options.score, known, evidence, options.logit_scale)
            logits = calibrated_logits(self.reference, language, features, options.fusion).cpu().numpy()
            plain = language.cpu().numpy()
        return [
            Look(
                frame,
                words,
                features[index],
                known[index],
                logits[index],
                plain[index],
                None if allowed is None else allowed[index],
            )
            for index, frame in enumerate(frames)
        ]

    def _find(self, looks: list[Look], logits: list[Logits], moments: Sequence[Moment | None] | None) -> list[Finish]:
        """Find in frames that share their words; ``logits`` take the place of those of the looks."""
        options, words = self.options, looks[0].words
        with step("naming"):
            regions = [anomaly_regions(own, options) for own in logits]
            allowed = (
                None
                if looks[0].allowed is None
                else torch.stack([look.allowed for look in looks if look.allowed is not None])
            )
            frames, features = [look.frame for look in looks], [look.features for look in looks]
            named = name_frame_regions(frames, features, regions, words, allowed, self.encoder, options, moments)
        return [
            self._finish(look, own, [pair for pair in zip(*of_frame, strict=True) if not pair[1].reassigned_known])
            for look, own, of_frame in zip(looks, logits, zip(regions, named, strict=True), strict=True)
        ]

    def _finish(self, look: Look, logits: Logits, kept: list[tuple[Region, RegionName]]) -> Finish:
        """What the device has to do for the label map of one frame, and then the rest of it."""
        with step("naming"):
            chosen = tuple(sorted({name.candidate for _, name in kept if name.candidate is not None}))
            known_labels = labels = look.known.argmax(0)
            if chosen and self.options.reassign_known == "pixel":
                labels = label_map(look.known, look.words.candidates.of(chosen), look.features)
            both = torch.stack([known_labels, labels]).to(torch.int16).cpu().numpy()
            features = look.features.cpu() if kept else None  # few frames have finds
            score = probability(logits)
            findings = Findings(look.frame, score, both[0], both[1], chosen, tuple(kept), features)
        return partial(frame_result, findings, look.words, self.options)


def _load_again(model: str, sha256: str, reference: Reference | None, **given: Any) -> Clipomaly:
    """A pickled model, from where it was loaded before. Raises UserError when other weights are there now."""
    loaded = Clipomaly.load(model, reference=reference, **given)
    if loaded.weights_sha256 != sha256:
        raise UserError(
            f"The weights of {model} are {loaded.weights_sha256[:8]}, those of the pickled model were {sha256[:8]}: "
            "restore its weights at their old place."
        )
    return loaded
