"""Train the image tower of ``nano``.

Leaves ``state.pt`` (averaged weights among it; a run that was cut off goes on from it) and ``curves.png``.
"""

import math
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, fields
from itertools import chain, islice
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from clipomaly_core.towers.vit import image_embedding
from training.nano.concepts import load_concepts
from training.nano.data import CLASSES, Batch, Batches, Render
from training.nano.losses import (
    CROP,
    REGION,
    accuracy,
    dense_loss,
    masses,
    naming_loss,
    prior,
    region_embeddings,
    region_labels,
)
from training.nano.model import (
    PATCH,
    WhitenedPatches,
    create_nano,
    learn_patches,
    normalised,
    plain_weights,
    read_checkpoint,
    start_with_whitened,
    whitening_of,
    window_features,
)
from training.nano.muon import Muon

matplotlib.use("Agg")
from matplotlib import pyplot as plt

_AVERAGE = 0.998
_ADAM = 0.25  # rate of all that is no matrix, as a share of the matrices' rate
_WARM_UP = 40  # steps
_FIRST = 24  # batches whose patches are whitened
_HELPED = 0.3  # share of the training in which frequencies are told, less and less
_SAVE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of ``steps``, over all resumed parts; whole frames are used after the share ``windows_until`` of them;
    ``reuse``: how often a scene is used for each one rendered; ``rate``: of matrices; ``start``: a checkpoint whose
    image tower it begins with; ``workers``: processes that draw."""

    seed: int
    steps: int
    out: Path
    start: Path | None = None
    threads: int = 1
    batch: int = 6
    rate: float = 3e-3
    reuse: int = 3
    windows_until: float = 0.93
    bfloat16: bool = False
    device: str = "cpu"
    workers: int = 1


@dataclass(slots=True)
class Progress:
    """One step: the parts of its loss, and shares of patches."""

    dense: float
    region: float
    crop: float
    accuracy: float  # of patches of V, over V
    found: float  # of planted patches, called unknown


class Run:
    """The state of a training: weights, their moving average, optimizers, what was measured on the way."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = torch.device(settings.device)
        self.concepts = load_concepts().to(self.device)
        torch.manual_seed(settings.seed)
        self.model = create_nano().train()
        self.visual = self.model.visual
        if settings.start:
            self.visual.load_state_dict(read_checkpoint(settings.start).visual.state_dict())
        learn_patches(self.visual, torch.zeros(3 * PATCH**2, 3 * PATCH**2))  # prepare or resume fills it
        self.model.to(self.device)
        matrices = [p for p in self.visual.transformer.parameters() if p.ndim == 2]
        matrices.append(self._patches.change)
        chosen = {id(p) for p in matrices}
        rest = [p for p in self.visual.parameters() if p.requires_grad and id(p) not in chosen]
        self.optimizers = (
            Muon(matrices, lr=settings.rate, weight_decay=0.01, dtype=self._dtype),
            torch.optim.AdamW(rest, lr=_ADAM * settings.rate, betas=(0.9, 0.95), weight_decay=0.0),
        )
        self.rates = (settings.rate, _ADAM * settings.rate)
        self.average: dict[str, Tensor] = {}
        self.frequency: Tensor | None = None
        self.step = 0
        self.seconds = 0.0
        self.log: list[Progress] = []

    @property
    def progress(self) -> float:
        """Share of the training that is over, in [0, 1]."""
        return min(1.0, self.step / self.settings.steps)

    @property
    def _patches(self) -> WhitenedPatches:
        return self.visual.conv1.parametrizations.weight[0]

    def prepare(self, batches: list[Batch]) -> None:
        """What comes before the first step: patch filters and class frequencies, from the first batches."""
        whitening = whitening_of([normalised(batch.windows.to(self.device), self.model) for batch in batches], PATCH)
        self._patches.whitening.copy_(whitening)
        if not self.settings.start:
            start_with_whitened(self.visual, whitening)
        self.frequency = prior(torch.cat([batch.shares.flatten(0, -2) for batch in batches])).to(self.device)
        self.average = {key: value.clone() for key, value in plain_weights(self.visual).items()}

    def learn(self, batch: Batch) -> None:
        """One step."""
        warm = min(1.0, (self.step + 1) / _WARM_UP)
        decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress))
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * warm * decay
        loss, done = self._loss(batch.to(self.device))
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.visual.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        kept = min(_AVERAGE, (1 + self.step) / (10 + self.step))
        weights = plain_weights(self.visual)
        torch._foreach_lerp_(list(self.average.values()), [weights[key] for key in self.average], 1 - kept)
        self.step += 1
        self.log.append(done)

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.bfloat16)

    @property
    def _dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.settings.bfloat16 else torch.float32

    def _loss(self, batch: Batch) -> tuple[Tensor, Progress]:
        assert self.frequency is not None
        concepts = self.concepts
        self.frequency = self.frequency.lerp(prior(batch.shares), 0.01)
        with self._precision():
            features = window_features(self.visual, normalised(batch.windows, self.model), batch.places)
            crops = image_embedding(self.visual, normalised(batch.crops, self.model))
        told = 0.0 if self.settings.start else max(0.0, 1 - self.progress / _HELPED)
        known, unknown = masses(features, concepts)
        words = len(concepts.kinds) + len(concepts.others)
        dense = dense_loss(known, unknown, batch.shares, words, self.frequency, told)
        regions = region_embeddings(features, batch.regions, batch.region_windows)
        region = naming_loss(regions, region_labels(batch.region_kinds, CLASSES), concepts)
        crop = naming_loss(crops, batch.crop_labels, concepts)
        parts = dense.item(), region.item(), crop.item()
        return dense + REGION * region + CROP * crop, Progress(*parts, *accuracy(known, unknown, batch.shares))

    def save(self) -> None:
        """Write state and curves."""
        out = self.settings.out
        state = {
            "visual": self.visual.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "frequency": self.frequency,
            "step": self.step,
            "seconds": self.seconds,
            "log": [astuple(entry) for entry in self.log],
        }
        partial = out / "state.partial"
        torch.save(state, partial)
        partial.replace(out / "state.pt")
        draw_curves(self.log, out / "curves.png")

    def resume(self) -> None:
        """Go on from ``state.pt`` where there is one."""
        file = self.settings.out / "state.pt"
        if not file.exists():
            return
        state = torch.load(file, map_location=self.device, weights_only=True)
        self.visual.load_state_dict(state["visual"])
        self.average = state["average"]
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        self.frequency, self.step, self.seconds = state["frequency"], state["step"], state["seconds"]
        self.log = [Progress(*entry) for entry in state["log"]]


def draw_curves(log: list[Progress], path: Path) -> None:
    """What was measured over steps, smoothed, as a PNG."""
    figure, axes = plt.subplots(1, 5, figsize=(18, 3.4), layout="constrained")
    for axis, field in zip(axes.flat, fields(Progress), strict=True):
        values = np.array([getattr(entry, field.name) for entry in log])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        width = max(1, len(values) // 100)
        smooth = np.convolve(values, np.ones(width) / width, "valid")
        axis.plot(np.linspace(width, len(log), len(smooth)), smooth)
        axis.set(title=field.name, xlabel="step")
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _stand_back(_worker: int) -> None:
    os.nice(5)  # where cores are few, the step comes before what it will be fed next


def train(settings: Settings, render: Render) -> Run:
    """Train, saving on the way."""
    torch.set_num_threads(settings.threads)
    settings.out.mkdir(parents=True, exist_ok=True)
    run = Run(settings)
    run.resume()
    whole_from = round(settings.windows_until * settings.steps)
    stream = Batches(render, settings.seed, run.step, settings.batch, settings.reuse, whole_from)
    # Not forked: OpenCV and torch have threads by now, and a lock that one of them holds would never open again.
    loader = DataLoader(
        stream,
        None,
        num_workers=settings.workers,
        prefetch_factor=4,
        multiprocessing_context="spawn",
        worker_init_fn=_stand_back,
    )
    batches: Iterator[Batch] = iter(loader)
    if run.step == 0:
        first = list(islice(batches, _FIRST))
        run.prepare(first)
        batches = chain(first, batches)
    saved = run.seconds
    while run.step < settings.steps:
        started = time.monotonic()
        batch = next(batches)
        waited = time.monotonic() - started
        run.learn(batch)
        run.seconds += time.monotonic() - started
        if run.step % 50 == 0:
            means = np.nanmean([astuple(entry) for entry in run.log[-50:]], axis=0)
            told = "  ".join(f"{field.name} {mean:.3f}" for field, mean in zip(fields(Progress), means, strict=True))
            print(f"{run.seconds / 60:5.1f} min  step {run.step}  {told}  waited {waited:.2f} s", flush=True)
        if run.seconds - saved > _SAVE_SECONDS:
            run.save()
            saved = run.seconds
    run.save()
    return run
