"""From flags and a TOML file to the parameters of a scan."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from flows.parameters import ScanParameters
from tasks.errors import UsageError

Value = str | float | int | bool | None


def scan_parameters(
    archive: str, tables: str, flags: Mapping[str, object], method: Sequence[str], config: Path | None
) -> ScanParameters:
    """Put the parameters together: flags win over the file, the file over the defaults.

    Args:
        archive: where the footage is.
        tables: where the tables go.
        flags: values by parameter name; ``None`` where the flag was not given.
        method: ``NAME=VALUE`` options of the method.
        config: TOML file with parameters by name and a table ``[method]``.

    Raises:
        UsageError: a file that cannot be read, an unknown name or a value out of range.
    """
    values: dict[str, object] = _read(config) if config else {}
    given = {name: value for name, value in flags.items() if value is not None}
    own = values.get("method", {})
    merged = {**(own if isinstance(own, dict) else {"method": own}), **method_values(method)}
    try:
        return ScanParameters.model_validate(
            {**values, **given, "archive": archive, "tables": tables, "method": merged}
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{config or 'options'}: {name}: {first['msg']}.") from error


def method_values(settings: Sequence[str]) -> dict[str, Value]:
    """Read ``NAME=VALUE`` options; the value is read as TOML, or else as text.

    Raises:
        UsageError: no ``=``.
    """
    values: dict[str, Value] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {setting}: give NAME=VALUE, such as score=entropy.")
        values[name.strip().replace("-", "_")] = _value(text.strip())
    return values


def _value(text: str) -> Value:
    if text.lower() == "none":
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | int | float | str) else text


def _read(config: Path) -> dict[str, object]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {config} cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {config} is not valid TOML ({error}).") from error
