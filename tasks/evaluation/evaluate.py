"""Judge a model, or score maps on disk, against a dataset's truth."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from clipomaly_core import Clipomaly, FrameResult
from clipomaly_core.dense import choose_device
from tasks.errors import UsageError, UserError
from tasks.evaluation.calibration import Calibration, calibrate, check_rate, config_text
from tasks.evaluation.curves import draw_precision_recall, draw_roc
from tasks.evaluation.data import Dataset, read_dataset
from tasks.evaluation.formats import EvaluationFrame
from tasks.evaluation.lexicon import AcceptedNames, read_accepted_names
from tasks.evaluation.open_world import OpenWorld
from tasks.evaluation.results import (
    DatasetFacts,
    Evaluation,
    ModelFacts,
    PixelReport,
)
from tasks.evaluation.score_maps import ScoreMap, check_score_maps, read_score_map
from tasks.evaluation.sheet import draw_frames
from tasks.evaluation.survey import Clock, Ranked, Scores, Survey
from tasks.footage.archive import list_sources
from tasks.footage.frames import Rgb, SourceError, read_frames, read_image
from tasks.model import get_model, plain_options
from tasks.model_settings import ModelSettings, Value

FOOTAGE: Final = "footage"
"""The format of an archive as ``scan`` reads it, taken to be free of anomalies: for calibration only."""

METRICS, CURVE_PR, CURVE_ROC, FRAMES, CONFIG = (
    "metrics.json", "precision_recall.png", "roc.png", "frames.png", "config.toml",
)  # fmt: skip
OUTPUTS: Final = (CURVE_PR, CURVE_ROC, FRAMES, CONFIG, METRICS)  # in the order in which they appear

OnFrame = Callable[[int, int | None], None]
"""Called with how many frames are done, and of how many where that is known."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What to judge, against what, and where the report goes.

    ``model`` is not loaded where ``scores`` names a folder of maps. ``calibrate`` is the wanted
    false-positive rate; ``config`` are other parameters of a scan that go into the written config, and
    ``fps`` is how footage is sampled.
    """

    dataset: Path
    format: str
    out: Path
    model: ModelSettings = field(default_factory=ModelSettings)
    scores: Path | None = None
    names: Path | None = None
    split: str | None = None
    limit: int | None = None
    calibrate: float | None = None
    fps: float = 1.0
    config: tuple[tuple[str, Value], ...] = ()


def ignore(done: int, total: int | None) -> None:
    """The ``progress`` of callers that do not show any."""


def evaluate(settings: EvaluationSettings, on_frame: OnFrame = ignore) -> Evaluation:
    """Judge, and write ``OUTPUTS`` into ``settings.out``; on an error nothing there changes.

    Scores of the model are kept on disk meanwhile, beside ``out``: 4 bytes a pixel of the dataset.

    Raises:
        UsageError: settings that contradict each other, a dataset that is not as it should be, score maps
            that are missing, of another size, not finite or all the same.
        UserError: a model that cannot be loaded, an image that cannot be read, a folder that cannot be
            written.
    """
    _check(settings)
    with _staged(settings.out) as stage:
        if settings.format == FOOTAGE:
            evaluation = _calibrated_on_footage(settings, stage, on_frame)
        else:
            evaluation = _judged(settings, stage, on_frame)
        if evaluation.calibration:
            origin = (
                f"Calibrated on {evaluation.created[:10]} with {_judged_name(evaluation)} "
                f"on {settings.format} {settings.dataset}."
            )
            model = settings.model
            parameters: dict[str, Value] = dict(settings.config)
            if settings.scores is None:
                parameters |= {"model": model.model, "weights": model.weights, "vocabulary": model.vocabulary}
            (stage / CONFIG).write_text(
                config_text(evaluation.calibration, origin, parameters, dict(model.method)), encoding="utf-8"
            )
        (stage / METRICS).write_text(evaluation.to_json() + "\n", encoding="utf-8")
    return evaluation


def _judged_name(evaluation: Evaluation) -> str:
    return evaluation.model.name if evaluation.model else f"the maps in {evaluation.scores}"


def _check(settings: EvaluationSettings) -> None:
    if settings.calibrate is not None:
        check_rate(settings.calibrate)
    if settings.limit is not None and settings.limit < 1:
        raise UsageError(f"--limit {settings.limit}: give 1 or more.")
    if settings.scores is not None:
        if settings.names is not None:
            raise UsageError("--names needs a model, which --scores leaves out: give one of the two.")
        if settings.format == FOOTAGE:
            raise UsageError("--format footage has no score maps: leave --scores out.")
    if settings.format == FOOTAGE and (settings.calibrate is None or settings.names or settings.split):
        raise UsageError("--format footage has no truth: it goes with --calibrate, not with --names or --split.")


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` whose ``OUTPUTS`` move there at the end, in place of those of earlier runs."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: give a folder.")
    stage = out.absolute().parent / f".{out.absolute().name}.{os.getpid()}.partial"
    try:
        stage.mkdir(parents=True)
        try:
            yield stage
            out.mkdir(exist_ok=True)
            for name in OUTPUTS:
                if (stage / name).exists():
                    (stage / name).replace(out / name)
                else:
                    (out / name).unlink(missing_ok=True)
        finally:
            shutil.rmtree(stage)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written ({error.strerror or error}).") from error


# ------------------------------------------------------------------------------------- what is judged


def _judged(settings: EvaluationSettings, stage: Path, on_frame: OnFrame) -> Evaluation:
    dataset = read_dataset(settings.dataset, settings.format, settings.split, settings.limit)
    total = len(dataset.frames)
    model: Clipomaly | None = None
    open_world: OpenWorld | None = None
    clock = Clock()
    if settings.scores is not None:
        folder = settings.scores
        check_score_maps(folder, dataset.frames)

        def read(index: int) -> ScoreMap:
            return read_score_map(folder, dataset.frames[index])

        results: Iterable[FrameResult | None] = (None for _ in dataset.frames)
    else:
        accepted = read_accepted_names(settings.names) if settings.names else None
        _check_accepted(accepted, dataset.frames, settings.names)
        model = get_model(settings.model)
        open_world = OpenWorld(model.vocabulary, dataset, accepted)
        images = (read_image(str(frame.image)) for frame in dataset.frames)
        results = clock.run(model, images)

        def read(index: int) -> ScoreMap:
            return _load(stage, index)

    survey = Survey()
    for index, (frame, result) in enumerate(zip(dataset.frames, results, strict=True)):
        label = dataset.anomaly_map(frame)
        if result is not None:
            _save(stage, index, result.anomaly_score)
        score = result.anomaly_score if result is not None else read(index)
        survey.add(frame.name, score, label, result)
        if open_world is not None and result is not None:
            open_world.add(frame, label, result)
        on_frame(index + 1, total)
    survey.check()

    calibration = None
    if settings.calibrate is not None:
        calibration = _calibrated(settings.calibrate, survey, dataset, read)
    facts = DatasetFacts(
        str(settings.dataset),
        settings.format,
        total,
        dataset.unlabelled,
        sum(survey.normal),
        sum(survey.anomalous),
        sum(survey.void),
    )
    anomalous = facts.anomalous_pixels > 0
    if not anomalous and calibration is None and not (open_world and dataset.classes):
        raise UsageError(
            f"No anomalous pixel in {total} frames of {settings.dataset}: use frames with anomalies, "
            "or calibrate a threshold on these with --calibrate."
        )
    ranked = Ranked(dataset, read, survey) if anomalous and facts.normal_pixels else None
    if anomalous and not ranked:
        raise UsageError(f"No normal pixel in {total} frames of {settings.dataset}: check --format.")
    if ranked:
        judged = model.name if model else f"maps in {settings.scores.name}" if settings.scores else ""
        title = f"{settings.format}, {total} frames, {judged}"
        curves = {"every threshold": ranked.exact, "harness bins": ranked.smiyc}
        draw_precision_recall(stage / CURVE_PR, title, curves)
        draw_roc(stage / CURVE_ROC, title, curves)
    draw_frames(stage / FRAMES, dataset, survey.frames, read)
    return Evaluation(
        created=_now(),
        dataset=facts,
        scores=str(settings.scores) if settings.scores else None,
        model=_model_facts(model, settings.model) if model else None,
        pixels=PixelReport(ranked.exact.metrics, ranked.smiyc.metrics) if ranked else None,
        segments=ranked.segments() if ranked else None,
        unknown=open_world.unknown() if open_world and anomalous else None,
        unknown_at_best_f1=ranked.unknown_at_best_f1() if ranked else None,
        flagged=survey.flagged_share() if model else None,
        known=open_world.known() if open_world and dataset.classes else None,
        naming=open_world.naming() if open_world else None,
        calibration=calibration,
        speed=clock.speed() if model else None,
        frames=tuple(survey.frames),
    )


def _calibrated_on_footage(settings: EvaluationSettings, stage: Path, on_frame: OnFrame) -> Evaluation:
    assert settings.calibrate is not None  # _check saw to it
    model = get_model(settings.model)
    clock, survey = Clock(), Survey()
    images = islice(_footage(str(settings.dataset), settings.fps), settings.limit)
    index = 0
    for index, result in enumerate(clock.run(model, images), start=1):
        score = result.anomaly_score
        _save(stage, index - 1, score)
        survey.add(str(index), score, np.zeros(score.shape, np.uint8), result)
        on_frame(index, settings.limit)
    if not index:
        raise UsageError(f"{settings.dataset} holds no frame that can be read.")
    survey.check()
    pixels = sum(survey.normal)
    scores = (_load(stage, number).ravel() for number in range(index))
    return Evaluation(
        created=_now(),
        dataset=DatasetFacts(str(settings.dataset), settings.format, index, 0, pixels, 0, 0),
        scores=None,
        model=_model_facts(model, settings.model),
        flagged=survey.flagged_share(),
        calibration=calibrate(scores, pixels, index, settings.calibrate),
        speed=clock.speed(),
    )


def _footage(archive: str, fps: float) -> Iterator[Rgb]:
    """The frames of an archive that can be read; calibration can do without the others."""
    try:
        sources = list_sources(archive).sources
    except UserError as error:
        raise UsageError(str(error)) from error
    for source in sources:
        try:
            for frame in read_frames(source, fps):
                if frame.image is not None:
                    yield frame.image
        except SourceError as error:
            print(f"{source.uri}: {error}", file=sys.stderr)


def _calibrated(rate: float, survey: "Survey", dataset: Dataset, read: Scores) -> Calibration:
    clean = [index for index, count in enumerate(survey.anomalous) if not count]
    if not clean:
        raise UsageError(
            f"--calibrate needs frames without anomalies, and each of the {len(dataset.frames)} frames of "
            f"{dataset.root} holds one: give others, for example --format {FOOTAGE} --dataset FOLDER."
        )
    scores = (read(index)[dataset.anomaly_map(dataset.frames[index]) == 0] for index in clean)
    return calibrate(scores, sum(survey.normal[index] for index in clean), len(clean), rate)


def _save(stage: Path, index: int, score: ScoreMap) -> None:
    np.save(stage / f"{index}.npy", score)


def _load(stage: Path, index: int) -> ScoreMap:
    return np.asarray(np.load(stage / f"{index}.npy"), dtype=np.float32)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _model_facts(model: Clipomaly, settings: ModelSettings) -> ModelFacts:
    return ModelFacts(
        model.name,
        model.weights_sha256,
        model.vocabulary.sha256,
        str(choose_device(settings.device)),
        plain_options(model.options),
    )


def _check_accepted(accepted: AcceptedNames | None, frames: Sequence[EvaluationFrame], path: Path | None) -> None:
    missing = [frame.name for frame in frames if accepted and frame.name not in accepted.frames]
    if missing:
        raise UsageError(
            f"--names {path} has no words for {len(missing)} of {len(frames)} frames, such as {missing[0]}."
        )
