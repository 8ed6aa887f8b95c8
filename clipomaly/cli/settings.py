"""What is in force: flags over the environment over ``clipomaly.toml`` over the defaults."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from flows.parameters import ScanParameters
from tasks.errors import UsageError
from tasks.model_settings import Value, is_earlier_name, plain_value, present_options

FILE = "clipomaly.toml"
PREFIX = "CLIPOMALY_"


class _Settings(ScanParameters, BaseSettings):
    """The parameters of a scan, from every place they may come from."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags first, then the environment, then the file, which comes with the flags."""
        assert isinstance(init_settings, InitSettingsSource)
        file = init_settings.init_kwargs.pop("file", None)
        return (init_settings, env_settings, *([TomlConfigSettingsSource(settings_cls, file)] if file else []))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting that is in force; ``origin`` is an environment variable, a file or ``default``."""

    name: str
    value: Value
    origin: str


def scan_parameters(
    archive: str, tables: str, flags: Mapping[str, object], method: Sequence[str], config: Path | None
) -> ScanParameters:
    """Put the parameters together: flags win over the environment, that over the file, the file over the defaults.

    Args:
        archive: where the footage is.
        tables: where the tables go.
        flags: values by parameter name; ``None`` where the flag was not given.
        method: ``NAME=VALUE`` options of the method.
        config: TOML file with parameters by name and a table ``[method]``; see ``config_file``.

    Raises:
        UsageError: a file that cannot be read, an unknown name or a value out of range.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    options = method_values(method)
    return _load(
        config_file(config), archive=archive, tables=tables, **given, **({"method": options} if options else {})
    )


def config_file(config: Path | None) -> Path | None:
    """The file in force: the given one, else ``CLIPOMALY_CONFIG``, else ``clipomaly.toml`` here, else none."""
    if config is not None:
        return config
    if named := os.environ.get(f"{PREFIX}CONFIG"):
        return Path(named)
    here = Path(FILE)
    return here if here.is_file() else None


def settings_in_force(config: Path | None) -> list[Setting]:
    """Every setting that a scan started here would use, and where it comes from.

    Raises:
        UsageError: as ``scan_parameters``.
    """
    from tasks.model import method_options

    file = config_file(config)
    parameters = _load(file, archive="", tables="")
    environment = _with_present_options(EnvSettingsSource(_Settings)())
    written = _with_present_options(_read(file)) if file else {}
    settings = parameters.model_settings()
    options = {f"method.{name}": plain_value(getattr(method_options(settings), name)) for name in _method_names()}
    values = parameters.model_dump(mode="json", exclude={"archive", "tables", "method"}) | options
    return [
        Setting(name, _without_password(value), _origin(name, environment, written, file))
        for name, value in values.items()
    ]


def _with_present_options(values: dict[str, Any]) -> dict[str, Any]:
    method = values.get("method")
    return values | {"method": present_options(method)} if isinstance(method, dict) else values


def _without_password(value: Value) -> Value:
    return re.sub(r"(://[^:/@\s]*):[^@/\s]*@", r"\1:***@", value) if isinstance(value, str) else value


def _origin(name: str, environment: dict[str, Any], written: dict[str, Any], file: Path | None) -> str:
    table, _, option = name.rpartition(".")
    if option in (environment.get(table, {}) if table else environment):
        return PREFIX + name.upper().replace(".", "__")
    if option in (written.get(table, {}) if table else written):
        return str(file)
    return "default"


def _load(file: Path | None, **values: Any) -> ScanParameters:
    if file:
        _check_names(file, _read(file))
        values["file"] = file
    try:
        settings = _Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{_blamed(name, file)}: {name}: {first['msg']}.") from error
    except SettingsError as error:
        raise UsageError(f"The environment cannot be read: {error}.") from error
    # Plain parameters: what goes to other machines must not look at their environment.
    return ScanParameters.model_validate(settings.model_dump(exclude_unset=True))


def _blamed(name: str, file: Path | None) -> str:
    variable = PREFIX + name.upper().replace(".", "__")
    if variable in os.environ:
        return variable
    return f"options or {file}" if file else "options"


def _check_names(file: Path, written: dict[str, Any]) -> None:
    """Raises UsageError for a name that means nothing, with the nearest that does."""
    method_names = _method_names()
    unknown = [(name, name, list(ScanParameters.model_fields)) for name in written]
    method = written.get("method")
    if isinstance(method, dict):
        unknown += [(f"method.{name}", name, method_names) for name in method]
    for shown, name, known in unknown:
        if name not in known and not (known is method_names and is_earlier_name(name)):
            near = difflib.get_close_matches(name, known, 1) or difflib.get_close_matches(name, method_names, 1)
            place = "[method] " if near and near[0] not in known else ""
            hint = f"did you mean {place}{near[0]}?" if near else f"there are {', '.join(known)}."
            raise UsageError(f"{file}: unknown setting {shown}: {hint}")


def _method_names() -> list[str]:
    from tasks.model import OPTION_NAMES

    return list(OPTION_NAMES)


def method_values(settings: Sequence[str]) -> dict[str, Value]:
    """Read ``NAME=VALUE`` options; the value is read as TOML, or else as text.

    Raises:
        UsageError: no ``=``.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {setting}: give NAME=VALUE, such as score=entropy.")
        values[name.strip().replace("-", "_")] = _value(text.strip())
    return present_options(values)


def _value(text: str) -> object:
    if text.lower() == "none":
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return value if isinstance(value, bool | int | float | str | list) else text


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The settings in {config} cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{config} is not valid TOML ({error}).") from error
