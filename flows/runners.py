"""Prefect's task runners, and the one server that a run needs when none is configured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.parameters import Runner, ScanParameters
from tasks.model import ModelSettings, get_model


def make_task_runner(parameters: ScanParameters, settings: ModelSettings) -> TaskRunner[Any]:
    """The Prefect task runner for ``threads`` or ``processes``; processes load the model before their first task."""
    workers = parameters.workers or default_workers(parameters.runner)
    if parameters.runner is Runner.THREADS:
        return ThreadPoolTaskRunner(max_workers=workers)
    threads = max(1, (os.cpu_count() or 1) // workers)
    return ProcessPoolTaskRunner(max_workers=workers, initializer=_prepare_process, initargs=(settings, threads))


def default_workers(runner: Runner) -> int:
    """Two shards at a time in threads, so that one decodes while the other infers; a process an accelerator, or
    two on a CPU."""
    if runner is Runner.PROCESSES and torch.accelerator.is_available():
        return torch.accelerator.device_count()
    return 2


def _prepare_process(settings: ModelSettings, threads: int) -> None:
    torch.set_num_threads(threads)  # else every process takes all cores
    get_model(settings)


@contextmanager
def prefect_server() -> Iterator[None]:
    """Give this process and its children one Prefect server: the configured one, else one for this run."""
    if PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()
    server.start()
    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield
    finally:
        server.stop()
