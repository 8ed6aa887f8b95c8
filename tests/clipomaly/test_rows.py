"""Tables on terminals of any width."""

from typing import Any

import pytest
from rich.console import Console

from clipomaly.cli.rendering import console
from clipomaly.cli.rendering.console import print_rows

COLUMNS = ("score", "name", "source")
ROWS = [("0.9", "deer", "s3://fleet/drive-01/a.mp4"), ("10.25", "bo\x1b[31mar\n", "s3://fleet/drive-01/b.mp4")]


@pytest.fixture
def terminal(monkeypatch):
    """Makes the terminal so many columns wide."""

    def of(width: int) -> None:
        shown: dict[str, Any] = {"soft_wrap": True, "highlight": False, "force_terminal": True, "color_system": None}
        monkeypatch.setattr(console, "stdout", lambda **options: Console(width=width, **options, **shown))

    return of


def printed(capsys) -> list[str]:
    print_rows(COLUMNS, ROWS, right=("score",))
    return capsys.readouterr().out.splitlines()


def test_a_wide_terminal_gets_a_line_a_row(terminal, capsys):
    terminal(60)
    assert printed(capsys) == [
        "score  name            source",
        "  0.9  deer            s3://fleet/drive-01/a.mp4",
        r"10.25  bo\x1b[31mar\n  s3://fleet/drive-01/b.mp4",
    ]


def test_a_narrow_one_gets_the_last_column_below(terminal, capsys):
    terminal(30)
    lines = printed(capsys)
    assert lines[:3] == ["score  name", "  0.9  deer", "    s3://fleet/drive-01/a.mp4"]


def test_a_very_narrow_one_gets_a_line_a_value(terminal, capsys):
    terminal(12)
    assert printed(capsys)[:5] == ["score   0.9", "name    deer", f"source  {ROWS[0][2]}", "", "score   10.25"]


def test_what_is_piped_is_a_line_a_row_and_whole(capsys):
    print_rows(("name", "value"), [("deer", "x" * 5000), ("boar", "")])
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) for line in lines] == [11, 5006, 4]
