"""The runners of shards: Prefect's task runners, on this machine or on a cluster."""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing import current_process, parent_process

import torch
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

from flows.choices import LogFormat, LogLevel
from flows.clusters import dask_engine, ray_engine
from flows.engines import Engine
from flows.logs import set_up_logging
from flows.parameters import Runner, ScanParameters
from schemas.records import ShardResult
from tasks.model import check_device, get_model
from tasks.model_settings import ModelSettings

_AHEAD = 4  # shards under way for each worker: one being scanned, some on their way to it
_AHEAD_ON_CLUSTERS = 512  # whose size is theirs to know


@contextmanager
def start_engine(parameters: ScanParameters, settings: ModelSettings, again: bool = False) -> Iterator[Engine]:
    """A started Prefect task runner. Processes load the model before their first shard, others with it.

    ``again`` means that it was there before: then it is waited for. Use it for one flow run only: Prefect's process
    pool assigns all its tasks to the run that used it first.

    Raises:
        UserError: a runner that is not installed, or a cluster whose workers cannot scan.
        EngineGone: a cluster that cannot be reached.
    """
    workers = workers_of(parameters)
    threads = max(1, (os.cpu_count() or 1) // workers)  # else every process takes all cores
    started: AbstractContextManager[Engine]
    match parameters.runner:
        case Runner.DASK:
            started = dask_engine(parameters, workers, threads, again)
        case Runner.RAY:
            started = ray_engine(parameters, workers, threads, again)
        case Runner.PROCESSES:
            started = _processes(workers, settings, threads, parameters)
        case _:
            started = _threads(workers, settings)
    with started as engine:
        yield engine


@contextmanager
def _threads(workers: int, settings: ModelSettings) -> Iterator[Engine]:
    get_model(settings)  # loaded here, so that an error of the model is not counted as the error of a shard
    runner: ThreadPoolTaskRunner[ShardResult] = ThreadPoolTaskRunner(max_workers=workers)
    with runner:
        yield Engine(runner)


@contextmanager
def _processes(workers: int, settings: ModelSettings, threads: int, parameters: ScanParameters) -> Iterator[Engine]:
    check_device(settings)
    prepare = partial(_prepare, settings, threads, parameters.log_level, parameters.log_format)
    with ProcessPoolTaskRunner(max_workers=workers, initializer=prepare) as runner:
        yield Engine(runner)


def workers_of(parameters: ScanParameters) -> int:
    """How many shards are scanned at a time on this machine by default: two with threads, so that one decodes while the
    other infers; else one process for each accelerator, or two on a CPU."""
    if parameters.workers:
        return parameters.workers
    if parameters.runner is not Runner.THREADS and torch.accelerator.is_available():
        return torch.accelerator.device_count()
    return 2


def window_of(parameters: ScanParameters) -> int:
    """How many shards are handed out before the first is done."""
    return _AHEAD_ON_CLUSTERS if parameters.address else _AHEAD * workers_of(parameters)


def _prepare(settings: ModelSettings, threads: int, level: LogLevel | None, form: LogFormat) -> None:
    _end_with_parent()
    set_up_logging(level, form)
    torch.set_num_threads(threads)
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(_place_in_pool() % torch.accelerator.device_count())
    get_model(settings)


def _end_with_parent() -> None:
    """End this worker as soon as the process that started it is gone, however it ended."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def _place_in_pool() -> int:
    """0, 1, … of this process among its siblings, which are started one after the other."""
    return (current_process()._identity or (1,))[-1] - 1
