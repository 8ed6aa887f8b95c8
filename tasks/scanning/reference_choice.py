"""Choose the reference of a scan: the given one, that of its tables, or a new one from its footage."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from clipomaly_core.reference.record import Reference
from clipomaly_core.weights import NANO, ROAD
from tasks.footage.archive import find_sources
from tasks.footage.sources import Sources
from tasks.model import describe_model, get_model, method_options
from tasks.model_settings import ModelSettings
from tasks.scanning.footage_length import expected_frames, with_footage
from tasks.scanning.reference import (
    FEWEST_FRAMES,
    LEAST_FRAMES,
    Progress,
    build_reference,
    find_reference,
    is_ordinary,
    keep_reference,
    settling_looks,
)
from tasks.scanning.reference_frames import REFERENCE_FRAMES
from tasks.tables.commits import DONE

_OWN_THRESHOLDS = (NANO, ROAD)
"""Models with thresholds of their own, which can recognise footage full of unusual things."""
_NOT_CALIBRATED = (
    f"not calibrated, because the footage has fewer than {FEWEST_FRAMES} frames: the threshold of the paper is used, "
    "which seldom fits. Make a reference of ordinary footage with: clipomaly reference build"
)


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
        return _found(*found)
    measured = with_footage(sources, DONE.empty_table())
    frames = expected_frames(measured, fps)
    if frames < LEAST_FRAMES and found is not None:
        return _found(*found)
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


def _found(url: str, reference: Reference) -> ReferenceChoice:
    return ReferenceChoice(url, f"calibrated on {reference.reference_id}: {_frames(reference)}")


def _frames(reference: Reference) -> str:
    frames = reference.facts.frames
    return f"{frames} frames" if frames >= LEAST_FRAMES else f"{frames} frames only, which is rough,"
