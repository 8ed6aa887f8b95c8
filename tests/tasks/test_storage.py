import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clipomaly_core.errors import UserError
from tasks.storage import create_file, exists, file_names, locate, read_file, replace_file


@pytest.mark.parametrize("kind", ["local", "s3", "memory"])
def test_create_and_replace(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    root = {"local": str(tmp_path), "memory": f"memory:/{tmp_path}"}.get(kind) or request.getfixturevalue("s3")
    folder = locate(root).child("deep/er")
    place = folder.child("a.json")
    assert not exists(place) and file_names(folder, ".json") == []
    assert create_file(place, b"first")
    assert not create_file(place, b"second")
    assert read_file(place) == b"first"
    replace_file(place, b"third")
    assert read_file(place) == b"third" and exists(place)
    replace_file(folder.child("b.parquet"), b"x")
    assert file_names(folder, ".json") == ["a.json"]
    with pytest.raises(UserError, match="Cannot read"):
        read_file(folder.child("nothing"))


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_one_of_many_creates(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    root = str(tmp_path) if kind == "local" else request.getfixturevalue("s3")
    place = locate(root).child("race.json")
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: create_file(place, str(n).encode()), range(8)))
    assert sum(won) == 1
    assert read_file(place) == str(won.index(True)).encode()
    assert file_names(locate(root), "") == ["race.json"]


def test_nothing_is_left_of_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"Cannot write .*: No space left on device"):
        replace_file(locate(str(tmp_path)).child("a"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path: Path, s3: str) -> None:
    (tmp_path / "file").write_text("x")
    for root in (str(tmp_path / "file"), "s3://no-such-bucket-here"):
        place = locate(root).child("deep/a")
        for write in (create_file, replace_file):
            with pytest.raises(UserError, match="Cannot write") as error:
                write(place, b"x")
            assert "\n" not in str(error.value)
    import fsspec

    # Writing must not have made the bucket.
    assert not fsspec.filesystem("s3").exists("no-such-bucket-here")
