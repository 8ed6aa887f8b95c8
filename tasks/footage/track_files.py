"""The fixes in files beside footage: GPX, CSV, JSON, NMEA and subtitles."""

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree

from tasks.footage.capture_time import plausible
from tasks.footage.source_kind import Fix
from tasks.footage.track_formats import nmea_fixes, subtitle_fixes
from tasks.footage.track_rows import fix_of, row_fixes
from tasks.footage.track_times import moment_in, without_rollover

_COMMENTS = re.compile(r"\A(?:[ \t]*(?:#.*)?\r?\n)+")  # and empty lines, before the header
_SEPARATOR = re.compile(r"\Asep=.\n")  # which spreadsheets write for themselves
TRACK_SUFFIXES = (".gpx", ".csv", ".nmea", ".gps", ".srt")


def parse_track(name: str, data: bytes, start: datetime) -> list[Fix]:
    """The fixes of a file by its suffix; ``start`` is what seconds are counted from. Raises ValueError."""
    return [replace(fix, moment=without_rollover(fix.moment, start)) for fix in _parse(name, data, start)]


def _parse(name: str, data: bytes, start: datetime) -> list[Fix]:
    suffix = posixpath.splitext(name.lower())[1]
    if suffix == ".gpx":
        return list(_gpx(data))
    if suffix in (".nmea", ".gps"):
        return [
            fix for moment, north, east in nmea_fixes(data, start) for fix in fix_of(plausible(moment), north, east)
        ]
    if suffix == ".srt":
        return [
            fix
            for seconds, north, east in subtitle_fixes(data)
            for fix in fix_of(start + timedelta(seconds=seconds), north, east)
        ]
    text = _text(data)
    if suffix == ".csv":
        text = _COMMENTS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        text = _SEPARATOR.sub("", text)
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
        rows: Iterable[object] = csv.DictReader(io.StringIO(text), dialect=dialect)
    else:
        rows = _listed(json.loads(text))
    return row_fixes([row for row in rows if isinstance(row, dict)], start)


def _text(data: bytes) -> str:
    """As spreadsheets and loggers write it: UTF-8, UTF-16 with its mark, else Windows' Latin letters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _listed(whole: object) -> Iterable[object]:
    """The fixes of a JSON: its ``track``, or ``locations`` as BDD100K has it."""
    if not isinstance(whole, dict):
        return ()
    return next((whole[name] for name in ("track", "locations", "gps") if isinstance(whole.get(name), list)), ())


def _gpx(data: bytes) -> Iterator[Fix]:
    """The points of all tracks and routes; of those that overlap in time, which are of two receivers, the longest."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ValueError("a GPX file needs no document type")
    tracks = [sorted(_points(part)) for part in _begun(data) if part.tag.rsplit("}", 1)[-1] in ("trk", "rte")]
    taken: list[list[Fix]] = []
    for track in sorted((track for track in tracks if track), key=len, reverse=True):
        if all(track[-1].moment < other[0].moment or other[-1].moment < track[0].moment for other in taken):
            taken.append(track)
    return (fix for track in taken for fix in track)


def _begun(data: bytes) -> ElementTree.Element:
    """The root of a document, with all that came before it broke off: a logger that lost power ends anywhere."""
    root: ElementTree.Element | None = None
    try:
        for _, element in ElementTree.iterparse(io.BytesIO(data.lstrip()), ["start"]):
            root = element if root is None else root
    except ElementTree.ParseError:
        if root is None or not any(True for _ in _points(root)):
            raise
    if root is None:
        raise ValueError("no XML")
    return root


def _points(part: ElementTree.Element) -> Iterator[Fix]:
    for element in part.iter():
        if element.tag.rsplit("}", 1)[-1] in ("trkpt", "rtept"):
            time = next((child.text for child in element if child.tag.rsplit("}", 1)[-1] == "time"), None)
            yield from fix_of(moment_in(time), element.get("lat"), element.get("lon"))
