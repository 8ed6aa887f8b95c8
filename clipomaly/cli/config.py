"""``clipomaly config``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipomaly.cli.arguments import Json
from clipomaly.cli.rendering.console import print_rows

config = typer.Typer(
    help="Show the settings in force and where they come from.", no_args_is_help=True, rich_markup_mode="rich"
)

if TYPE_CHECKING:
    from clipomaly.cli.settings import Setting


@config.callback()
def _config() -> None:
    """Show the settings in force and where they come from."""


@config.command()
def show(
    file: Annotated[Path | None, typer.Option("--config", help="This file instead of clipomaly.toml.")] = None,
    as_json: Json = False,
) -> None:
    """Show every setting of a scan, its value and where it comes from: environment, file or default.

    Flags win over the environment (CLIPOMALY_FPS, CLIPOMALY_METHOD__SCORE), that over clipomaly.toml.

    Example: CLIPOMALY_FPS=2 clipomaly config show
    """
    from clipomaly.cli.settings import settings_in_force

    print_settings(settings_in_force(file), as_json)


def print_settings(settings: "Sequence[Setting]", as_json: bool) -> None:
    """Name, value and origin of each setting."""
    if as_json:
        print(json.dumps([asdict(setting) for setting in settings], indent=2))
        return
    rows = [(setting.name, "" if setting.value is None else str(setting.value), setting.origin) for setting in settings]
    print_rows(("setting", "value", "from"), rows)
