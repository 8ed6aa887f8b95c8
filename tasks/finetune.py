"""Fine-tune a CLIP on label maps: epochs over a dataset, judged on held-out frames, resumable at any step."""

import json
import math
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch.utils.data import DataLoader, Dataset

from clipomaly_core import Clipomaly, Vocabulary
from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.finetune import FineTuner, LabelMap, balanced_weights, count_classes
from clipomaly_core.metrics import ConfusionMatrix
from tasks.evaluation.data import Dataset as LabelledFrames
from tasks.evaluation.data import read_dataset
from tasks.evaluation.formats import EvaluationFrame
from tasks.evaluation.open_world import Coverage, cover
from tasks.footage.images import Rgb, read_image
from tasks.model import method_options
from tasks.model_settings import ModelSettings
from tasks.storage import locate, replace_file

FORMATS: Final = ("cityscapes", "camvid-like")
WEIGHTS, STATE, REPORT = "weights.safetensors", "state.pt", "finetune.json"
_SAVE_SECONDS = 120.0
_COUNTED = 300
"""About so many label maps are counted to balance the classes."""


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """What to train on, and how.

    ``data`` has the splits ``train`` and ``val`` (held out). ``limit`` and ``held_out`` take only the first so many
    frames of each by name. ``workers`` are processes that read ahead; none reads in this one.
    """

    data: Path
    format: str
    out: Path
    model: ModelSettings = field(default_factory=ModelSettings)
    epochs: int = 10
    batch: int = 4
    learning_rate: float = 1e-4
    blocks: int = 4
    seed: int = 0
    limit: int | None = None
    held_out: int | None = None
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """Where the model stood after ``epoch`` (0: before): IoU in [0, 1] over the held-out frames, ``None`` for a class
    that is neither true nor predicted; ``loss`` is the mean of the epoch's steps."""

    epoch: int
    miou: float
    iou: dict[str, float | None]
    loss: float | None


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A run: ``epochs`` begins with the model as it came; ``not_covered`` are classes of the dataset that no class of V
    stands for: void."""

    train_frames: int
    held_out_frames: int
    not_covered: tuple[str, ...]
    base_sha256: str
    epochs: tuple[Epoch, ...]


OnStep = Callable[[int, int, float], None]
OnEpoch = Callable[[Epoch], None]


def finetune(settings: FinetuneSettings, on_step: OnStep, on_epoch: OnEpoch) -> Finetuned:
    """Train, or go on training where an earlier run with the same settings was cut off.

    Writes ``WEIGHTS``, which ``--weights`` loads, and ``REPORT`` into ``settings.out`` after every epoch, and ``STATE``
    also between.

    Args:
        settings: what to do.
        on_step: called with steps done, steps in all and the loss.
        on_epoch: called with each epoch judged, those of an earlier run too.

    Raises:
        UsageError: settings, data or a vocabulary that do not fit, or ``out`` of a run with other settings.
        UserError: weights or images that cannot be read, a folder that cannot be written.
    """
    _check(settings)
    train = read_dataset(settings.data, settings.format, "train", settings.limit)
    held_out = read_dataset(settings.data, settings.format, "val", settings.held_out)
    model = _model(settings.model)
    coverage = cover(model.vocabulary, train)
    each = math.ceil(len(train.frames) / settings.batch)
    weights = _class_weights(train, coverage, len(model.vocabulary.known))
    tuner = FineTuner(model, settings.blocks, settings.learning_rate, each * settings.epochs, weights)
    run = _Run(settings, model, tuner, _about(settings, model, train, held_out))
    run.resume()
    for epoch in run.epochs:
        on_epoch(epoch)
    if not run.epochs:
        on_epoch(run.judged(0, None, held_out, coverage))
    for number in range(len(run.epochs), settings.epochs + 1):
        for frames, labels in _batches(settings, train, coverage, number, skip=tuner.step_count - each * (number - 1)):
            run.losses.append(tuner.step(frames, labels))
            on_step(tuner.step_count, each * settings.epochs, run.losses[-1])
            run.save_sometimes()
        on_epoch(run.judged(number, float(np.mean(run.losses)), held_out, coverage))
        run.finish_epoch(len(train.frames), len(held_out.frames), coverage)
    return run.report(len(train.frames), len(held_out.frames), coverage)


def _check(settings: FinetuneSettings) -> None:
    if settings.format not in FORMATS:
        raise UsageError(f"Unknown format {settings.format!r}: label maps to train on are {' or '.join(FORMATS)}.")
    for name in ("epochs", "batch", "learning_rate", "limit", "held_out"):
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise UsageError(f"--{name.replace('_', '-')} {value}: it must be greater than 0.")
    if settings.out.exists() and not settings.out.is_dir():
        raise UsageError(f"--out {settings.out} is a file: give a folder.")


def _model(settings: ModelSettings) -> Clipomaly:
    """The model with V alone, and nothing called unknown: a closed set."""
    vocabulary = replace(Vocabulary.load(settings.vocabulary), candidates=(), left_out=())
    return Clipomaly.load(
        settings.model,
        weights=settings.weights,
        vocabulary=vocabulary,
        device=settings.device,
        options=replace(method_options(settings), threshold=1.0, candidates="dictionary"),
    )


def _about(settings: FinetuneSettings, model: Clipomaly, train: LabelledFrames, held_out: LabelledFrames) -> str:
    """The settings that must be the same to continue an interrupted run."""
    own = asdict(replace(settings, out=Path(), workers=0, model=ModelSettings()))
    own |= {"data": "", "out": "", "weights": model.weights_sha256, "vocabulary": model.vocabulary.sha256}
    own |= {"options": asdict(model.options), "frames": [len(train.frames), len(held_out.frames)]}
    return json.dumps(own, sort_keys=True)


# -------------------------------------------------------------------------------------------------- data


Sample = tuple[Rgb, LabelMap]


class _Samples(Dataset[Sample]):
    """Frames with their label maps, mirrored at random."""

    def __init__(self, dataset: LabelledFrames, coverage: Coverage, seed: tuple[int, int]) -> None:
        self._dataset, self._coverage, self._seed = dataset, coverage, seed

    def __getitem__(self, index: int) -> Sample:
        image, label = _read(self._dataset, self._dataset.frames[index], self._coverage)
        if np.random.default_rng((*self._seed, index)).random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        return np.ascontiguousarray(image), np.ascontiguousarray(label)


def _read(dataset: LabelledFrames, frame: EvaluationFrame, coverage: Coverage) -> Sample:
    return read_image(str(frame.image)), _read_label(dataset, frame, coverage)


def _read_label(dataset: LabelledFrames, frame: EvaluationFrame, coverage: Coverage) -> LabelMap:
    label: LabelMap = coverage.to_known[dataset.class_map(frame)]
    return label


def _class_weights(dataset: LabelledFrames, coverage: Coverage, classes: int) -> npt.NDArray[np.float32]:
    """Balanced over evenly spaced training frames: a few hundred say how frequent the classes are."""
    counts = np.zeros(classes, np.int64)
    for frame in dataset.frames[:: math.ceil(len(dataset.frames) / _COUNTED)]:
        counts += count_classes(_read_label(dataset, frame, coverage), classes)
    if not counts.any():
        raise UsageError(
            f"No class of V in the training label maps of {dataset.root}: check --format and --vocabulary."
        )
    return balanced_weights(counts)


def _batches(
    settings: FinetuneSettings, dataset: LabelledFrames, coverage: Coverage, epoch: int, skip: int
) -> Iterator[tuple[list[Rgb], list[LabelMap]]]:
    """The batches of an epoch, the same ones whenever it is run, without the first ``skip``."""
    seed = (settings.seed, epoch)
    order = np.random.default_rng(seed).permutation(len(dataset.frames)).tolist()
    batches = [order[start : start + settings.batch] for start in range(0, len(order), settings.batch)]
    loader = DataLoader(
        _Samples(dataset, coverage, seed),
        batch_sampler=batches[skip:],
        collate_fn=_transposed,
        num_workers=settings.workers,
        # A process that has started threads must not be forked.
        multiprocessing_context="spawn" if settings.workers else None,
    )
    yield from loader


def _transposed(samples: list[Sample]) -> tuple[list[Rgb], list[LabelMap]]:
    return [image for image, _ in samples], [label for _, label in samples]


# --------------------------------------------------------------------------------------------------- run


class _Run:
    """What is kept of a run in its folder."""

    def __init__(self, settings: FinetuneSettings, model: Clipomaly, tuner: FineTuner, about: str) -> None:
        self._out, self._model, self._tuner, self._about = settings.out, model, tuner, about
        self._saved = time.monotonic()
        self.epochs: list[Epoch] = []
        self.losses: list[float] = []  # of the epoch that runs

    def resume(self) -> None:
        """Go on where the folder says that a run was cut off."""
        file = self._out / STATE
        if not file.exists():
            return
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            about, epochs, losses = state["about"], json.loads(state["epochs"]), state["losses"]
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise UsageError(f"{file} is no state of a fine-tuning: remove it, or give another --out.") from error
        if about != self._about:
            ours, theirs = json.loads(self._about), json.loads(about)
            differs = sorted(name for name in ours if ours[name] != theirs.get(name))
            raise UsageError(f"{self._out} holds a run with other settings ({', '.join(differs)}): give another --out.")
        self._tuner.restore(state)
        self.epochs = [Epoch(**epoch) for epoch in epochs]
        self.losses = list(losses)

    def judged(self, number: int, loss: float | None, held_out: LabelledFrames, coverage: Coverage) -> Epoch:
        """Judge the model on the held-out frames, as ``evaluate`` does with a threshold of 1."""
        known = self._model.vocabulary.known
        matrix = ConfusionMatrix(len(known))
        size = self._model.batch_size
        for start in range(0, len(held_out.frames), size):
            read = [_read(held_out, frame, coverage) for frame in held_out.frames[start : start + size]]
            for result, (_, label) in zip(self._model([image for image, _ in read]), read, strict=True):
                matrix.update(result.labels, label)
        iou = matrix.iou()
        of_judged = {known[i].name: None if np.isnan(iou[i]) else float(iou[i]) for i in coverage.judged}
        values = [value for value in of_judged.values() if value is not None]
        if not values:
            raise UsageError(f"No class of V in any held-out label map of {held_out.root}: check --format.")
        epoch = Epoch(number, float(np.mean(values)), of_judged, loss)
        self.epochs.append(epoch)
        return epoch

    def save_sometimes(self) -> None:
        """Keep the state now and then, so that little is lost when an epoch is cut off."""
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._save_state()

    def finish_epoch(self, train: int, held_out: int, coverage: Coverage) -> None:
        """Write the weights, the report, then the state: a run that is cut off between does the rest again."""
        self.losses = []
        weights = {name: value.detach().cpu().contiguous() for name, value in self._model.network.state_dict().items()}
        self._write(WEIGHTS, save(weights))
        report = json.dumps(asdict(self.report(train, held_out, coverage)), indent=2)
        self._write(REPORT, report.encode() + b"\n")
        self._save_state()

    def report(self, train: int, held_out: int, coverage: Coverage) -> Finetuned:
        """What the run has come to."""
        return Finetuned(train, held_out, coverage.not_covered, self._model.weights_sha256, tuple(self.epochs))

    def _save_state(self) -> None:
        partial = self._out / f".{STATE}.partial"
        state = self._tuner.state() | {
            "about": self._about,
            "epochs": json.dumps([asdict(epoch) for epoch in self.epochs]),
            "losses": self.losses,
        }
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            torch.save(state, partial)
            partial.replace(self._out / STATE)
        except (OSError, RuntimeError) as error:
            raise UserError(f"--out {self._out} cannot be written ({error}).") from error
        self._saved = time.monotonic()

    def _write(self, name: str, data: bytes) -> None:
        replace_file(locate(str(self._out / name)), data)
