"""Recordings (MCAP): one source with all its cameras, read by ``recording.py`` where the extra is installed."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO, BinaryIO

import zstandard

from schemas.records import Source
from tasks.errors import MissingExtraError, SourceError
from tasks.footage.source_kind import Fix, Frame, Inside, SourceKind, Stored, open_header
from tasks.footage.stored_file import open_stored
from tasks.storage import Location, reason

RECORDING_SUFFIXES = (".mcap", ".mcap.zstd", ".mcap.zst")
"""Those of rosbag2's compression mode ``file`` are packed as a whole."""

_CHUNK_BLOCK = 4 * 1024 * 1024  # the first picture is in a chunk of about that size


def _look_inside(place: Location, source: Source) -> Inside:
    _require_extra()
    from tasks.footage.recording import look_into

    with open_header(place, source, _CHUNK_BLOCK) as (file, now), _unpacked(file, place, now.size) as (whole, size):
        return look_into(whole, size, now.modified)


def _frames(place: Location, source: Source, fps: float, keyframes: bool) -> Iterator[Frame]:
    _require_extra()
    from tasks.footage.recording import sample_recording

    with _open(place) as (file, size):
        yield from sample_recording(file, size, source, fps)


def _pictures(place: Location, indices: Sequence[int]) -> Iterator[Stored]:
    _require_extra()
    from tasks.footage.recording import recorded_pictures

    with _open(place) as (file, size):
        yield from recorded_pictures(file, size, indices)


def _fixes(place: Location, source: Source) -> list[Fix]:
    _require_extra()
    from tasks.footage.recording import recorded_fixes

    with _open(place) as (file, size):
        return recorded_fixes(file, size, source)


@contextmanager
def _open(place: Location) -> Iterator[tuple[IO[bytes], int]]:
    with open_stored(place) as file:
        size = int(place.fs.info(place.path)["size"] or 0)
        with _unpacked(file, place, size) as unpacked:
            yield unpacked


@contextmanager
def _unpacked(file: BinaryIO, place: Location, size: int) -> Iterator[tuple[IO[bytes], int]]:
    """The recording in a file and its size in bytes: unpacked as far as that goes."""
    if place.path.lower().endswith(".mcap"):
        yield file, size
        return
    with tempfile.TemporaryFile(prefix="clipomaly-") as copy:
        try:
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as packed:
                shutil.copyfileobj(packed, copy)
        except zstandard.ZstdError as error:
            if not copy.tell():
                raise SourceError(f"not packed as its name says (zstd): {reason(error)}") from error
        yield copy, copy.tell()


def _require_extra() -> None:
    if not all(find_spec(name) for name in ("mcap", "mcap_ros2", "mcap_protobuf")):
        raise MissingExtraError("recordings need more packages: pip install 'clipomaly[mcap]', and scan again")


RECORDING = SourceKind(_look_inside, _frames, _pictures, fixes=_fixes, sampled=True)
