"""Files and names that were made to do harm, or are merely broken: one line, and nothing is run."""

import csv
import io
import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

DEEP = 20_000
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(RAN) print showpage\n"


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def one_line(ran, code: int, *told: str) -> None:
    assert ran.code == code, ran.out + ran.err
    message = ran.err[ran.err.index("error:") :]
    assert "not expected" not in message and "Traceback" not in ran.err, ran.err
    assert all(part in " ".join(message.split()) for part in told), message


@pytest.mark.parametrize("sql", ["", "  ", ";", "\x00", "-", "SELECT", "(" * 5000])
def test_sql_that_is_none(clipomaly, scanned, sql):
    one_line(clipomaly("query", scanned, "--", sql) if sql == "-" else clipomaly("query", scanned, sql), 2, "SQL")


@pytest.mark.parametrize(
    "text",
    ["known: " + "[" * DEEP, "known: " + "[" * 3000 + "]" * 3000, "\n".join(" " * n + "a:" for n in range(3000))],
    ids=["open", "closed", "mappings"],
)
def test_a_vocabulary_without_end(clipomaly, drawn_archive, tmp_path, text):
    (tmp_path / "deep.yaml").write_text(text)
    ran = clipomaly("scan", drawn_archive, "--out", tmp_path / "T", "--vocabulary", tmp_path / "deep.yaml")
    one_line(ran, 2, "deep.yaml")
    ran = clipomaly("vocabulary", "extend", "--vocabulary", tmp_path / "deep.yaml", "zebra")
    one_line(ran, 2, "deep.yaml")


@pytest.mark.parametrize("text", ["fps = " + "[" * DEEP, "fps = " + "[" * DEEP + "]" * DEEP], ids=["open", "closed"])
def test_settings_without_end(clipomaly, drawn_archive, tmp_path, text):
    (tmp_path / "deep.toml").write_text(text)
    command = ("scan", drawn_archive, "--out", tmp_path / "T")
    one_line(clipomaly(*command, "--config", tmp_path / "deep.toml"), 2, "deep.toml")
    one_line(clipomaly(*command, "--set", f"short_side={'[' * DEEP}"), 2, "short_side")


def damaged_weights(folder: Path) -> list[Path]:
    whole = folder / "whole.pt"
    torch.save({"x": torch.zeros(1000)}, whole)
    files = {
        "empty.pt": b"",
        "noise.pt": b"\x93" * 5000,
        "cut.pt": whole.read_bytes()[:2000],
        "pickle.pt": pickle.dumps(Touch(folder / "ran")),
        "empty.safetensors": b"",
        "huge.safetensors": (2**62).to_bytes(8, "little") + b"{}",
        "deep.safetensors": DEEP.to_bytes(8, "little") + b"[" * DEEP,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    torch.save({"x": Touch(folder / "ran")}, folder / "runs.pt")
    return [folder / name for name in (*files, "runs.pt")]


def test_damaged_and_hostile_weights(clipomaly, drawn_archive, tmp_path):
    for path in damaged_weights(tmp_path):
        ran = clipomaly("scan", drawn_archive, "--out", tmp_path / "T", "--weights", path)
        one_line(ran, 2, f"{path.name} does not hold weights")
        assert "PyTorch 2.6" not in ran.err
    assert not (tmp_path / "ran").exists() and not (tmp_path / "T").exists()


def test_a_folder_without_pictures_is_said(clipomaly, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    for name in ("empty", "texts"):
        ran = clipomaly("segment", tmp_path / name, "--out", tmp_path / "out")
        assert ran.code == 1 and f"{name}: No pictures" in ran.err


@pytest.mark.parametrize("name", ["shot.jpg", "shot.png", "shot.tif"])
def test_postscript_never_reaches_ghostscript(clipomaly, tmp_path, monkeypatch, name):
    """Pillow would start ``gs`` for it, which here leaves a file."""
    ghostscript = tmp_path / "bin" / "gs"
    ghostscript.parent.mkdir()
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(ghostscript.parent), prepend=":")
    archive = tmp_path / "archive" / "drive"
    archive.mkdir(parents=True)
    (archive / name).write_bytes(POSTSCRIPT)
    Image.new("RGB", (64, 48)).save(archive / "20261122_031500.jpg")
    assert "no whole image" in clipomaly("segment", archive / name, "--out", tmp_path / "out").err
    clipomaly("scan", tmp_path / "archive", "--out", tmp_path / "T", "--no-reference")
    images, labels = tmp_path / "set" / "images", tmp_path / "set" / "labels_masks"
    for folder in (images, labels):
        folder.mkdir(parents=True)
        (folder / name).write_bytes(POSTSCRIPT)
    clipomaly("evaluate", tmp_path / "set", "--out", tmp_path / "evaluated")
    assert not (tmp_path / "ran").exists()


FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", " =1", "\r=1", "=cmd|' /C calc'!A0"]
HARMLESS = ["a=1", "mattress", "'quoted", "file:///a.mp4", ""]


def test_csv_holds_no_formulas(clipomaly, scanned):
    def rows(*options):
        values = ", ".join("('{}')".format(text.replace("'", "''")) for text in [*FORMULAS, *HARMLESS])
        sql = f'SELECT t AS "=name", -1 AS n, [t] AS list FROM (VALUES {values}) v(t)'
        return list(csv.reader(io.StringIO(clipomaly("query", scanned, sql, "--format", "csv", *options).out)))

    header, *safe = rows()
    assert header == ["'=name", "n", "list"]
    # A column of another type is a number still, and text that is no formula is as it was.
    assert [row[0] for row in safe] == [f"'{text}" for text in FORMULAS] + HARMLESS
    assert {row[1] for row in safe} == {"-1"}
    header, *raw = rows("--raw")
    assert header[0] == "=name" and [row[0] for row in raw] == FORMULAS + HARMLESS
