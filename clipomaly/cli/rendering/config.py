"""What ``clipomaly config show`` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from clipomaly.cli.rendering.rows import print_rows
from clipomaly.cli.settings import Setting


def print_settings(settings: Sequence[Setting], as_json: bool) -> None:
    """Name, value and origin of each setting."""
    if as_json:
        print(json.dumps([asdict(setting) for setting in settings], indent=2))
        return
    rows = [(setting.name, "" if setting.value is None else str(setting.value), setting.origin) for setting in settings]
    print_rows(("setting", "value", "from"), rows)
