"""An archive and a scan that most tests of this room start from."""

import json
import os
from pathlib import Path

import pytest

from schemas.records import ScanRecord
from tasks.scanning.scan_record import make_scan_record
from tests.tasks.samples import description, image_bytes, write_images, write_tar, write_video


@pytest.fixture
def record() -> ScanRecord:
    return make_scan_record(description(), fps=2.0)


@pytest.fixture
def newer() -> ScanRecord:
    """A generation of another model."""
    return make_scan_record(description(model="newer"), fps=2.0)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two drives: three videos, a folder of images and a tar of images."""
    root = tmp_path / "archive"
    write_video(root / "drive-a" / "20261122_031500.mp4")
    write_video(root / "drive-a" / "20261122_031600.mp4", things=0)
    (root / "drive-a" / "20261122_031600.json").write_text(
        json.dumps({"captured": "2026-11-22T03:16:05Z", "latitude": 48.1, "longitude": 11.5})
    )
    write_video(root / "drive-b" / "20261123_080000.avi", codec="MJPG")
    for photo in write_images(root / "drive-b" / "photos").iterdir():
        os.utime(photo, (1_795_350_000, 1_795_350_000))  # 2026-11-22: the plan must not depend on today's date
    write_tar(root / "drive-b" / "2026-11-23T09-00-00.tar", {f"{n}.png": image_bytes(n, ".png") for n in range(4)})
    return root
