"""What CONTRIBUTING says is one function or one file: each added as it says, and used."""

import csv
from collections.abc import Iterable, Iterator
from datetime import timedelta
from zipfile import ZipFile

import numpy as np
import pytest

from clipomaly_core import Clipomaly, Options
from clipomaly_core.towers.attention import ATTENTIONS
from schemas.dataset_format import DatasetFormat
from tasks.datasets.build import DatasetOptions, build_dataset
from tasks.datasets.format import Classes, Format, OutputFile, annotated
from tasks.datasets.formats import FORMATS
from tasks.datasets.image_store import Content
from tasks.errors import UsageError, UserError
from tasks.footage.archive import Sources, find_sources
from tasks.footage.frames import KINDS, read_frame
from tasks.footage.image_files import is_image
from tasks.footage.images import BadImage, decode_image
from tasks.footage.source_kind import Fix, Frame, Inside, SourceKind, open_header
from tasks.scanning.plan import expected_frames, with_footage
from tasks.tables import Tables, open_table
from tests.tasks.dataset_samples import judged_fleet, scan_fleet, write_fleet
from tests.tasks.samples import image_bytes


@pytest.mark.whole
def test_a_way_of_attention_is_one_function(monkeypatch):
    with pytest.raises(UsageError, match="Unknown attention 'mean'"):
        Options(attention="mean")
    monkeypatch.setitem(ATTENTIONS, "mean", lambda q, k, v, grid: v.mean(2, keepdim=True).expand_as(v))
    frame = np.random.default_rng(1).integers(0, 256, (180, 320, 3), np.uint8)
    [look] = Clipomaly.load("nano", options=Options(attention="mean", edges="bilinear", short_side=176)).look([frame])
    # Every patch is given the mean of all: nothing stands out.
    assert np.ptp(look.logits) < 1e-2
    [look] = Clipomaly.load("nano", options=Options(attention="naclip", short_side=176)).look([frame])
    assert np.ptp(look.logits) > 1


def boxes(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    """A part of a format that keeps boxes alone."""
    lines = []
    for content in contents:
        if content.picture is None:
            continue
        path = f"{content.frame.frame_id}{content.picture.suffix}"
        yield OutputFile(path, content.picture.data, ((content.frame.frame_id, content.picture),))
        lines += [f"{path},{label.name},{label.box.x},{label.box.y}" for label in annotated(content.frame.labels)]
    yield OutputFile(f"{name}.csv", "\n".join(lines).encode())


def test_an_export_format_is_one_record_of_functions(monkeypatch, tmp_path):
    archive = write_fleet(tmp_path / "archive", drives=2)
    fleet = judged_fleet(archive, scan_fleet(archive, tmp_path / "tables"))
    # In the place of another, since the names of the formats cannot grow while they are in use.
    monkeypatch.setitem(FORMATS, "parquet", Format(boxes, lambda kept, classes: iter(()), (), "csv"))
    built = build_dataset(fleet.walk, str(tmp_path / "out"), DatasetOptions(fleet.tables, DatasetFormat.PARQUET))
    rows = [row for path in (tmp_path / "out").glob("*-*.csv") for row in csv.reader(path.open())]
    assert len(rows) == sum(split.instances for split in built.manifest.counts.splits) > 0
    assert all((tmp_path / "out" / row[0]).is_file() for row in rows)


RATE = 10  # images a second


def names_in(packed):
    return sorted(filter(is_image, packed.namelist()))


def look_inside(place, source):
    with open_header(place, source) as (file, now), ZipFile(file) as packed:
        return Inside(now.modified, len(names_in(packed)) / RATE)


def frames(place, source, fps, keyframes):
    with place.fs.open(place.path) as file, ZipFile(file) as packed:
        names = names_in(packed)
        for index in range(0, len(names), round(RATE / fps)):
            moment = source.captured + timedelta(seconds=index / RATE)
            yield Frame(index, moment, source.captured_from, decode_image(packed.read(names[index])))


def pictures(place, indices):
    with place.fs.open(place.path) as file, ZipFile(file) as packed:
        names = names_in(packed)
        for index in indices:
            yield packed.read(names[index]) if index < len(names) else BadImage(f"no image {index} in the ZIP")


def fixes(place, source):
    with place.fs.open(place.path) as file, ZipFile(file) as packed:
        for index, line in enumerate(packed.read("positions.txt").decode().splitlines()):
            yield Fix(source.captured + timedelta(seconds=index / RATE), *map(float, line.split()))


def test_a_kind_of_archive_is_one_record_of_functions(monkeypatch, tmp_path):
    """ZIPs of images at a fixed rate, beside which lies where each was taken."""
    archive, images = tmp_path / "archive", [image_bytes(number) for number in range(20)]
    for drive in ("car1", "car2"):
        (archive / drive).mkdir(parents=True)
        with ZipFile(archive / drive / "20261122_031500.ZIP", "w") as packed:
            for number, image in enumerate(images):
                packed.writestr(f"{number:03d}.jpg", image)
            packed.writestr("positions.txt", "".join(f"48.{number:03d} 11.5\n" for number in range(20)))
    with pytest.raises(UserError, match=r"holds nothing to scan.*, tar, "):
        find_sources(str(archive))

    monkeypatch.setitem(KINDS, ".zip", SourceKind(look_inside, frames, pictures, fixes=fixes, sampled=True))
    nothing_done = Tables.at(tmp_path / "tables").done("none")
    listed = with_footage(Sources.of(find_sources(str(archive)).sources), nothing_done)
    assert [source.footage_seconds for source in listed] == [2.0, 2.0]
    assert expected_frames(listed, fps=5.0) == 20

    tables = scan_fleet(archive, tmp_path / "tables")  # at 5 frames a second
    rows = open_table(tables, "instances").to_table().to_pandas()
    assert set(rows["frame_index"]) == set(range(0, 20, 2)) and set(rows["drive"]) == {"car1", "car2"}
    for row in rows.itertuples():
        assert np.array_equal(read_frame(row.source_uri, row.frame_index), decode_image(images[row.frame_index]))
        assert row.latitude == pytest.approx(48 + row.frame_index / 1000)
    with pytest.raises(UserError, match="no image 20 in the ZIP"):
        read_frame(rows["source_uri"][0], 20)

    fleet = judged_fleet(archive, tables)
    built = build_dataset(fleet.walk, str(tmp_path / "out"), DatasetOptions(tables, DatasetFormat.COCO))
    copied = [path.read_bytes() for path in (tmp_path / "out" / "images").rglob("*.jpg")]
    assert len(copied) == sum(split.frames for split in built.manifest.counts.splits) == 20
    assert set(copied) == set(images[::2])
