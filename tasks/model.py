"""The model of a process: loaded once, and shared by all callers."""

import time
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from threading import Lock

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter, ValidationError

from clipomaly_core import Clipomaly, Options, Vocabulary, default_options
from clipomaly_core.dense import FrameEncoder, choose_device
from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.reference.record import read_reference
from clipomaly_core.reference.thresholds import check_reference
from clipomaly_core.tagger import ram_trouble
from clipomaly_core.text import TextEncoder, load_templates
from clipomaly_core.towers.load import load_text, load_tower
from clipomaly_core.weight_files import file_sha256
from clipomaly_core.weights import cache_dir, fetch, find_checkpoint
from schemas.records import ReferenceNote
from tasks.model_settings import ModelSettings, Value, plain_value, present_options, say_once

OPTION_NAMES = tuple(field.name for field in fields(Options) if field.name != "method_version")
"""The options of the method that a user may set."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What of a model can change a row, known without loading it."""

    model: str
    weights_sha256: str
    embedding_dimension: int
    vocabulary: tuple[str, ...]
    vocabulary_sha256: str
    known_classes: int
    options: tuple[tuple[str, Value], ...]
    reference: ReferenceNote | None = None


def describe_model(settings: ModelSettings) -> ModelDescription:
    """Find weights and vocabulary and settle the options, without building the network.

    Raises:
        UserError: settings that name something that is not there.
    """
    options = method_options(settings)
    vocabulary = Vocabulary.load(settings.vocabulary)
    checkpoint = find_checkpoint(settings.model, settings.weights)
    if others := sum(exemplar.model != checkpoint.sha256 for exemplar in vocabulary.exemplars):
        say_once(
            f"The vocabulary has exemplars of {others} names for other weights than {checkpoint.sha256[:8]} of "
            f"{checkpoint.name}: they are left alone."
        )
    values = plain_options(options)
    if options.tagger_weights is not None:  # another file at the same place gives other names
        values["tagger_weights_sha256"] = file_sha256(fetch(options.tagger_weights))
    return ModelDescription(
        model=checkpoint.name,
        weights_sha256=checkpoint.sha256,
        embedding_dimension=checkpoint.embedding_dimension,
        vocabulary=vocabulary.names,
        vocabulary_sha256=vocabulary.sha256,
        known_classes=len(vocabulary.known),
        options=tuple(sorted(values.items())),
        reference=_reference_note(settings.reference, checkpoint.sha256, options),
    )


def _reference_note(url: str | None, weights_sha256: str, options: Options) -> ReferenceNote | None:
    if url is None:
        return None
    reference = read_reference(url)
    check_reference(reference, weights_sha256, options)
    return ReferenceNote(reference.reference_id, url, reference.facts.frames, reference.facts.fps)


_loading = Lock()


def get_model(settings: ModelSettings) -> Clipomaly:
    """The model for these settings; loaded at the first call of a process, by one thread.

    Raises:
        UserError: settings that name something that is not there.
    """
    with _loading:
        return _load(settings)


@lru_cache(maxsize=1)
def _load(settings: ModelSettings) -> Clipomaly:
    return Clipomaly.load(
        settings.model,
        weights=settings.weights,
        vocabulary=settings.vocabulary,
        device=settings.device,
        options=method_options(settings),
        reference=settings.reference,
    )


def check_device(settings: ModelSettings) -> None:
    """Raises UserError where the device is not on this machine, without loading anything."""
    choose_device(settings.device)


def embed_text(settings: ModelSettings, weights_sha256: str, templates: str, text: str) -> npt.NDArray[np.float32]:
    """A text in the space of a scan's embeddings: (D,) float32 of length 1. Loads the text tower alone.

    An article before it gives way to those of the ``templates`` (``short`` or ``full``).

    Raises:
        UserError: settings that name something that is not there.
        UsageError: other weights than those of the scan, or nothing to embed.
    """
    words = text.split()
    if len(words) > 1 and words[0].lower() in ("a", "an", "the"):
        words = words[1:]
    if not words:
        raise UsageError("The text is empty: say what to search for.")
    checkpoint = find_checkpoint(settings.model, settings.weights)
    if checkpoint.sha256 != weights_sha256:
        raise UsageError(
            f"The tables were scanned with other weights ({weights_sha256[:8]}) than those of {settings.model} "
            f"({checkpoint.sha256[:8]}): give the same --model and --weights as for the scan."
        )
    device = choose_device(settings.device)
    encoder = TextEncoder(
        load_text(checkpoint, device),
        checkpoint.embedding_dimension,
        device,
        checkpoint.architecture,
        checkpoint.sha256,
        load_templates(templates),
        cache_dir(),
    )
    embedded: npt.NDArray[np.float32] = encoder([" ".join(words)])[0].cpu().numpy()
    return embedded


def embed_one_frame(settings: ModelSettings) -> str:
    """Load the model and embed a frame of 720p with it; what it was, in one line. No name is embedded.

    Raises:
        UserError: settings that name something that is not there, or weights that do not fit.
    """
    checkpoint = find_checkpoint(settings.model, settings.weights)
    device = choose_device(settings.device)
    tower = load_tower(checkpoint, device)
    encoder = FrameEncoder(tower, method_options(settings), device)
    started = time.perf_counter()
    with torch.inference_mode():
        features = encoder.dense([np.zeros((720, 1280, 3), np.uint8)])
    if not bool(torch.isfinite(features).all()):
        raise UserError(f"{checkpoint.path} gives no finite features of a frame: the weights are damaged.")
    rows, columns, dimension = features.shape[1:]
    seconds = time.perf_counter() - started
    return f"a frame of 1280x720 gives {columns}x{rows} embeddings of {dimension} in {seconds:.1f} s"


def plain_options(options: Options) -> dict[str, Value]:
    """Options as files and records hold them: a list is text, such as ``1,1.64``."""
    return {name: plain_value(value) for name, value in asdict(options).items()}


def method_options(settings: ModelSettings) -> Options:
    """The model's default options with the settings' own on top.

    Raises:
        UsageError: an unknown option or a value out of range.
    """
    given: dict[str, object] = {**present_options(dict(settings.method))}
    for name in given:
        if name not in OPTION_NAMES:
            near = get_close_matches(name, OPTION_NAMES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(OPTION_NAMES))}."
            raise UsageError(f"Unknown option {name!r} of the method: {hint}")
    if isinstance(scales := given.get("scales"), str | float | int):
        given["scales"] = str(scales).strip("[]() ").rstrip(",").split(",")
    if given.keys() & {"threshold", "peak_threshold"}:  # a threshold that the user sets decides alone
        given.setdefault("finds_per_hour", None)
        given.setdefault("peak_threshold", None)
    values = asdict(default_options(settings.model)) | given
    try:
        return TypeAdapter(Options).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]) if first["loc"] else "value"
        raise UsageError(f"Option {option} of the method is {values.get(option)!r}: {first['msg']}.") from error


def tagger_trouble() -> str | None:
    """Why ``candidates=ram`` cannot work here, in one line; ``None`` where it can."""
    return ram_trouble()


def pretrained_models() -> list[str]:
    """The names of open_clip's architectures that it has pretrained weights of."""
    import open_clip

    return sorted({name for name, _ in open_clip.list_pretrained()})
