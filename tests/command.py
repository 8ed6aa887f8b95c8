"""The command as a person calls it, in this process."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def run_main(capfd: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Call the command in this process."""
    from unittest.mock import patch

    from clipomaly.cli.main import main

    capfd.readouterr()
    code = 0
    with patch("sys.argv", ["clipomaly", *map(str, arguments)]):
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
    captured = capfd.readouterr()
    return Ran(code, captured.out, captured.err)
