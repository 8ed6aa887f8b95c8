"""``clipomaly config``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import Json

config = typer.Typer(
    help="Show the settings in force and where they come from.", no_args_is_help=True, rich_markup_mode="rich"
)


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
    from clipomaly.cli.rendering.config import print_settings
    from clipomaly.cli.settings import settings_in_force

    print_settings(settings_in_force(file), as_json)
