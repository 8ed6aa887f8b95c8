"""What an archive holds: every video, tar of images and folder of images under a URL, as a Source."""

import hashlib
import math
import posixpath
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymediainfo import MediaInfo

from clipomaly_core.errors import UserError
from schemas.records import Source, SourceKind, TimestampSource
from tasks.capture_time import Sidecar, is_ahead, read_sidecar, time_in_header, time_in_name
from tasks.edit_list import shown_seconds
from tasks.positions import TRACK_SUFFIXES
from tasks.storage import (
    STORAGE_ERRORS,
    Entry,
    Location,
    cannot_read,
    entry,
    is_object_store,
    is_out_of_reach,
    locate,
    reason,
)

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TAR_SUFFIX = ".tar"
LABEL_FOLDER_SUFFIX = ".labels"  # ground truth beside images, as SegmentMeIfYouCan names it: no footage

_PROBING_THREADS = 8
# Headers are read in small pieces: the 5 MB blocks that object stores default to would read whole clips.
_HEADER_BLOCK = 256 * 1024
_LARGEST_SIDECAR = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """The sources of an archive in order of their URI, and the URIs of files that are none."""

    sources: tuple[Source, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A source before it is probed. ``members`` are the images of a folder, else empty."""

    kind: SourceKind
    entry: Entry
    members: tuple[Entry, ...] = ()
    sidecar: Entry | None = None
    track: Entry | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Probe:
    """What the inside of a source tells of it."""

    seconds: float = 0.0
    container_time: datetime | None = None
    first_name: str = ""
    error: str | None = None


def list_sources(url: str) -> Listing:
    """List an archive: any fsspec URL or local path of a folder, or of one video or tar.

    A folder that directly holds images is one source whose URI ends in a slash; its etag covers its
    images. The drive is the first folder under the archive (for files directly in it, its own name).
    Capture time comes from the sidecar ``<name>.json`` ("captured", ISO 8601), the container, the file
    name or the modification time, in this order. Only headers are read. What cannot be opened is listed
    with ``error``. Hidden files, sidecars and ``*.labels`` folders are left out; everything else that is
    no source is in ``ignored``.

    Raises UserError when there is no such archive, it may not be read, or it holds no source.
    """
    root = locate(url)
    try:
        info = root.fs.info(root.path)
        if info["type"] == "directory":
            base, found = root, list(_walk(root))
        else:
            base, found = _single_file(root, info)
    except FileNotFoundError as error:
        raise UserError(f"There is no archive at {root.url}. Check the address.") from error
    except STORAGE_ERRORS as error:
        raise cannot_read(root, error) from error

    candidates, ignored = _sort_out(found)
    if not candidates:
        raise UserError(
            f"The archive {root.url} holds nothing to scan. Clipomaly reads "
            f"{_spoken((*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, TAR_SUFFIX))}."
        )
    with ThreadPoolExecutor(_PROBING_THREADS) as pool:
        probed = list(pool.map(lambda candidate: _source(base, candidate), candidates))
    unread = [name for _, name in probed if name]
    return Listing(
        tuple(sorted((source for source, _ in probed), key=lambda source: source.uri)),
        tuple(base.child(name).url for name in sorted({*ignored, *unread})),
    )


def _single_file(file: Location, info: dict[str, Any]) -> tuple[Location, list[Entry | _Found]]:
    """The folder of a file that is itself the archive, and the file with its sidecar."""
    folder, name = posixpath.split(file.path)
    if is_image(name):
        raise UserError(f"{file.url} is one image. Name its folder, or try `clipomaly segment` on it.")
    base = Location(file.fs, folder, file.url.removesuffix(f"/{name}"))
    found: list[Entry | _Found] = [entry(name, info)]
    stems = (name, posixpath.splitext(name)[0])
    for beside in (f"{stem}{suffix}" for suffix in (".json", *TRACK_SUFFIXES) for stem in stems):
        if beside != name and file.fs.exists(base.child(beside).path):
            found.append(entry(beside, file.fs.info(base.child(beside).path)))
    return base, found


def image_members(folder: Location) -> tuple[Entry, ...]:
    """The images directly in a folder, by name. Raises OSError when it cannot be listed."""
    infos = folder.fs.ls(folder.path, detail=True)
    named = ((posixpath.basename(str(info["name"]).rstrip("/")), info) for info in infos)
    images = (
        entry(name, _follow(folder, info)) for name, info in named if is_image(name) and info["type"] != "directory"
    )
    return tuple(sorted(images, key=lambda member: member.name))


def list_images(url: str) -> list[str]:
    """URLs of the images at a URL: itself, or those directly in it, by name.

    Raises UserError when there are none or they cannot be listed.
    """
    place = locate(url)
    if is_image(place.path):
        return [place.url]
    try:
        images = [place.child(member.name).url for member in image_members(place)]
    except FileNotFoundError as error:
        raise UserError(f"There is nothing at {place.url}. Check the address.") from error
    except STORAGE_ERRORS as error:
        raise cannot_read(place, error) from error
    if not images:
        raise UserError(f"No images at {place.url}. Clipomaly reads {_spoken(IMAGE_SUFFIXES)}.")
    return images


def current_etag(source: Source) -> str:
    """The etag that a listing made now would give. Raises OSError when the source cannot be looked at."""
    place = locate(source.uri)
    if source.kind is SourceKind.IMAGES:
        return _folder_etag(image_members(place))
    return entry("", place.fs.info(place.path)).etag


def is_image(name: str) -> bool:
    """Whether a file of this name is an image that is read: its suffix says so and it is not hidden."""
    base = posixpath.basename(name)
    return base.lower().endswith(IMAGE_SUFFIXES) and not base.startswith(".")


def _spoken(suffixes: Iterable[str]) -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in suffixes)


def _walk(root: Location) -> Iterator[Entry | _Found]:
    """Every file below a folder, and as an erroneous source every folder that could not be listed."""
    if is_object_store(root.fs):
        for path, info in root.fs.find(root.path, detail=True).items():
            if info["type"] != "directory":
                yield entry(_relative(root, path), info)
        return
    yield from _walk_folder(root, root.fs.ls(root.path, detail=True))


def _walk_folder(root: Location, infos: list[dict[str, Any]]) -> Iterator[Entry | _Found]:
    for info in infos:
        name = _relative(root, info["name"])
        if _hidden(name):
            continue
        if info["type"] != "directory":
            yield entry(name, _follow(root, info))
            continue
        try:
            below = root.fs.ls(info["name"], detail=True)
        except PermissionError:
            yield _Found(SourceKind.IMAGES, entry(f"{name}/", info))  # left to the scan, as files are
        except OSError as error:
            whole = entry(f"{name}/", info)
            yield _Found(SourceKind.IMAGES, whole, error=f"the folder cannot be opened: {reason(error)}")
        else:
            yield from _walk_folder(root, below)


def _follow(root: Location, info: dict[str, Any]) -> dict[str, Any]:
    """What a link to a file points at; the link itself where that is gone, so that opening it says so."""
    if not info.get("islink"):
        return info
    try:
        return dict(root.fs.info(info["name"]))
    except OSError:
        return info


def _relative(root: Location, path: str) -> str:
    return str(path).removeprefix(root.path.rstrip("/")).lstrip("/")


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def kind_of(name: str) -> SourceKind | None:
    """Which kind of source a file or a folder (ending in a slash) of this name is, if any."""
    if name.endswith("/"):
        return SourceKind.IMAGES
    lower = name.lower()
    if lower.endswith(VIDEO_SUFFIXES):
        return SourceKind.VIDEO
    return SourceKind.TAR if lower.endswith(TAR_SUFFIX) else None


def _sort_out(found: Iterable[Entry | _Found]) -> tuple[list[_Found], set[str]]:
    """Tell sources from sidecars and from the names of files that are neither."""
    candidates: list[_Found] = []
    files: list[Entry] = []
    images: defaultdict[str, list[Entry]] = defaultdict(list)
    json: dict[str, Entry] = {}
    tracks: dict[str, Entry] = {}
    ignored: set[str] = set()
    for item in found:
        if isinstance(item, _Found):
            candidates.append(item)
        elif _hidden(item.name) or posixpath.dirname(item.name).endswith(LABEL_FOLDER_SUFFIX):
            continue
        elif kind_of(item.name):
            files.append(item)
        elif is_image(item.name):
            images[posixpath.dirname(item.name)].append(item)
        elif item.name.lower().endswith(".json"):
            json[item.name] = item
        elif item.name.lower().endswith(TRACK_SUFFIXES):
            tracks[item.name] = item
        else:
            ignored.add(item.name)

    def beside(name: str, files: dict[str, Entry], *suffixes: str) -> Entry | None:
        names = (f"{stem}{suffix}" for suffix in suffixes for stem in (name, posixpath.splitext(name)[0]))
        return next((files[name] for name in names if name in files), None)

    for item in files:
        kind = kind_of(item.name)
        assert kind is not None
        candidates.append(
            _Found(kind, item, (), beside(item.name, json, ".json"), beside(item.name, tracks, *TRACK_SUFFIXES))
        )
    for folder, listed in images.items():
        members = tuple(sorted(listed, key=lambda member: member.name))
        whole = Entry(
            f"{folder}/" if folder else "",
            sum(member.size for member in members),
            _folder_etag(members),
            members[0].modified,
        )
        candidates.append(
            _Found(
                SourceKind.IMAGES, whole, members, json.get(f"{folder}.json"), beside(folder, tracks, *TRACK_SUFFIXES)
            )
        )
    described = set(images)
    for item in (*files, *(member for members in images.values() for member in members)):
        described |= {item.name, posixpath.splitext(item.name)[0]}
    ignored |= {name for name in (*json, *tracks) if posixpath.splitext(name)[0] not in described}
    return candidates, ignored


def _folder_etag(members: Iterable[Entry]) -> str:
    digest = hashlib.sha256()
    for member in members:
        digest.update(f"{posixpath.basename(member.name)}\0{member.etag}\n".encode())
    return digest.hexdigest()[:32]


def _source(base: Location, found: _Found) -> tuple[Source, str | None]:
    """Probe a source; with it the name of its sidecar where that could not be read."""
    place = base.child(found.entry.name)
    sidecar = _read_sidecar(base, found.sidecar) if found.sidecar else None
    probe = _Probe(error=found.error) if found.error else _probe(place, found)
    captured, captured_from, note = _captured(found, probe, sidecar)
    first, _, rest = found.entry.name.partition("/")
    source = Source(
        uri=place.url,
        size=found.entry.size,
        etag=found.entry.etag,
        kind=found.kind,
        drive=first if rest or found.entry.name.endswith("/") else posixpath.basename(base.path.rstrip("/")),
        captured=captured,
        captured_from=captured_from,
        footage_seconds=probe.seconds,
        error=probe.error,
        latitude=sidecar.latitude if sidecar else None,
        longitude=sidecar.longitude if sidecar else None,
        track=_track(base, found, sidecar),
        note=note,
    )
    return source, found.sidecar.name if found.sidecar and sidecar is None else None


def _track(base: Location, found: _Found, sidecar: Sidecar | None) -> str | None:
    """Where positions by time are told: a track file, or else the sidecar itself."""
    if found.track:
        return base.child(found.track.name).url
    return base.child(found.sidecar.name).url if found.sidecar and sidecar and sidecar.track else None


def _captured(found: _Found, probe: _Probe, sidecar: Sidecar | None) -> tuple[datetime, TimestampSource, str | None]:
    """When it was captured, where that comes from, and a note where the camera's clock is not believed."""
    if sidecar and sidecar.captured:
        return sidecar.captured, TimestampSource.SIDECAR, None
    name = posixpath.basename(found.entry.name.rstrip("/"))
    by_camera = (
        (None if probe.error else probe.container_time, TimestampSource.CONTAINER),
        (time_in_name(name) or time_in_name(posixpath.basename(probe.first_name)), TimestampSource.FILENAME),
    )
    note = None
    for moment, told_by in by_camera:
        if moment and not is_ahead(moment, found.entry.modified):
            return moment, told_by, note
        if moment:
            note = f"the {told_by.value} says {moment:%Y-%m-%d %H:%M}, after the file was written: not believed"
    return found.entry.modified, TimestampSource.MTIME, note


def _read_sidecar(base: Location, sidecar: Entry) -> Sidecar | None:
    if sidecar.size > _LARGEST_SIDECAR:
        return None
    try:
        return read_sidecar(base.fs.cat_file(base.child(sidecar.name).path))
    except STORAGE_ERRORS as error:
        if is_out_of_reach(error):
            raise cannot_read(base.child(sidecar.name), error) from error
        return None


def _probe(place: Location, found: _Found) -> _Probe:
    if found.kind is SourceKind.IMAGES:
        if not found.members:
            return _Probe()
        return _Probe(float(len(found.members)), first_name=found.members[0].name)
    try:
        with place.fs.open(place.path, "rb", block_size=_HEADER_BLOCK) as file:
            if found.entry.size == 0:
                return _Probe(error="the file is empty")
            return _probe_video(file) if found.kind is SourceKind.VIDEO else _probe_tar(file)
    except PermissionError:
        return _Probe()  # the scan meets it again, and keeps the source for the next one
    except STORAGE_ERRORS as error:
        if is_out_of_reach(error):
            raise cannot_read(place, error) from error
        return _Probe(error=f"cannot be opened: {reason(error)}")


def _probe_video(file: Any) -> _Probe:
    header = MediaInfo.parse(file, parse_speed=0)
    if not header.video_tracks:
        return _Probe(error="no video in it: not a video, or cut off before its header")
    video, general = header.video_tracks[0], header.general_tracks[0]
    milliseconds = float(video.duration or general.duration or 0)
    if milliseconds <= 0:
        return _Probe(error="the video has no frames")
    if general.format in ("MPEG-4", "QuickTime"):
        milliseconds = min(milliseconds, 1000 * (shown_seconds(file) or math.inf))
    container_time = time_in_header(general.recorded_date) or time_in_header(general.encoded_date)
    return _Probe(milliseconds / 1000, container_time)


def _probe_tar(file: Any) -> _Probe:
    names: list[str] = []
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            names.extend(member.name for member in tar if member.isreg() and is_image(member.name))
    except tarfile.TarError as error:
        if not names:
            return _Probe(error=f"not a tar of images: {reason(error)}")
    if not names:
        return _Probe(error="no images in the tar")
    return _Probe(float(len(names)), first_name=names[0])
