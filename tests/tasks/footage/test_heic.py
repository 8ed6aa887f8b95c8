"""Photos as HEIC, with and without the package that reads them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import read_frame, read_frames
from tasks.footage.image_files import image_suffixes
from tests.tasks.footage.heic_files import write_heic
from tests.tasks.footage.numbered import number_of
from tests.tasks.samples import write_images


def test_heic_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif")
    for number in range(2):
        write_heic(tmp_path / "photos" / f"IMG_000{number}.HEIC", 5 + number)
    # Phones send them under other names.
    (tmp_path / "photos" / "IMG_0002.jpg").write_bytes((tmp_path / "photos" / "IMG_0001.HEIC").read_bytes())
    [source] = list_sources(str(tmp_path)).sources
    assert [number_of(frame.image) for frame in read_frames(source, 1.0)] == [5, 6, 6]
    assert number_of(read_frame(source.uri, 1)) == 6


@pytest.fixture
def no_heic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without the package."""
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    image_suffixes.cache_clear()
    yield
    image_suffixes.cache_clear()


def test_without_the_package_heic_is_named(tmp_path: Path, no_heic: None) -> None:
    write_images(tmp_path / "photos", 1)
    write_heic(tmp_path / "photos" / "IMG_0001.HEIC", 1)
    listing = find_sources(str(tmp_path))
    assert len(listing.sources) == 1
    assert listing.ignored == (f"file://{tmp_path}/photos/IMG_0001.HEIC",)


def test_an_archive_of_other_files_names_them(tmp_path: Path) -> None:
    (tmp_path / "drive.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(Exception, match=r"nothing to scan\..* There are 1 files of other kinds, such as drive\.bag"):
        find_sources(str(tmp_path))
