"""What only the inside of a source tells: how long it is, when it was captured, what its sidecar says."""

import math
import posixpath
import tarfile
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from pymediainfo import MediaInfo

from schemas.records import Source, SourceKind, TimestampSource
from tasks.capture_time import Sidecar, is_ahead, read_sidecar, time_in_header, time_in_name
from tasks.edit_list import shown_seconds
from tasks.errors import SourceError
from tasks.files import folder_etag, image_members, is_image
from tasks.storage import STORAGE_ERRORS, Location, cannot_read, entry, is_out_of_reach, locate, reason

# Headers are read in small pieces: the 5 MB blocks that object stores default to would read whole clips.
_HEADER_BLOCK = 256 * 1024
_CHUNK_BLOCK = 4 * 1024 * 1024  # the first picture of a recording is in a chunk of about that size
_LARGEST_SIDECAR = 1024 * 1024

CHANGED = "changed after it was listed; the next scan takes it as it is now"
GONE = "gone since it was listed"


def has_recordings() -> bool:
    """Whether the packages that read recordings are installed."""
    return all(find_spec(name) for name in ("mcap", "mcap_ros2", "mcap_protobuf"))


@dataclass(frozen=True, slots=True)
class _Inside:
    """What the inside of a source tells of it. ``modified`` is when its file, or first image, was written."""

    modified: datetime
    seconds: float = 0.0
    container_time: datetime | None = None
    first_name: str = ""
    error: str | None = None


def open_source(source: Source) -> Source:
    """A listed source with what its inside tells: length, capture time, position, notes. Only headers are read.

    Capture time comes from the sidecar ("captured", ISO 8601), the container, the file name or the modification
    time, in this order; one of an inventory stays. The same source gives the same again. What cannot be opened, has
    changed or is gone comes with ``error``; what may not be read, or not yet, comes as it is, for its reader to find
    out.

    Raises UserError when the storage is out of reach.
    """
    if source.error or (source.kind is SourceKind.RECORDING and not has_recordings()):
        return source
    place = locate(source.uri)
    try:
        inside = _look_inside(place, source)
        sidecar = _read_sidecar(locate(source.sidecar)) if source.sidecar else None
    except PermissionError:
        return source
    except FileNotFoundError as error:
        link = place.fs.lexists(place.path)
        return replace(source, error=f"cannot be opened: {reason(error)}" if link else GONE)
    except STORAGE_ERRORS as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        return replace(source, error=f"cannot be opened: {reason(error)}")
    captured, captured_from, note = _captured(source, inside, sidecar)
    if source.sidecar and sidecar is None:
        note = f"{source.sidecar} is no sidecar that can be read: not used"
    return replace(
        source,
        captured=captured,
        captured_from=captured_from,
        footage_seconds=inside.seconds,
        error=inside.error,
        latitude=sidecar.latitude if sidecar else None,
        longitude=sidecar.longitude if sidecar else None,
        track=source.track or (source.sidecar if sidecar and sidecar.track else None),
        note=note,
    )


def _look_inside(place: Location, source: Source) -> _Inside:
    if source.kind is SourceKind.IMAGES:
        members = image_members(place)
        modified = members[0].modified if members else source.captured
        if folder_etag(members) != source.etag:
            return _Inside(modified, error=CHANGED)
        return _Inside(modified, float(len(members)), first_name=members[0].name)
    now = entry("", place.fs.info(place.path))
    if now.etag != source.etag:
        return _Inside(now.modified, error=CHANGED)
    block = _CHUNK_BLOCK if source.kind is SourceKind.RECORDING else _HEADER_BLOCK
    with place.fs.open(place.path, "rb", block_size=block) as file:
        if now.size == 0:
            return _Inside(now.modified, error="the file is empty")
        if source.kind is SourceKind.VIDEO:
            return _look_into_video(file, now.modified)
        if source.kind is SourceKind.RECORDING:
            return _look_into_recording(file, now.size, now.modified)
        return _look_into_tar(file, now.modified)


def _look_into_video(file: Any, modified: datetime) -> _Inside:
    header = MediaInfo.parse(file, parse_speed=0)
    if not header.video_tracks:
        return _Inside(modified, error="no video in it: not a video, or cut off before its header")
    video, general = header.video_tracks[0], header.general_tracks[0]
    milliseconds = float(video.duration or general.duration or 0)
    if milliseconds <= 0:
        return _Inside(modified, error="the video has no frames")
    if general.format in ("MPEG-4", "QuickTime"):
        milliseconds = min(milliseconds, 1000 * (shown_seconds(file) or math.inf))
    container_time = time_in_header(general.recorded_date) or time_in_header(general.encoded_date)
    return _Inside(modified, milliseconds / 1000, container_time)


def _look_into_recording(file: Any, size: int, modified: datetime) -> _Inside:
    from tasks.recording import look_into  # an extra

    try:
        found = look_into(file, size)
    except SourceError as error:
        return _Inside(modified, error=str(error))
    return _Inside(modified, found.seconds, found.first)


def _look_into_tar(file: Any, modified: datetime) -> _Inside:
    names: list[str] = []
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            names.extend(member.name for member in tar if member.isreg() and is_image(member.name))
    except tarfile.TarError as error:
        if not names:
            return _Inside(modified, error=f"not a tar of images: {reason(error)}")
    if not names:
        return _Inside(modified, error="no images in the tar")
    return _Inside(modified, float(len(names)), first_name=names[0])


def _read_sidecar(place: Location) -> Sidecar | None:
    try:
        data = place.fs.cat_file(place.path, start=0, end=_LARGEST_SIDECAR + 1)
    except STORAGE_ERRORS as error:
        if is_out_of_reach(error):
            raise
        return None
    return read_sidecar(data) if len(data) <= _LARGEST_SIDECAR else None


def _captured(source: Source, inside: _Inside, sidecar: Sidecar | None) -> tuple[datetime, TimestampSource, str | None]:
    """When it was captured, where that comes from, and a note where the camera's clock is not believed."""
    if source.captured_from is TimestampSource.INVENTORY:
        return source.captured, source.captured_from, None
    if sidecar and sidecar.captured:
        return sidecar.captured, TimestampSource.SIDECAR, None
    name = posixpath.basename(source.uri.rstrip("/"))
    by_camera = (
        (inside.container_time, TimestampSource.CONTAINER),
        (time_in_name(name) or time_in_name(posixpath.basename(inside.first_name)), TimestampSource.FILENAME),
    )
    note = None
    for moment, told_by in by_camera:
        if moment and not is_ahead(moment, inside.modified):
            return moment, told_by, note
        if moment:
            note = f"the {told_by.value} says {moment:%Y-%m-%d %H:%M}, after the file was written: not believed"
    return inside.modified, TimestampSource.MTIME, note
