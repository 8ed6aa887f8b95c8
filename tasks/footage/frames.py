"""Sources of any kind: what opening one tells of it, its track, and its frames as RGB arrays, one by one.

The kind follows from how the name of a file ends; the name of a folder ends in a slash.
"""

import csv
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree

from clipomaly_core.plugins import plugins
from schemas.records import Source, TimestampSource
from tasks.addresses import file_name, place_in_chain
from tasks.errors import BadUrlError, DeniedError, SourceError, UserError
from tasks.footage.capture_time import Sidecar, is_ahead, plausible, read_sidecar, time_in_folders, time_in_path
from tasks.footage.image_files import PROXY_SUFFIXES
from tasks.footage.images import BadImage, Rgb, decode_image, read_image
from tasks.footage.layouts import comma_moments, described_elsewhere
from tasks.footage.source_folder import FOLDER
from tasks.footage.source_kind import CHANGED, GONE, BadTrack, Fix, Frame, Inside, SourceKind
from tasks.footage.source_recording import RECORDING, RECORDING_SUFFIXES
from tasks.footage.source_tar import TAR, TAR_SUFFIXES
from tasks.footage.source_video import VIDEO, VIDEO_SUFFIXES
from tasks.footage.track import Position, Track
from tasks.footage.track_files import TRACK_SUFFIXES, parse_track
from tasks.footage.track_rows import fix_of
from tasks.storage import Location, cannot_read, locate, reason
from tasks.storage_errors import is_denied, is_missing, is_out_of_reach, storage_errors

KINDS: dict[str, SourceKind] = {
    **dict.fromkeys((*VIDEO_SUFFIXES, *PROXY_SUFFIXES), VIDEO),
    **dict.fromkeys(RECORDING_SUFFIXES, RECORDING),
    "/": FOLDER,
    **dict.fromkeys(TAR_SUFFIXES, TAR),
}
PLUGINS = "clipomaly.sources"
"""Entry points of other packages: the name is how a file ends, without the dot, the object a ``SourceKind``."""
_LARGEST_SIDECAR = 1024 * 1024
__all__ = [
    "TRACK_SUFFIXES",
    "BadTrack",
    "Fix",
    "Frame",
    "Position",
    "Rgb",
    "SourceError",
    "Track",
    "parse_track",
    "read_frame",
    "read_frames",
    "read_image",
    "read_track",
]

_LARGEST_TRACK = 64 * 1024 * 1024


def kinds() -> dict[str, SourceKind]:
    """All kinds by how a name ends, in lower case: those that plugins add come after the built-in ones."""
    return KINDS | {
        suffix: kind
        for suffix, kind in ((f".{name.lower()}", kind) for name, kind in plugins(PLUGINS, SourceKind).items())
        if suffix not in KINDS
    }


def is_source(name: str) -> bool:
    """Whether a file or a folder of this name is a source."""
    return name.lower().endswith(tuple(kinds()))


def kind_of(uri: str) -> SourceKind:
    """The kind of a source. Raises SourceError if its name is of no known kind."""
    name = place_in_chain(uri).lower()
    kind = _kind_by_end(name, KINDS) or _kind_by_end(name, kinds())  # plugins are asked for last
    if kind is None:
        raise SourceError("of an unknown kind")
    return kind


def _kind_by_end(name: str, of: Mapping[str, SourceKind]) -> SourceKind | None:
    return next((kind for suffix, kind in of.items() if name.endswith(suffix)), None)


def current_etag(source: Source) -> str:
    """The etag that a listing made now would give. Raises OSError when the source cannot be looked at."""
    return kind_of(source.uri).etag(locate(source.uri))


def open_source(source: Source) -> Source:
    """A listed source with facts from its content: length, capture time, position, notes. Only headers are read.

    Capture time comes from the sidecar ("captured", ISO 8601), the container, the file name or the modification time
    less the length, in this order; one of an inventory stays. The same source gives the same again. What cannot be
    opened, has changed or is gone comes with ``error``; what may not be read, or not yet, comes as it is, for its
    reader to find out.

    Raises UserError when the storage is out of reach.
    """
    if source.error:
        return source
    try:
        place = locate(source.uri)
    except BadUrlError as error:
        return replace(source, error=str(error), footage_seconds=0.0)
    try:
        inside = kind_of(source.uri).look_inside(place, source)
        beside = locate(source.sidecar) if source.sidecar else described_elsewhere(place)
        sidecar = _read_sidecar(beside) if beside else None
    except DeniedError:
        return source
    except SourceError as error:
        return replace(source, error=str(error), footage_seconds=0.0)
    except storage_errors() as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        if is_denied(error):
            return source
        gone = is_missing(error) and not place.fs.lexists(place.path)  # a link to nothing is there
        return replace(source, error=GONE if gone else f"cannot be opened: {reason(error)}")
    captured, captured_from, clock = _captured(source, inside, sidecar)
    unread = None
    if beside and not sidecar:
        unread = f"{beside.url} cannot be read as a sidecar: not used"
    elif beside and sidecar and sidecar.wrong:
        unread = f"{beside.url} has a wrong {' and '.join(sidecar.wrong)}: not used"
    if sidecar and sidecar.event and not sidecar.event.tells_place(captured):
        sidecar = replace(sidecar, latitude=None, longitude=None)
    return replace(
        source,
        captured=captured,
        captured_from=captured_from,
        footage_seconds=inside.seconds,
        latitude=sidecar.latitude if sidecar else None,
        longitude=sidecar.longitude if sidecar else None,
        track=source.track or (beside.url if beside and sidecar and sidecar.track else None),
        note="; ".join(note for note in (clock, unread, inside.note) if note) or None,
    )


def _read_sidecar(place: Location) -> Sidecar | None:
    try:
        data = place.fs.cat_file(place.path, start=0, end=_LARGEST_SIDECAR + 1)
    except storage_errors() as error:
        if is_out_of_reach(error):
            raise
        return None
    return read_sidecar(data) if len(data) <= _LARGEST_SIDECAR else None


def _captured(source: Source, inside: Inside, sidecar: Sidecar | None) -> tuple[datetime, TimestampSource, str | None]:
    """When it was captured, where that comes from, and a note where the camera's clock is not believed."""
    if source.captured_from is TimestampSource.INVENTORY:
        return source.captured, source.captured_from, None
    if sidecar and sidecar.captured:
        return sidecar.captured, TimestampSource.SIDECAR, None
    above = place_in_chain(source.uri).rstrip("/").rpartition("/")[0]
    path = f"{above}/{file_name(source.uri)}"
    named = time_in_path(path) or time_in_path(f"{path}/{posixpath.basename(inside.first_name)}")
    by_camera = (
        (next(iter(comma_moments(locate(source.uri))), None), TimestampSource.SIDECAR),
        (inside.container_time, TimestampSource.CONTAINER),
        (named, TimestampSource.FILENAME),
    )
    note = None
    for moment, told_by in by_camera:
        if moment and not is_ahead(moment, inside.modified):
            return moment, told_by, note
        if moment:
            note = f"the {told_by.value} says {moment:%Y-%m-%d %H:%M}, after the file was written: not used"
    # A file is written last when its recording ends. A time such as 1970 is a clock that was not set.
    lasted = timedelta(seconds=inside.lasts if plausible(inside.modified) else 0)
    began = inside.modified - lasted
    by_folder = time_in_folders(place_in_chain(source.uri), began)
    return (by_folder, TimestampSource.FILENAME, note) if by_folder else (began, TimestampSource.MTIME, note)


def read_frames(source: Source, fps: float, keyframes: bool = False) -> Iterator[Frame]:
    """Yield the frames of a source in order, holding one at a time.

    A video is sampled at t = 0, 1/fps, … below its duration (seconds on the container's clock): the frame
    shown at t is the last whose presentation time is not after t; one shown at several t comes once. With
    ``keyframes`` the same holds of its key frames alone. Each camera of a recording is sampled so, by the times of
    its pictures. Of images each is a frame. A frame that should be there
    and cannot be read comes with ``error``.

    Raises SourceError at the start when the source cannot be read at all or is not what was listed
    (DeniedError when it may not be read), or later when what follows is lost; UserError when the storage itself
    is out of reach or the disk full, which is no fault of the source.
    """
    if source.error:
        raise SourceError(source.error)
    try:
        place = locate(source.uri)
    except BadUrlError as error:
        raise SourceError(str(error)) from error
    try:
        if current_etag(source) != source.etag:
            raise SourceError(CHANGED)
        yield from kind_of(source.uri).frames(place, source, fps, keyframes)
    except storage_errors() as error:
        if is_missing(error):
            raise SourceError(GONE) from error
        if is_denied(error):
            again = "check your access, the next scan tries again"
            raise DeniedError(f"may not be read: {reason(error)}; {again}") from error
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        raise SourceError(f"cannot be read: {reason(error)}") from error


def read_frame(uri: str | os.PathLike[str], index: int) -> Rgb:
    """One frame of a source again, by the ``source_uri`` and ``frame_index`` of a row: (H, W, 3) uint8 RGB.

    Args:
        uri: a path or any fsspec URL: a video, a recording, a tar or folder of images.
        index: its number in the source, from 0.

    Raises:
        UserError: it can no longer be read.

    Example:
        >>> import clipomaly
        >>> clipomaly.read_frame("footage/drive-01/clip-01.mp4", 10).shape
        (360, 640, 3)
    """
    uri = os.fspath(uri)
    place = locate(uri)
    try:
        [stored] = kind_of(uri).pictures(place, [index])
        if isinstance(stored, BadImage):
            raise stored
        return decode_image(stored) if isinstance(stored, bytes) else stored
    except storage_errors(BadImage, SourceError) as error:
        raise UserError(f"Frame {index} of {uri} cannot be read any more: {reason(error)}.") from error


def read_track(source: Source) -> Track | None:
    """The track beside a source, else the track inside it, as in recordings; None if it has no track.

    GPX: every ``trkpt`` and ``rtept`` with a time. CSV: a header with a time (``time`` or ``timestamp``: ISO 8601
    or a count since 1970, of seconds to nanoseconds; ``date`` and ``time``; or ``seconds`` since the first frame),
    ``latitude`` and ``longitude``. JSON: a list ``track`` or ``locations`` of objects with the same names. NMEA: RMC
    sentences. SRT: subtitles that tell latitude and longitude. Times without a zone are UTC. Fixes without a place are
    left out.

    Raises BadTrack when the file is none of these, or what is inside is not understood;
    UserError when the storage is out of reach.
    """
    if source.track is None:
        return _track_inside(source)
    place = locate(source.track)
    try:
        if int(place.fs.info(place.path)["size"] or 0) > _LARGEST_TRACK:
            raise BadTrack(f"larger than {_LARGEST_TRACK // 2**20} MB")
        data = place.fs.cat_file(place.path)
    except storage_errors() as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        raise BadTrack(f"cannot be read: {reason(error)}") from error
    try:
        fixes = parse_track(file_name(source.track), data, source.captured)
    except (ValueError, ElementTree.ParseError, csv.Error, RecursionError) as error:
        raise BadTrack(f"no track: {reason(error)}") from error
    if not fixes:
        raise BadTrack("no fix with a time and a place in it")
    return Track(fixes)


def _track_inside(source: Source) -> Track | None:
    if source.error:
        return None
    place = locate(source.uri)
    try:
        fixes = list(kind_of(source.uri).fixes(place, source))
    except storage_errors(DeniedError) as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        return None  # reading the frames reports it
    found = [part for fix in fixes for part in fix_of(fix.moment, fix.latitude, fix.longitude)]
    return Track(found) if found else None
