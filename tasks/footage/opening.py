"""Opens a source for its length, its capture time and its sidecar."""

import posixpath
from dataclasses import replace
from datetime import datetime, timedelta

from schemas.records import Source, TimestampSource
from tasks.addresses import file_name, place_in_chain
from tasks.errors import BadUrlError, DeniedError, SourceError
from tasks.footage.capture_time import Sidecar, is_ahead, plausible, read_sidecar, time_in_folders, time_in_path
from tasks.footage.kinds import kind_of
from tasks.footage.layouts import comma_moments, described_elsewhere
from tasks.footage.source_kind import GONE, Inside
from tasks.storage import Location, cannot_read, locate, reason
from tasks.storage_errors import is_denied, is_missing, is_out_of_reach, storage_errors

_LARGEST_SIDECAR = 1024 * 1024


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
