"""Where a car was: the track beside a source (GPX, CSV, JSON and others), or inside it."""

import csv
from xml.etree import ElementTree

from schemas.records import Source
from tasks.addresses import file_name
from tasks.errors import DeniedError
from tasks.footage.frames import kind_of
from tasks.footage.source_kind import BadTrack, Fix
from tasks.footage.track import Position, Track
from tasks.footage.track_files import TRACK_SUFFIXES, parse_track
from tasks.footage.track_rows import fix_of
from tasks.storage import cannot_read, locate, reason
from tasks.storage_errors import is_out_of_reach, storage_errors

__all__ = ["TRACK_SUFFIXES", "BadTrack", "Fix", "Position", "Track", "parse_track", "read_track"]

_LARGEST_TRACK = 64 * 1024 * 1024


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
