"""Torchcodec in place of our own decoder, here on the CPU: the device is a parameter."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import UsageError
from tasks.footage.accelerated import MOST_DIFFERENT, check_device, decoding_on
from tasks.footage.archive import list_sources
from tasks.footage.frames import Frame, read_frames
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.footage.numbered import number_of, write_numbered
from tests.tasks.footage.test_reader import MATRICES, turn
from tests.tasks.samples import BlobFinder, description
from tests.tasks.scanning.test_scan import whole

pytestmark = pytest.mark.skipif(find_spec("torchcodec") is None, reason="the extra torchcodec is not installed")


def both(path: Path, fps: float = 2.0, keyframes: bool = False) -> tuple[list[Frame], list[Frame], list[str]]:
    """The frames by our decoder and by torchcodec, and what torchcodec left to ours."""
    [source] = list_sources(str(path)).sources
    ours = list(read_frames(source, fps, keyframes))
    with decoding_on("cpu") as decoding:
        theirs = list(read_frames(source, fps, keyframes))
    assert decoding is not None
    return ours, theirs, decoding.notes


@pytest.mark.parametrize("keyframes", [False, True])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx265"), ("a.mov", "libx264")])
def test_numbers_and_times_are_those_of_the_index(tmp_path: Path, name: str, codec: str, keyframes: bool) -> None:
    varying = [round(100 * n + 30 * (n % 3)) for n in range(60)]
    write_numbered(tmp_path / name, codec, {"g": "12"}, varying)
    ours, theirs, notes = both(tmp_path / name, keyframes=keyframes)
    assert notes == [] and len(theirs) >= 5
    assert [replace(frame, image=None) for frame in theirs] == [replace(frame, image=None) for frame in ours]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.image is not None and other.image is not None
        assert number_of(other.image) == mine.index
        assert np.abs(mine.image.astype(int) - other.image).mean() <= MOST_DIFFERENT


def test_whatever_torchcodec_misses_is_decoded_by_ours(tmp_path: Path) -> None:
    """It does not give the last frames of this one."""
    write_numbered(tmp_path / "a.ts", options={"g": "12"})
    ours, theirs, _ = both(tmp_path / "a.ts")
    assert [number_of(frame.image) for frame in theirs] == [frame.index for frame in ours]


def test_what_cannot_be_addressed_by_time_is_left_to_our_decoder(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.h264")
    ours, theirs, [note] = both(tmp_path / "a.h264")
    assert "only decoding from its beginning" in note
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.image is not None and other.image is not None and np.array_equal(mine.image, other.image)


@pytest.mark.parametrize("kind", MATRICES)
def test_turned_and_mirrored_pictures_are_upright(tmp_path: Path, kind: str) -> None:
    """By torchcodec where it turns them as we do, else by our decoder."""
    turn(write_numbered(tmp_path / "a.mp4", times=range(0, 2000, 100)), kind)
    ours, theirs, _ = both(tmp_path / "a.mp4")
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.image is not None and other.image is not None and mine.image.shape == other.image.shape
        assert np.abs(mine.image.astype(int) - other.image).mean() <= MOST_DIFFERENT


def test_a_video_that_breaks_off_in_the_middle(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "a.mp4", options={"g": "10", "bf": "0"})
    data = bytearray(video.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 300] = bytes(300)
    video.write_bytes(data)
    ours, theirs, _ = both(video)
    assert [frame.index for frame in theirs] == [frame.index for frame in ours]


def test_the_decoder_belongs_to_the_scan(tmp_path: Path) -> None:
    plain, other = (make_scan_record(description(), fps=1.0, decoder=decoder) for decoder in (None, "cpu"))
    assert plain.scan_id == make_scan_record(description(), fps=1.0).scan_id != other.scan_id
    write_numbered(tmp_path / "a" / "1.mp4")
    write_numbered(tmp_path / "a" / "2.h264")
    tables = Tables.at(tmp_path / "T")
    tables.begin(other)
    scan_shard(whole(tmp_path / "a"), other, tables, BlobFinder())
    [commit] = tables.commits(other.scan_id)
    [note] = commit.notes
    assert "/2.h264: decoded on the CPU, because" in note
    assert [scan.decoder for scan in tables.scans()] == ["cpu"]


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="no such device here"):
        check_device("cuda")
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    with pytest.raises(UsageError, match=r"pip install 'clipomaly\[torchcodec\]'"):
        check_device("cuda")
