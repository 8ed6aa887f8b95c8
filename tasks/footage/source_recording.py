"""Recordings (MCAP): one source with all its cameras, read by ``recording.py`` where the extra is installed."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from schemas.records import Source
from tasks.errors import MissingExtraError
from tasks.footage.source_kind import Fix, Frame, Inside, SourceKind, Stored, open_header
from tasks.storage import Location

_CHUNK_BLOCK = 4 * 1024 * 1024  # the first picture is in a chunk of about that size


def _look_inside(place: Location, source: Source) -> Inside:
    _require_extra()
    from tasks.footage.recording import look_into

    with open_header(place, source, _CHUNK_BLOCK) as (file, now):
        return look_into(file, now)


def _frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    _require_extra()
    from tasks.footage.recording import sample_recording

    with place.fs.open(place.path, "rb") as file:
        yield from sample_recording(file, source, fps)


def _pictures(place: Location, indices: Sequence[int]) -> Iterator[Stored]:
    _require_extra()
    from tasks.footage.recording import recorded_pictures

    with place.fs.open(place.path, "rb") as file:
        yield from recorded_pictures(file, int(place.fs.info(place.path)["size"]), indices)


def _fixes(place: Location, source: Source) -> list[Fix]:
    _require_extra()
    from tasks.footage.recording import recorded_fixes

    with place.fs.open(place.path, "rb") as file:
        return recorded_fixes(file, source)


def _require_extra() -> None:
    if not all(find_spec(name) for name in ("mcap", "mcap_ros2", "mcap_protobuf")):
        raise MissingExtraError("recordings need more packages: pip install 'clipomaly[mcap]', and scan again")


RECORDING = SourceKind(_look_inside, _frames, _pictures, fixes=_fixes, sampled=True)
