"""The reference of ordinary footage for a model: build it, store it beside the tables, find it again."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import count

from clipomaly_core import Clipomaly, FrameResult, Options
from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.look import Look
from clipomaly_core.reference.bank import Bank
from clipomaly_core.reference.build import Ordinary
from clipomaly_core.reference.files import SUFFIX, read_reference, reference_bytes
from clipomaly_core.reference.fit import check_reference, plain, survey_options
from clipomaly_core.reference.record import Reference, ReferenceFacts
from schemas.records import Source
from tasks.footage.frames import Rgb
from tasks.footage.sources import Sources
from tasks.scanning.batches import in_batches
from tasks.scanning.reference_frames import REFERENCE_FRAMES, STRETCH, reference_frames
from tasks.scanning.source_maps import Ready, SourceMaps
from tasks.storage import create_file, file_names, locate, replace_file

LEAST_FRAMES = 100
"""A scan makes a reference automatically only from this many frames: fewer do not show what is ordinary."""
FEWEST_FRAMES = 8
"""A model without thresholds of its own is calibrated roughly on this many: better than not at all."""
_FIRST = 64
"""Frames that settle the spreads before regions are counted in all of them."""
_UNUSUAL = 0.5
"""If a model with its own thresholds finds something in more than this share of frames, the footage is not ordinary."""
Progress = Callable[[int], None]


def build_reference(
    model: Clipomaly, vocabulary_sha256: str, sources: Sources, fps: float, progress: Progress = lambda frames: None
) -> Reference:
    """Make the reference of a model on footage.

    Args:
        model: with the reference that it brings along, or without one.
        vocabulary_sha256: of its vocabulary.
        sources: with ``footage_seconds``.
        fps: frames a second of video, as scans take them.
        progress: told the number of frames done since it was called last.

    Returns:
        The same reference for the same model and footage, but for ``created``.

    Raises:
        UserError: no frame can be read.
    """
    first = _ordinary(model, (image for _, image in reference_frames(sources, fps, _FIRST)))
    facts = ReferenceFacts(
        model=model.name,
        weights_sha256=model.weights_sha256,
        vocabulary_sha256=vocabulary_sha256,
        options={name: plain(value) for name, value in asdict(model.options).items()},
        frames=0,
        sources=(),
        fps=fps,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        peaks=(),
    )
    language, distance, bank = first.spreads()
    preliminary = model.with_reference(Reference(facts, language, distance, bank), survey_options(model.options))
    everything = Ordinary(REFERENCE_FRAMES, _known(model))
    peaks: list[tuple[float, bool]] = []
    seen: dict[str, None] = {}
    frames = 0
    drawn = reference_frames(sources, fps)
    for drawn_frame, look, result in _found(preliminary, drawn):
        everything.add(look.features, look.language)
        second = drawn_frame.number // STRETCH % 2 == 1
        peaks += [(instance.evidence, second) for instance in result.instances]
        seen[drawn_frame.source.uri] = None
        frames += 1
        progress(1)
    _, _, bank = everything.spreads()
    peaks.sort(key=lambda peak: peak[0], reverse=True)
    told = replace(
        facts,
        frames=frames,
        sources=tuple(seen),
        peaks=tuple(peak for peak, _ in peaks),
        second_half=tuple(place for place, (_, second) in enumerate(peaks) if second),
    )
    return Reference(told, language, distance, bank)


def share_with_finds(model: Clipomaly, sources: Sources, fps: float) -> float:
    """The share of the first frames drawn for a reference in which the model finds something by its own thresholds."""
    results = [result for _, _, result in _found(model, reference_frames(sources, fps, _FIRST))]
    return sum(bool(result.instances) for result in results) / max(len(results), 1)


def is_ordinary(model: Clipomaly, sources: Sources, fps: float) -> bool:
    """Whether unusual things are rare in footage, by the model's own thresholds."""
    return share_with_finds(model, sources, fps) <= _UNUSUAL


def keep_reference(tables: str, reference: Reference) -> str:
    """Write a reference to ``_references/<id>`` of the tables: its URL. Raises UserError when it cannot be written."""
    place = locate(tables).child(f"_references/{reference.reference_id}{SUFFIX}")
    create_file(place, reference_bytes(reference))
    return place.url


def write_reference(url: str, reference: Reference) -> None:
    """Write a reference to any URL. Raises UserError when it cannot be written."""
    replace_file(locate(url), reference_bytes(reference))


def find_reference(tables: str, weights_sha256: str, options: Options, fps: float) -> tuple[str, Reference] | None:
    """The newest reference of the tables that fits a model, its options and ``fps``, with its URL."""
    folder = locate(tables).child("_references")
    found: list[tuple[str, str, Reference]] = []
    for name in file_names(folder, SUFFIX):
        url = folder.child(name).url
        try:
            reference = read_reference(url)
            check_reference(reference, weights_sha256, options)
        except UsageError:
            continue  # it is of another model, or damaged: the scan makes one that fits
        if reference.facts.fps == fps:
            found.append((reference.facts.created, url, reference))
    if not found:
        return None
    _, url, reference = max(found, key=lambda one: one[:2])
    return url, reference


def _ordinary(model: Clipomaly, images: Iterable[Rgb]) -> Ordinary:
    collected = Ordinary(_FIRST, _known(model))
    frames = 0
    for batch in in_batches(images, model.batch_size, lambda image: image):
        for look in model.look(batch):
            collected.add(look.features, look.language)
            frames += 1
    if not frames:
        raise UserError("No frame can be read for a reference: check the archive.")
    return collected


def _known(model: Clipomaly) -> Bank | None:
    return None if model.reference is None else model.reference.bank


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A frame that was drawn for a reference, and how many were drawn before it."""

    number: int
    source: Source


def _found(model: Clipomaly, drawn: Iterable[tuple[Source, Rgb]]) -> Iterator[tuple[_Drawn, Look, FrameResult]]:
    """Each frame with what the model finds in it, with the map of its camera as in a scan."""
    maps: SourceMaps[_Drawn, Look] = SourceMaps(model.ordinary_logit)
    numbers = count()
    for batch in in_batches(drawn, model.batch_size, lambda one: one[1]):
        looks = model.look([image for _, image in batch])
        ready = [
            drawn
            for (source, _), look in zip(batch, looks, strict=True)
            for drawn in maps.add(source.uri, None, _Drawn(next(numbers), source), look)
        ]
        yield from _results(model, ready)
    yield from _results(model, maps.close())


def _results(model: Clipomaly, ready: list[Ready[_Drawn, Look]]) -> Iterator[tuple[_Drawn, Look, FrameResult]]:
    finishes = model.find([drawn.look for drawn in ready], [drawn.usual for drawn in ready])
    for one, finish in zip(ready, finishes, strict=True):
        yield one.item, one.look, finish()
