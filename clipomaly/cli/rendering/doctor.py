"""What ``clipomaly doctor`` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from clipomaly.cli.check import Check
from clipomaly.cli.rendering.console import from_outside, stdout

_MARKS = {True: "[green]ok  [/]", False: "[bold red]BAD [/]", None: "[dim]-   [/]"}


def print_checks(checks: Sequence[Check], as_json: bool) -> None:
    """What each check found, and how to mend what is wrong."""
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
        return
    console = stdout()
    for check in checks:
        console.print(f"{_MARKS[check.good]} [bold]{check.what}[/]: {from_outside(check.found)}")
        if check.mend:
            console.print(f"     {'to solve it' if check.good is False else 'to use it'}: {from_outside(check.mend)}")
