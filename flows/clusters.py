"""Dask and Ray, on this box or as a running cluster, as runners of shards: Prefect's own integrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.task_runners import TaskRunner

from tasks.errors import UserError


@contextmanager
def dask_runner(address: str | None, workers: int, threads: int) -> Iterator[TaskRunner[Any]]:
    """Dask: the scheduler at ``address``, else ``workers`` processes of this box with ``threads`` threads each.

    Raises:
        UserError: Dask is not installed or the scheduler does not answer.
    """
    try:
        import dask
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise _not_installed("dask") from error
    if address:
        runner = DaskTaskRunner(address=address)
    else:
        runner = DaskTaskRunner(
            cluster_kwargs={
                "n_workers": workers,
                "threads_per_worker": 1,
                "dashboard_address": None,
                "host": "127.0.0.1",
                "memory_limit": 0,  # a model and its frames are not Dask's data: it would kill workers for them
            }
        )
    environment = {"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads}
    with dask.config.set(environment), runner:
        try:
            runner.client  # noqa: B018 (it connects at first use)
        except OSError as error:
            raise _unreachable("Dask scheduler", address, error) from error
        yield runner


@contextmanager
def ray_runner(address: str | None, workers: int, threads: int) -> Iterator[TaskRunner[Any]]:
    """Ray: the cluster at ``address``, else ``workers`` processes of this box with ``threads`` threads each.

    Where the cluster has accelerators, each shard gets one of its own.

    Raises:
        UserError: Ray is not installed or the cluster does not answer.
    """
    try:
        import ray
        from prefect_ray.context import remote_options
        from prefect_ray.task_runners import RayTaskRunner
    except ImportError as error:
        raise _not_installed("ray") from error
    given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        given |= {"num_cpus": workers, "include_dashboard": False}
        given["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": str(threads)}}
    runner = RayTaskRunner(address=address, init_kwargs=given)
    try:
        runner.__enter__()
    except (OSError, ConnectionError, RuntimeError) as error:
        raise _unreachable("Ray cluster", address, error) from error
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        with remote_options(num_gpus=1 if resources.get("GPU") else 0):
            yield runner
    finally:
        runner.__exit__(None, None, None)


def _not_installed(name: str) -> UserError:
    return UserError(f"--runner {name} needs the extra {name}: pip install 'clipomaly[{name}]'.")


def _unreachable(what: str, address: str | None, error: Exception) -> UserError:
    place = f" at {address}" if address else " on this machine"
    return UserError(f"No {what}{place}: {str(error).strip().splitlines()[-1]}. Check --address.")
