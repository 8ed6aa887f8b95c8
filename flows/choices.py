"""Words to choose from among the options of a scan, for the command's help: imports nothing."""

from enum import StrEnum


class Partial(StrEnum):
    """The type of Prefect's final state ``Partial``, of a night that lost something."""

    FAILED = "failed"
    COMPLETED = "completed"


class LogLevel(StrEnum):
    """From which level up log lines go to stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"
