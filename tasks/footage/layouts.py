"""Times and positions that public data sets keep in other files: KITTI, comma2k19, BDD100K, nuScenes, Tesla.

A layout is known by the names of its folders; nothing else is asked for where they are not there.
"""

import io
import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.footage.capture_time import moment_of, plausible, read_sidecar
from tasks.footage.source_kind import Fix, Told
from tasks.footage.track import Track
from tasks.footage.track_files import parse_track
from tasks.footage.track_rows import fix_of
from tasks.storage import Location
from tasks.storage_errors import is_out_of_reach, storage_errors

_READ_WITH_FOOTAGE = re.compile(
    r"(^|/)(oxts/(data/\d+\.txt|timestamps\.txt|dataformat\.txt)|image_\d\d/timestamps\.txt"
    r"|global_pose/frame_(positions|times|gps_times|orientations|velocities)(\.npy)?"
    r"|info/(100k/)?(train|val|test)/[^/]+\.json|v1\.0-[a-z]+/(sample_data|ego_pose|sample|scene|log)\.json)$"
)
_TESLA = re.compile(r"(?i)(^|/)20\d\d-\d\d-\d\d_\d\d-\d\d-\d\d-[a-z_]+\.mp4$")
_KITTI = re.compile(r"/image_\d\d/data$")
_BDD_IMAGES = re.compile(r"^(.*)/images/(100k|10k)/(train|val|test)$")
_BDD_VIDEO = re.compile(r"^(.*)/videos/(?:100k/)?(train|val|test)/([^/]+)\.(?:mov|mp4)$", re.IGNORECASE)
_BDD_IMAGE_AT = timedelta(seconds=10)  # of its video
_NUSCENES = re.compile(r"^(.*)/((?:samples|sweeps)/CAM_[A-Z_]+)$")
_READERS = 8
_LARGEST_TABLE = 256 * 1024 * 1024
# Where the maps of nuScenes begin, in degrees.
_MAP_ORIGINS = {
    "boston-seaport": (42.336849169438615, -71.05785369873047),
    "singapore-onenorth": (1.2882100868743724, 103.78475189208984),
    "singapore-hollandvillage": (1.2993652317780957, 103.78217697143555),
    "singapore-queenstown": (1.2782562240223188, 103.76741409301758),
}
_GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)
_LEAP_SECONDS = timedelta(seconds=18)  # GPS time is ahead of UTC by so many, since 2017
# WGS 84: the equator's radius in metres, and the flattening.
_RADIUS, _FLATTENING = 6378137.0, 1 / 298.257223563


def is_read_with_footage(name: str) -> bool:
    """Whether a file of this name holds times or positions of footage in other folders."""
    return bool(_READ_WITH_FOOTAGE.search(name))


def is_of_tesla(name: str) -> bool:
    """Whether a clip is named as Tesla's cars do: an ``event.json`` may lie beside it."""
    return bool(_TESLA.search(name))


def event_beside(name: str) -> str:
    """The stem of the ``event.json`` in the folder of a clip, in lower case."""
    return posixpath.join(posixpath.dirname(name), "event").lower()


def told_of_images(folder: Location, names: Sequence[str]) -> Mapping[str, Told]:
    """When and where images of a folder were taken, by their names, as far as a layout has it.

    Damaged files are ignored. Raises what the storage raises when it is out of reach.
    """
    path = folder.path.rstrip("/")
    if _KITTI.search(path):
        return _kitti(folder, posixpath.dirname(path), names)
    if bdd := _BDD_IMAGES.match(path):
        return _bdd_images(folder, bdd[1], bdd[3], names)
    if nuscenes := _NUSCENES.match(path):
        return _nuscenes(folder, nuscenes[1], nuscenes[2], names)
    return {}


def described_elsewhere(video: Location) -> Location | None:
    """The sidecar of a video that lies in another folder: BDD100K's info."""
    match = _BDD_VIDEO.match(video.path)
    for info in ("info/100k", "info") if match else ():
        place = _at(video, f"{match[1]}/{info}/{match[2]}/{match[3]}.json")  # type: ignore[index]
        if place.fs.exists(place.path):
            return place
    return None


def comma_fixes(video: Location) -> list[Fix]:
    """Where each frame of a segment of comma2k19 was taken; empty where the layout is not there."""
    moments, places = comma_moments(video), _array(video, f"{_pose(video)}/frame_positions")
    if not moments or places is None or places.shape[1:] != (3,):
        return []
    fixes: list[Fix] = []
    for moment, metres in zip(moments, places.tolist(), strict=False):
        if all(map(math.isfinite, metres)):
            fixes += fix_of(moment, *_geodetic(*metres))
    return fixes


def comma_moments(video: Location) -> list[datetime | None]:
    """When each frame of a segment of comma2k19 was taken; empty where the layout is not there."""
    times = _array(video, f"{_pose(video)}/frame_gps_times") if posixpath.basename(video.path) == "video.hevc" else None
    return [_of_gps(*time) for time in times.tolist()] if times is not None and times.shape[1:] == (2,) else []


def _pose(video: Location) -> str:
    return f"{posixpath.dirname(video.path)}/global_pose"


def _of_gps(week: float, second: float) -> datetime | None:
    if not (math.isfinite(week) and 0 <= week < 10_000 and 0 <= second <= 7 * 86400):
        return None
    return plausible(_GPS_EPOCH + timedelta(weeks=week, seconds=second) - _LEAP_SECONDS)


def kitti_fixes(folder: Location) -> list[Fix]:
    """Where the car of a drive of KITTI was; empty where the layout is not there."""
    path = folder.path.rstrip("/")
    if not _KITTI.search(path):
        return []
    oxts = f"{posixpath.dirname(posixpath.dirname(path))}/oxts"
    moments = _lines_of_times(folder, f"{oxts}/timestamps.txt")
    paths = {f"{oxts}/data/{number:010d}.txt": moment for number, moment in enumerate(moments) if moment}
    fixes: list[Fix] = []
    for path, data in _contents(folder, paths).items():
        latitude, longitude, *_ = [*data.decode("ascii", "replace").split()[:2], "", ""]
        fixes += fix_of(paths[path], latitude, longitude)
    return fixes


def _kitti(folder: Location, camera: str, names: Sequence[str]) -> Mapping[str, Told]:
    moments = _lines_of_times(folder, f"{camera}/timestamps.txt")
    numbers = {name: posixpath.splitext(name)[0] for name in names}
    return {
        name: Told(moments[int(number)])
        for name, number in numbers.items()
        if number.isascii() and number.isdecimal() and int(number) < len(moments)
    }


def _lines_of_times(beside: Location, path: str) -> list[datetime | None]:
    """One time for each line, in up to nanoseconds. None for a line without a time."""
    moments: list[datetime | None] = []
    for line in (_content(beside, path) or b"").decode("ascii", "replace").splitlines():
        try:
            moments.append(plausible(datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", line.strip()))))
        except ValueError:
            moments.append(None)
    return moments


def _bdd_images(folder: Location, root: str, part: str, names: Sequence[str]) -> Mapping[str, Told]:
    paths = {f"{root}/info/100k/{part}/{posixpath.splitext(name)[0]}.json": name for name in names}
    told: dict[str, Told] = {}
    for path, data in _contents(folder, paths).items():
        sidecar = read_sidecar(data)
        if sidecar is None or sidecar.captured is None:
            continue
        moment = sidecar.captured + _BDD_IMAGE_AT
        try:
            fixes = parse_track(path, data, sidecar.captured)
        except (ValueError, RecursionError):
            fixes = []
        position = Track(fixes).at(moment) if fixes else None
        told[paths[path]] = Told(moment, position.latitude, position.longitude) if position else Told(moment)
    return told


def _nuscenes(folder: Location, root: str, part: str, names: Sequence[str]) -> Mapping[str, Told]:
    """From the tables of the data set; file names hold the times, too."""
    if len(names) < 2:  # for the time of the first alone the tables are too large
        return {}
    for version in ("v1.0-mini", "v1.0-trainval", "v1.0-test"):
        tables = f"{root}/{version}"
        rows = {
            posixpath.basename(str(row["filename"])): row
            for row in _table(folder, f"{tables}/sample_data.json")
            if isinstance(row.get("filename"), str) and posixpath.dirname(row["filename"]) == part
        }
        if not rows.keys() & set(names):
            continue
        poses = _by_token(_table(folder, f"{tables}/ego_pose.json"))
        logs = _by_token(_table(folder, f"{tables}/log.json"))
        scenes = _by_token(_table(folder, f"{tables}/scene.json"))
        samples = _by_token(_table(folder, f"{tables}/sample.json"))
        told: dict[str, Told] = {}
        for name in names:
            row = rows.get(name, {})
            scene = scenes.get(samples.get(row.get("sample_token"), {}).get("scene_token"), {})
            origin = _MAP_ORIGINS.get(str(logs.get(scene.get("log_token"), {}).get("location")))
            timestamp = row.get("timestamp")
            moment = moment_of(timestamp) if isinstance(timestamp, int) else None
            told[name] = Told(moment, *_on_map(origin, poses.get(row.get("ego_pose_token"), {}).get("translation")))
        return told
    return {}


def _by_token(rows: Iterable[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    return {row.get("token"): row for row in rows}


def _table(beside: Location, path: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(_content(beside, path) or b"[]")
    except (ValueError, RecursionError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _on_map(origin: tuple[float, float] | None, metres: object) -> tuple[float | None, float | None]:
    """Latitude and longitude of a place that is given in metres from the origin of a map."""
    if origin is None or not isinstance(metres, list) or not all(isinstance(part, int | float) for part in metres[:2]):
        return None, None
    east, north, *_ = [*metres, math.nan, math.nan]
    fixes = list(
        fix_of(
            _GPS_EPOCH,
            origin[0] + math.degrees(north / _RADIUS),
            origin[1] + math.degrees(east / (_RADIUS * math.cos(math.radians(origin[0])))),
        )
    )
    return (fixes[0].latitude, fixes[0].longitude) if fixes else (None, None)


def _geodetic(x: float, y: float, z: float) -> tuple[float, float]:
    """Degrees of a place in metres from the centre of the earth (Bowring's formula, WGS 84)."""
    polar = _RADIUS * (1 - _FLATTENING)
    first, second = 1 - (polar / _RADIUS) ** 2, (_RADIUS / polar) ** 2 - 1
    distance = math.hypot(x, y)
    angle = math.atan2(z * _RADIUS, distance * polar)
    north = z + second * polar * math.sin(angle) ** 3
    latitude = math.atan2(north, distance - first * _RADIUS * math.cos(angle) ** 3)
    return math.degrees(latitude), math.degrees(math.atan2(y, x))


def _array(beside: Location, path: str) -> npt.NDArray[Any] | None:
    for name in (path, f"{path}.npy"):
        if (data := _content(beside, name)) is not None:
            try:
                values = np.load(io.BytesIO(data), allow_pickle=False)
                return np.asarray(values, np.float64)
            except (ValueError, EOFError, OSError, TypeError, SyntaxError):
                return None
    return None


def _at(beside: Location, path: str) -> Location:
    """The location of a path in the same storage."""
    common = posixpath.commonpath([beside.path, path])
    url = beside.url.removesuffix(beside.path.removeprefix(common).rstrip("/"))
    return Location(beside.fs, common, url.rstrip("/")).child(path.removeprefix(common).lstrip("/"))


def _content(beside: Location, path: str) -> bytes | None:
    try:
        return bytes(beside.fs.cat_file(path, start=0, end=_LARGEST_TABLE))
    except storage_errors() as error:
        if is_out_of_reach(error):
            raise
        return None


def _contents(beside: Location, paths: Iterable[str]) -> dict[str, bytes]:
    """The contents of the files that exist."""
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda path: (path, _content(beside, path)), paths)
        return {path: data for path, data in found if data is not None}
