"""The values of some options of a scan, for the command's help. Imports nothing heavy."""

from enum import StrEnum


class Partial(StrEnum):
    """The type of Prefect's final state ``Partial``, of a night that lost something."""

    FAILED = "failed"
    COMPLETED = "completed"


class Decoder(StrEnum):
    """What decodes videos: our own decoder, or torchcodec on an accelerator."""

    CPU = "cpu"
    CUDA = "cuda"


class LogLevel(StrEnum):
    """The lowest level of log lines that go to stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The form of log lines."""

    TEXT = "text"
    JSON = "json"


class Runner(StrEnum):
    """Who runs the shards: this process without Prefect, or one of Prefect's task runners."""

    INLINE = "inline"
    THREADS = "threads"
    PROCESSES = "processes"
    DASK = "dask"
    RAY = "ray"
