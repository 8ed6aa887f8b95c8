"""Tars as tar programs write them: links, several in one file, packed."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import zstandard

from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, read_frame, read_frames
from tests.tasks.samples import draw, image_bytes, write_tar


def read(path: Path) -> list[Frame]:
    """The images of a tar, each of which leads back to the same pixels."""
    [source] = list_sources(str(path)).sources
    frames = list(read_frames(source, 1.0))
    for frame in frames:
        if frame.image is not None:
            assert np.array_equal(frame.image, read_frame(source.uri, frame.index))
    return frames


def numbers(frames: list[Frame]) -> list[int | None]:
    pictures = {draw(number, (96, 64)).tobytes(): number for number in range(10)}
    return [None if frame.image is None else pictures[frame.image.tobytes()] for frame in frames]


def link(tar: tarfile.TarFile, name: str, target: str, kind: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    tar.addfile(member)


def test_links_are_images_of_their_own(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"d/0.png": image_bytes(3, ".png")})
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        link(tar, "d/1.png", "d/0.png", tarfile.LNKTYPE)
        link(tar, "d/2.png", "0.png", tarfile.SYMTYPE)
        link(tar, "d/3.png", "gone.png", tarfile.SYMTYPE)
        link(tar, "d/4.png", "4.png", tarfile.SYMTYPE)
    frames = read(tmp_path / "a.tar")
    assert numbers(frames) == [3, 3, 3, None, None]
    assert "not in the tar" in str(frames[3].error) and frames[4].error


def test_videos_in_a_tar_are_told(tmp_path: Path) -> None:
    write_tar(tmp_path / "in" / "a.tar", {"0.png": image_bytes(0, ".png"), "car/1.mp4": b"x"})
    write_tar(tmp_path / "in" / "b.tar", {"car/1.mp4": b"x", "car/2.MP4": b"x"})
    both, videos = list_sources(str(tmp_path / "in")).sources
    assert both.note == f"not read: 1 videos in the tar, which are scanned as tar://::file://{tmp_path}/in/a.tar"
    assert videos.error is not None and videos.error.startswith("no images in the tar, but 2 videos in the tar")


def test_what_systems_leave_in_tars(tmp_path: Path) -> None:
    names = ("0.png", "@eaDir/0.png", "__MACOSX/._0.png", ".Trash-1000/1.png", "d/thumb.png", "1.png")
    write_tar(tmp_path / "a.tar", {name: image_bytes(number, ".png") for number, name in enumerate(names)})
    assert numbers(read(tmp_path / "a.tar")) == [0, 5]


@pytest.mark.parametrize("zeros", [0, 512, 10240, 3_000_000 // 512 * 512])
def test_several_tars_in_one_file(tmp_path: Path, zeros: int) -> None:
    first = write_tar(tmp_path / "1.tar", {"0.png": image_bytes(0, ".png"), "1.png": image_bytes(1, ".png")})
    second = write_tar(tmp_path / "2.tar", {"0.png": image_bytes(2, ".png")})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(first.read_bytes() + bytes(zeros) + second.read_bytes())
    assert numbers(read(tmp_path / "in" / "a.tar")) == [0, 1, 2]
    (tmp_path / "in" / "a.tar").write_bytes(first.read_bytes() + b"what a tar program passes over" * 100)
    assert numbers(read(tmp_path / "in" / "a.tar")) == [0, 1]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar.gz": gzip.compress,
    "TGZ": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": zstandard.ZstdCompressor().compress,
    "tar.lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("suffix", PACKED)
def test_packed_tars(tmp_path: Path, suffix: str) -> None:
    tar = write_tar(tmp_path / "a.tar", {f"{n}.png": image_bytes(n, ".png") for n in range(4)})
    (tmp_path / "in").mkdir()
    packed = tmp_path / "in" / f"20261122_031500.{suffix}"
    packed.write_bytes(PACKED[suffix](tar.read_bytes()))
    assert numbers(read(packed)) == [0, 1, 2, 3]
    packed.write_bytes(packed.read_bytes()[:-60])
    [source] = list_sources(str(packed)).sources
    assert source.error or list_sources(str(packed)).sources


@pytest.mark.parametrize("suffix", PACKED)
def test_what_lies_behind_a_packed_tar_is_told_and_costs_nothing(tmp_path: Path, suffix: str) -> None:
    tar = write_tar(tmp_path / "a.tar", {f"{n}.png": image_bytes(n, ".png") for n in range(4)})
    (tmp_path / "in").mkdir()
    packed = tmp_path / "in" / f"20261122_031500.{suffix}"
    whole = PACKED[suffix](tar.read_bytes())
    for behind, told in ((b"", False), (bytes(5000), None), (b"an upload that went on" * 9000, True), (b"x", True)):
        packed.write_bytes(whole + behind)
        [source] = list_sources(str(packed)).sources
        assert source.error is None and numbers(read(packed)) == [0, 1, 2, 3]
        if told is not None:
            assert bool(source.note and "behind the packed tar" in source.note) is told


@pytest.mark.parametrize("suffix", PACKED)
def test_a_tar_that_was_packed_in_parts(tmp_path: Path, suffix: str) -> None:
    data = write_tar(tmp_path / "a.tar", {f"{n}.png": image_bytes(n, ".png") for n in range(4)}).read_bytes()
    (tmp_path / "in").mkdir()
    packed = tmp_path / "in" / f"20261122_031500.{suffix}"
    packed.write_bytes(PACKED[suffix](data[:3000]) + PACKED[suffix](data[3000:]))
    assert numbers(read(packed)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("suffix", "pack"), [("tar", gzip.compress), ("tar.gz", bytes), ("tgz", lzma.compress)])
def test_tars_whose_name_does_not_tell_how_they_are_packed(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """As web servers and downloads leave them, which pack and unpack on their own."""
    tar = write_tar(tmp_path / "a.tar", {f"{n}.png": image_bytes(n, ".png") for n in range(2)})
    (tmp_path / "in").mkdir()
    named = tmp_path / "in" / f"20261122_031500.{suffix}"
    named.write_bytes(pack(tar.read_bytes()))
    assert numbers(read(named)) == [0, 1]


def test_long_names_and_sparse_members(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("d/" * 90 + "x.png")
        member.size = len(image_bytes(5, ".png"))
        tar.addfile(member, io.BytesIO(image_bytes(5, ".png")))
    (tmp_path / "a.tar").write_bytes(data.getvalue())
    assert numbers(read(tmp_path / "a.tar")) == [5]
