"""Prefect's task runners, and the one server that a run needs when none is configured."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import current_process
from typing import Any
from urllib.parse import urlsplit

import torch
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.clusters import dask_runner, ray_runner
from flows.parameters import Runner, ScanParameters
from tasks.errors import UsageError, UserError
from tasks.model import get_model
from tasks.model_settings import ModelSettings

_AHEAD = 4  # shards under way for each worker: one being scanned, some on their way to it
_AHEAD_ON_CLUSTERS = 512  # whose size is theirs to know
# Prefect waits 20 s, which is too short on a busy machine.
_SERVER_START_SECONDS = 180
_DRAIN_SECONDS = 60


@contextmanager
def start_task_runner(parameters: ScanParameters, settings: ModelSettings) -> Iterator[TaskRunner[Any]]:
    """A started Prefect task runner. Processes load the model before their first shard, others with it.

    It serves one flow run: Prefect's process pool books all its tasks on the run that used it first.

    Raises:
        UserError: a runner that is not installed, or a cluster that cannot be reached.
    """
    workers = workers_of(parameters)
    threads = max(1, (os.cpu_count() or 1) // workers)  # else every process takes all cores
    started: AbstractContextManager[TaskRunner[Any]]
    match parameters.runner:
        case Runner.DASK:
            started = dask_runner(parameters.address, workers, threads)
        case Runner.RAY:
            started = ray_runner(parameters.address, workers, threads)
        case Runner.PROCESSES:
            started = ProcessPoolTaskRunner(max_workers=workers, initializer=_prepare, initargs=(settings, threads))
        case _:
            started = ThreadPoolTaskRunner(max_workers=workers)
    with started as runner:
        yield runner


def workers_of(parameters: ScanParameters) -> int:
    """How many shards are scanned at a time on this box, unless told: two in threads, so that one decodes while
    the other infers; else a process an accelerator, or two on a CPU."""
    if parameters.workers:
        return parameters.workers
    if parameters.runner is not Runner.THREADS and torch.accelerator.is_available():
        return torch.accelerator.device_count()
    return 2


def window_of(parameters: ScanParameters) -> int:
    """How many shards are handed out before the first is done."""
    return _AHEAD_ON_CLUSTERS if parameters.address else _AHEAD * workers_of(parameters)


def _prepare(settings: ModelSettings, threads: int) -> None:
    torch.set_num_threads(threads)
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(_place_in_pool() % torch.accelerator.device_count())
    get_model(settings)


def _place_in_pool() -> int:
    """0, 1, … of this process among its siblings, which are started one after the other."""
    return (current_process()._identity or (1,))[-1] - 1


@contextmanager
def prefect_server(parameters: ScanParameters) -> Iterator[None]:
    """Give this process and its workers one Prefect server: the configured one, else one for this run.

    Raises:
        UsageError: workers on other machines could not reach a server on this one.
        UserError: the server does not start.
    """
    if PREFECT_API_URL.value():
        yield
        return
    if parameters.address and not _on_this_machine(parameters.address):
        raise UsageError(
            f"--address {parameters.address}: its workers cannot reach a Prefect server of this run. "
            "Start one that they can (`prefect server start --host …`) and set PREFECT_API_URL."
        )
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()
    try:
        server.start(timeout=_SERVER_START_SECONDS)
    except RuntimeError as error:
        raise UserError(
            "The Prefect server of this run did not start. Start one (`prefect server start`) and set "
            "PREFECT_API_URL, or scan with --runner inline."
        ) from error
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        # What Prefect still has to tell this server: else it keeps trying after the server is gone.
        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(timeout=_DRAIN_SECONDS, at_exit=False)
        server.stop()


def _on_this_machine(address: str) -> bool:
    return address in ("auto", "local") or urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
