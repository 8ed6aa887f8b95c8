"""The reference of a scan: the given one, that of its tables, or a new one from its footage."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from clipomaly_core import Clipomaly, Instance, Options
from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.reference.ordinary import Bank, Ordinary
from clipomaly_core.reference.record import (
    SUFFIX,
    Reference,
    ReferenceFacts,
    calibrated_look,
    read_reference,
    reference_bytes,
)
from clipomaly_core.reference.thresholds import SURVEYS, check_reference, plain, survey_logit, survey_options
from clipomaly_core.scores import Look
from clipomaly_core.weights import NANO, ROAD
from tasks.footage.archive import Sources, find_sources
from tasks.model import describe_model, get_model, method_options
from tasks.model_settings import ModelSettings
from tasks.scanning.inference import Ready, SourceMaps, in_batches
from tasks.scanning.plan import expected_frames, with_footage
from tasks.scanning.reference_frames import REFERENCE_FRAMES, DrawnFrame, reference_frames
from tasks.storage import create_file, file_names, locate, replace_file
from tasks.tables.commits import DONE

LEAST_FRAMES = 100
"""A scan makes a reference automatically only from this many frames: fewer do not show what is ordinary."""
FEWEST_FRAMES = 8
"""A model without thresholds of its own is calibrated roughly on this many: better than not at all."""
_ENOUGH = 16
"""Regions that a reference should count, so that the threshold for any number of finds follows from them."""
_UNUSUAL = 0.5
"""If a model with its own thresholds finds something in more than this share of frames, the footage is not ordinary."""
Progress = Callable[[int], None]
Looks = Mapping[int, tuple[DrawnFrame, Look]]
"""Frames that were looked at, by their number."""
_OWN_THRESHOLDS = (NANO, ROAD)
"""Models with thresholds of their own, which can recognise footage full of unusual things."""
_NOT_CALIBRATED = (
    f"not calibrated, because the footage has fewer than {FEWEST_FRAMES} frames: the threshold of the paper is used, "
    "which seldom fits. Make a reference of ordinary footage with: clipomaly reference build"
)


def settling_looks(model: Clipomaly, sources: Sources, fps: float) -> Looks:
    """What a model sees in the frames that settle the spreads: about 64, which stay in memory.

    Args:
        model: of the reference.
        sources: with ``footage_seconds``.
        fps: frames a second of video, as scans take them.

    Raises:
        UserError: no frame can be read.
    """
    drawn = reference_frames(sources, fps, settling=True)
    looks = {frame.number: (frame, look) for frame, look in _looks(model, drawn, {})}
    if not looks:
        raise UserError("No frame can be read for a reference: check the archive.")
    return looks


def build_reference(
    model: Clipomaly,
    vocabulary_sha256: str,
    sources: Sources,
    fps: float,
    progress: Progress = lambda frames: None,
    settled: Looks | None = None,
) -> Reference:
    """Make the reference of a model on footage.

    Args:
        model: with the reference that it brings along, or without one.
        vocabulary_sha256: of its vocabulary.
        sources: with ``footage_seconds``.
        fps: frames a second of video, as scans take them.
        progress: called with the number of frames done since the last call.
        settled: ``settling_looks`` of the same model and footage, where they are known already.

    Returns:
        The same reference for the same model and footage, but for ``created``.

    Raises:
        UserError: no frame can be read.
    """
    first = settling_looks(model, sources, fps) if settled is None else settled
    settling = Ordinary(len(first), _known(model))
    for _, look in first.values():
        settling.add(look.features, look.language)
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
    language, distance, bank = settling.spreads()
    share = len(first) / max(min(expected_frames(sources, fps), REFERENCE_FRAMES), len(first))
    levels = _survey_levels(model, Reference(facts, language, distance, bank), first, _ENOUGH * share)
    everything = Ordinary(REFERENCE_FRAMES, _known(model))
    peaks: list[tuple[float, bool]] = []
    seen: dict[str, None] = {}
    frames = 0
    for drawn, look, instances in _found(levels, _looks(levels[0].model, reference_frames(sources, fps), first)):
        everything.add(look.features, look.language)
        second = drawn.stretch % 2 == 1
        peaks += [(instance.evidence, second) for instance in instances]
        seen[drawn.source.uri] = None
        frames += 1
        progress(1)
    peaks.sort(key=lambda peak: peak[0], reverse=True)
    told = replace(
        facts,
        frames=frames,
        sources=tuple(seen),
        peaks=tuple(peak for peak, _ in peaks),
        second_half=tuple(place for place, (_, second) in enumerate(peaks) if second),
        survey=levels[-1].survey,
    )
    return Reference(told, language, distance, everything.bank())


def share_with_finds(model: Clipomaly, settled: Looks) -> float:
    """The share of frames in which a model finds something by its own thresholds."""
    found = [instances for _, _, instances in _found([_Level(model)], settled.values())]
    return sum(map(bool, found)) / len(found)


def is_ordinary(model: Clipomaly, settled: Looks) -> bool:
    """Whether unusual things are rare in the footage of ``settling_looks``, by the model's own thresholds."""
    return share_with_finds(model, settled) <= _UNUSUAL


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
            continue  # of another model, or damaged: the scan makes a new one
        if reference.facts.fps == fps:
            found.append((reference.facts.created, url, reference))
    if not found:
        return None
    _, url, reference = max(found, key=lambda one: one[:2])
    return url, reference


@dataclass(frozen=True, slots=True)
class _Level:
    """A model that counts regions from a threshold on: ``survey`` is one of ``SURVEYS``. Regions that a higher level
    counts have an evidence of ``below`` and more; here they may be joined."""

    model: Clipomaly
    survey: float = SURVEYS[0]
    below: float = math.inf


def _survey_levels(model: Clipomaly, reference: Reference, settled: Looks, enough: float) -> list[_Level]:
    """The levels at which a reference counts regions: as many, from the highest down, as are needed for enough of them.

    Regions are named without crops here, which cost most and change few of the counts.
    """
    levels: list[_Level] = []
    regions = 0
    below = math.inf
    for survey in SURVEYS:
        options = survey_options(model.options, survey)
        levels.append(_Level(model.with_reference(reference, options), survey, below))
        plain = _Level(model.with_reference(reference, replace(options, region_weight=1.0)), survey, below)
        calibrated = _looks(plain.model, (frame for frame, _ in settled.values()), settled)
        regions += sum(len(instances) for _, _, instances in _found([plain], calibrated))
        if regions >= enough:
            break
        below = survey_logit(survey)
    return levels


def _known(model: Clipomaly) -> Bank | None:
    return None if model.reference is None else model.reference.bank


def _looks(model: Clipomaly, drawn: Iterable[DrawnFrame], settled: Looks) -> Iterator[tuple[DrawnFrame, Look]]:
    """Each frame with its look. What was seen before is calibrated again and not computed again."""
    for batch in in_batches(drawn, model.batch_size, lambda frame: frame.image):
        fresh = [frame for frame in batch if frame.number not in settled]
        looked = dict(zip((frame.number for frame in fresh), model.look([frame.image for frame in fresh]), strict=True))
        for frame in batch:
            if frame.number in looked:
                yield frame, looked[frame.number]
            else:
                yield frame, calibrated_look(settled[frame.number][1], model.reference, model.options.fusion)


def _found(
    levels: Sequence[_Level], looks: Iterable[tuple[DrawnFrame, Look]]
) -> Iterator[tuple[DrawnFrame, Look, list[Instance]]]:
    """Each frame with what is found in it at each level, with the map of its camera as in a scan."""
    maps: SourceMaps[DrawnFrame, Look] = SourceMaps(levels[0].model.ordinary_logit)
    for frame, look in looks:
        yield from _instances(levels, maps.add(frame.source.uri, None, frame, look))
    yield from _instances(levels, maps.close())


def _instances(
    levels: Sequence[_Level], ready: list[Ready[DrawnFrame, Look]]
) -> Iterator[tuple[DrawnFrame, Look, list[Instance]]]:
    found: list[list[Instance]] = [[] for _ in ready]
    for level in levels:
        finishes = level.model.find([drawn.look for drawn in ready], [drawn.usual for drawn in ready])
        for own, finish in zip(found, finishes, strict=True):
            own += [instance for instance in finish().instances if instance.evidence < level.below]
    for drawn, instances in zip(ready, found, strict=True):
        yield drawn.item, drawn.look, instances


@dataclass(frozen=True, slots=True)
class ReferenceChoice:
    """The place of the reference, or ``None``, and a message about it for people, or ``None``."""

    url: str | None
    told: str | None = None


Begin = Callable[[int], None]


def build_from_archive(
    settings: ModelSettings, archive: str, fps: float, begin: Begin, progress: Progress
) -> Reference:
    """The reference of an archive; what the command ``clipomaly reference build`` makes.

    Args:
        settings: of the model; a reference in them is not used.
        archive: a folder, file or any fsspec URL.
        fps: frames a second of video, as scans take them.
        begin: called with the number of frames that it takes.
        progress: called with the number of frames done since the last call.

    Raises:
        UserError: archive or model that cannot be used, or footage without a frame that can be read.
    """
    uncalibrated = replace(settings, reference=None)
    vocabulary_sha256 = describe_model(uncalibrated).vocabulary_sha256
    measured = with_footage(Sources.of(find_sources(archive).sources), DONE.empty_table())
    begin(min(expected_frames(measured, fps), REFERENCE_FRAMES))
    return build_reference(get_model(uncalibrated), vocabulary_sha256, measured, fps, progress)


def choose_reference(
    tables: str,
    settings: ModelSettings,
    sources: Sources,
    fps: float,
    *,
    may_build: bool,
    begin: Begin,
    progress: Progress,
) -> ReferenceChoice:
    """Choose the reference of a scan. Make one if there is none and the footage is enough.

    Args:
        tables: where references are kept.
        settings: of the model, with the reference that the user gave, if any.
        sources: of the archive.
        fps: of the scan.
        may_build: whether the tables' references may be used or added to.
        begin: called with the number of frames that a new reference takes.
        progress: called with the number of frames done since the last call.

    Raises:
        UserError: model, storage or footage that cannot be used.
    """
    if settings.reference is not None or not may_build:
        return ReferenceChoice(settings.reference)
    description = describe_model(settings)
    found = find_reference(tables, description.weights_sha256, method_options(settings), fps)
    if found is not None and found[1].facts.frames >= LEAST_FRAMES:
        return _chosen(*found)
    measured = with_footage(sources, DONE.empty_table())
    frames = expected_frames(measured, fps)
    if frames < LEAST_FRAMES and found is not None:
        return _chosen(*found)
    own = settings.model in _OWN_THRESHOLDS
    if frames < (LEAST_FRAMES if own else FEWEST_FRAMES):
        return ReferenceChoice(None, None if own else _NOT_CALIBRATED)
    begin(min(frames, REFERENCE_FRAMES))
    model = get_model(replace(settings, reference=None))
    settled = settling_looks(model, measured, fps)
    if own and not is_ordinary(model, settled):
        return ReferenceChoice(
            None,
            "not calibrated on this footage, because unusual things are too frequent in it: the model's own thresholds "
            "are used. Make a reference of ordinary footage with: clipomaly reference build",
        )
    reference = build_reference(model, description.vocabulary_sha256, measured, fps, progress, settled)
    url = keep_reference(tables, reference)
    return ReferenceChoice(url, f"calibrated on {_frames(reference)} of this footage: {url}")


def _chosen(url: str, reference: Reference) -> ReferenceChoice:
    return ReferenceChoice(url, f"calibrated on {reference.reference_id}: {_frames(reference)}")


def _frames(reference: Reference) -> str:
    frames = reference.facts.frames
    return f"{frames} frames" if frames >= LEAST_FRAMES else f"{frames} frames only, which is rough,"
