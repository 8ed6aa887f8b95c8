"""Archives on disk and their truth."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demo_fleet import PlantedTrack, write_archive


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _write(root: Path) -> list[PlantedTrack]:
    return write_archive(root, drives=2, clips=2, seconds=3.0, fps=5, size=(180, 320), seed=3, objects=5)


def test_archive_and_truth(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    planted = _write(root)
    clips = sorted(str(path.relative_to(root)) for path in root.rglob("*.mp4"))
    assert clips == sorted(
        [
            "drive-01/20240506_093000.mp4",
            "drive-01/20240506_093103.mp4",
            "drive-02/20240507_223700.mp4",
            "drive-02/20240507_223803.mp4",
        ]
    )
    assert len(planted) == 5
    assert len({p.track_id for p in planted}) == len({p.name for p in planted}) == 5
    assert all(p.last_t - p.first_t >= 1.0 for p in planted)

    rows = pq.read_table(tmp_path / "archive.truth" / "objects.parquet").to_pylist()
    assert {(r["clip"], r["track_id"], r["name"]) for r in rows} == {(p.clip, p.track_id, p.name) for p in planted}
    for clip in clips:
        reader = cv2.VideoCapture(str(root / clip))
        assert (reader.get(cv2.CAP_PROP_FRAME_COUNT), reader.get(cv2.CAP_PROP_FPS)) == (15, 5)
        folder = tmp_path / "archive.truth" / clip.removesuffix(".mp4")
        for index in range(15):
            labels = np.asarray(Image.open(folder / f"{index:06d}_labels.png"))
            instances = np.asarray(Image.open(folder / f"{index:06d}_instances.png"))
            assert labels.dtype == np.uint8 and instances.dtype == np.uint16
            assert np.array_equal(labels == 254, instances > 0)
            here = {r["track_id"]: r["area"] for r in rows if r["clip"] == clip and r["frame_index"] == index}
            ids, counts = np.unique(instances[instances > 0], return_counts=True)
            assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == here


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    _write(tmp_path / "a")
    _write(tmp_path / "b")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert _digests(tmp_path / "a.truth") == _digests(tmp_path / "b.truth")


def test_refuses_what_makes_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_archive(tmp_path / "a", drives=0)
    with pytest.raises(ValueError, match="unicorn"):
        write_archive(tmp_path / "a", kinds=["unicorn"], objects=1)
    with pytest.raises(ValueError, match="one kind"):
        write_archive(tmp_path / "a", kinds=[])
    assert not any(tmp_path.iterdir())
