"""Who runs the shards of a scan, by name. The command offers these names before anything heavy is loaded."""

from enum import StrEnum


class Runner(StrEnum):
    """Who runs the shards: this process without Prefect, or one of Prefect's task runners."""

    INLINE = "inline"
    THREADS = "threads"
    PROCESSES = "processes"
    DASK = "dask"
    RAY = "ray"
