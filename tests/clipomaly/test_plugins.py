"""Packages of other people add kinds of source and formats of datasets, in every process that works."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from demo_fleet import write_archive

pytestmark = pytest.mark.whole

_PLUGIN = """
import torch

from clipomaly_core.towers.families import ImageTowerFamily
from tasks.datasets.format import Format, OutputFile
from tasks.footage.images import decode_image
from tasks.footage.source_kind import Frame, Inside, SourceKind, open_header


def look_inside(place, source):
    with open_header(place, source) as (file, now):
        return Inside(now.modified, 1.0)


def frames(place, source, fps, keyframes):
    yield Frame(0, source.captured, source.captured_from, decode_image(place.fs.cat_file(place.path)))


def pictures(place, indices):
    for _ in indices:
        yield place.fs.cat_file(place.path)


SNAPSHOT = SourceKind(look_inside, frames, pictures)


def part(name, contents, classes):
    for content in contents:
        path = f"{content.frame.frame_id}{content.picture.suffix}"
        yield OutputFile(path, content.picture.data, ((content.frame.frame_id, content.picture),))


class Grey:
    # Every place looks the same.
    patch, embedding_dimension, attentions = 16, 128, ()

    def dense(self, images, attention):
        batch, _, height, width = images.shape
        return torch.full((batch, height // 16, width // 16, 128), 128**-0.5)

    def embed(self, images):
        return torch.full((len(images), 128), 128**-0.5)


GREY = ImageTowerFamily(lambda visual: Grey())
PICTURES = Format(part, lambda kept, classes: iter(()), (), "open the pictures")
NOTHING = "no record of functions"
"""
_ENTRY_POINTS = """
[clipomaly.sources]
snapshot = somebodys_formats:SNAPSHOT
broken = somebodys_formats:NO_SUCH_NAME
wrong = somebodys_formats:NOTHING
[clipomaly.dataset_formats]
pictures = somebodys_formats:PICTURES
gone = no_such_module:FORMAT
"""
_TOWERS = """
[clipomaly.sources]
snapshot = somebodys_formats:SNAPSHOT
[clipomaly.image_towers]
grey = somebodys_formats:GREY
nothing = somebodys_formats:NOTHING
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which a third package is installed."""
    return installed(tmp_path_factory.mktemp("site"), _ENTRY_POINTS)


@pytest.fixture(scope="module")
def environment_with_towers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One in which the package adds image towers, which change every model."""
    return installed(tmp_path_factory.mktemp("site"), _TOWERS)


def installed(site: Path, entry_points: str) -> dict[str, str]:
    """The variables of an environment with the package and these entry points."""
    (site / "somebodys_formats.py").write_text(_PLUGIN)
    metadata = site / "somebodys_formats-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-formats\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    return os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots of a drawn clip, of a kind that only the plugin reads."""
    root = tmp_path_factory.mktemp("drawn")
    write_archive(root / "clips", drives=1, clips=1, seconds=3.0, fps=4, objects=4, nights=0)
    folder = root / "archive" / "drive-01"
    folder.mkdir(parents=True)
    video = cv2.VideoCapture(str(next((root / "clips").rglob("*.mp4"))))
    for number in range(3):
        for _ in range(3):
            read, image = video.read()
        assert read
        (folder / f"{number}.snapshot").write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
    return root / "archive"


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


Night = tuple[subprocess.CompletedProcess[str], Path]

_NIGHT = """
import sys

import clipomaly
from flows.mine import run_mine
from schemas.review import Verdict
from tasks.mining.mine import MiningOptions

archive, folder = sys.argv[1:]
tables, queue = f"{folder}/tables", f"{folder}/queue.db"
summary = clipomaly.scan(archive, tables, model="nano", method={"short_side": 192})
print("scanned", summary.frames, "of", summary.sources)
run_mine(tables, queue, MiningOptions(count=2))
with clipomaly.Queue.open(queue) as opened:
    items = [leased.item.item_id for leased in opened.lease("ann", count=2)]
    opened.decide("ann", items, Verdict.RELABEL, "road junk")
built = clipomaly.build_dataset(queue, tables, f"{folder}/dataset", "pictures", split="1/0/0")
print("written as", built.manifest.format)
try:
    clipomaly.build_dataset(queue, tables, f"{folder}/other", "voc")
except clipomaly.UserError as error:
    print("refused:", error)
"""


@pytest.fixture(scope="module")
def night(environment: dict[str, str], archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """A scan and a dataset in a process that has the plugins, and the folder of what it wrote."""
    folder = tmp_path_factory.mktemp("night")
    (folder / "night.py").write_text(_NIGHT)
    return run(environment, folder / "night.py", archive, folder), folder


def test_a_source_of_a_plugin_is_scanned(night: Night) -> None:
    ran, _ = night
    assert ran.returncode == 0, ran.stderr
    assert "scanned 3 of 3" in ran.stdout


@pytest.mark.parametrize(
    "line",
    [
        "plugin broken of clipomaly.sources is left out: AttributeError: module",
        "plugin wrong of clipomaly.sources is left out: somebodys_formats:NOTHING is no SourceKind",
        "plugin gone of clipomaly.dataset_formats is left out: ModuleNotFoundError: No module named",
    ],
)
def test_a_broken_plugin_costs_one_line(night: Night, line: str) -> None:
    ran, _ = night
    assert ran.stderr.count(line) == 1 and "Traceback" not in ran.stderr


def test_a_dataset_is_written_in_the_format_of_a_plugin(night: Night) -> None:
    ran, folder = night
    assert "written as pictures" in ran.stdout
    assert list((folder / "dataset").glob("*.jpg"))


def test_an_unknown_format_names_those_of_plugins_too(night: Night) -> None:
    ran, _ = night
    assert "refused: Unknown format 'voc' of a dataset: there are coco," in ran.stdout
    assert "parquet, pictures." in ran.stdout


_IN_WORKERS = """
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor


def shape(uri):
    from tasks.footage.frames import read_frame

    return read_frame(uri, 0).shape


def tower(model):
    import torch
    from clipomaly_core.towers.load import load_tower
    from clipomaly_core.weights import find_checkpoint

    return type(load_tower(find_checkpoint(model), torch.device("cpu")).image).__name__


if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        print(*pool.map(shape, sys.argv[1:]), sep="\\n")
        print(*pool.map(tower, ["nano"]))
"""


@pytest.fixture(scope="module")
def in_workers(
    environment_with_towers: dict[str, str], archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> subprocess.CompletedProcess[str]:
    """A process whose worker reads the snapshots and loads a tower."""
    script = tmp_path_factory.mktemp("workers") / "workers.py"
    script.write_text(_IN_WORKERS)
    return run(environment_with_towers, script, *sorted(archive.rglob("*.snapshot")))


def test_a_source_of_a_plugin_is_read_in_worker_processes(in_workers: subprocess.CompletedProcess[str]) -> None:
    assert in_workers.returncode == 0, in_workers.stderr
    assert in_workers.stdout.splitlines()[:3] == ["(360, 640, 3)"] * 3


@pytest.mark.slow
def test_a_source_of_a_plugin_is_scanned_by_processes(
    environment: dict[str, str], archive: Path, tmp_path: Path
) -> None:
    command = ("-m", "clipomaly", "scan", archive, "--out", tmp_path / "tables", "--runner", "processes")
    ran = run(environment | {"PREFECT_HOME": str(tmp_path / "prefect")}, *command)
    assert ran.returncode == 0, ran.stderr
    assert "3 frames of 3 sources" in ran.stdout


def test_an_image_tower_of_a_plugin_in_worker_processes(in_workers: subprocess.CompletedProcess[str]) -> None:
    assert in_workers.stdout.splitlines()[3:] == ["Grey"]
    line = "plugin nothing of clipomaly.image_towers is left out: somebodys_formats:NOTHING is no ImageTowerFamily"
    assert in_workers.stderr.count(line) == 1
