"""``clipomaly vocabulary`` as a person calls it."""

import json

import pytest


@pytest.mark.parametrize("command", ["show", "extend"])
def test_help(clipomaly, command):
    assert clipomaly("vocabulary", command, "--help").code == 0


def test_extend_then_show(clipomaly, tmp_path):
    words = tmp_path / "words.yaml"
    ran = clipomaly("vocabulary", "extend", "parade dragon", "road", "--vocabulary", words)
    assert ran.code == 0
    assert "parade dragon" in ran.out and "road: is the known class 'road'" in ran.out
    shown = clipomaly("vocabulary", "show", "--vocabulary", words).out.splitlines()
    assert any(line.split()[:3] == ["parade", "dragon", "user"] for line in shown)
    [line] = clipomaly("vocabulary", "show", "tyre", "--vocabulary", words, "--json").out.splitlines()
    assert json.loads(line) == {
        "name": "tire", "source": "dictionary", "category": "cargo-and-debris", "other_words": ["tyre"], "left_out": "",
    }  # fmt: skip


def test_bad_input_is_one_line_and_writes_nothing(clipomaly, tmp_path):
    words = tmp_path / "words.yaml"
    ran = clipomaly("vocabulary", "extend", "", "--vocabulary", words)
    assert ran.code == 2 and ran.err.count("\n") == 1 and "empty" in ran.err
    assert not words.exists()
    assert clipomaly("vocabulary", "show", "--vocabulary", tmp_path / "none.yaml").code == 2
