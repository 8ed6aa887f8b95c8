"""Dask and Ray as runners of shards, on this machine or on a running cluster, by Prefect's own integrations."""

import logging
import os
import time
import warnings
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from flows.engines import Engine, EngineGone
from flows.logs import one_line
from flows.parameters import ScanParameters
from flows.worker_check import WorkerState, look, unfit, wanted_for
from tasks.errors import UserError

log = logging.getLogger("clipomaly.night")

_CALM_SECONDS = 60.0  # of waiting, before a line reports it
_AGAIN_SECONDS = 2.0

T = TypeVar("T")


@contextmanager
def dask_engine(parameters: ScanParameters, workers: int, threads: int, again: bool) -> Iterator[Engine]:
    """Dask: the scheduler at the address, else ``workers`` processes of this machine with ``threads`` threads each. It
    waits for a scheduler without workers. ``again`` means that the scheduler was there before: then it also waits for
    one that does not answer. Workers that cannot scan get no shard.

    Raises:
        UserError: Dask is not installed, the scheduler does not answer at first, or no worker can scan.
        EngineGone: the scheduler does not answer again, or has no workers, for ``patience_minutes``.
    """
    try:
        import dask
        from dask.base import annotate
        from distributed import Client
        from distributed.client import ClosedClientError
        from distributed.comm.core import CommClosedError
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise _not_installed("dask") from error
    # It logs a traceback for each lost connection; we log one line instead.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    address = parameters.address
    environment = {"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads}
    with dask.config.set(environment):
        if address:
            # Prefect's runner would wait for a scheduler without a word.
            _patiently(f"Dask scheduler at {address}", lambda: _knock(Client, address), parameters, again)
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
        with _left_at_the_end(runner.__enter__()):
            client = runner.client
            fit = _fit_dask_workers(client, parameters, again)
            gone = (CancelledError, FutureCancelled, ClosedClientError, CommClosedError)

            def is_there() -> bool:
                """Whether the scheduler answers and has a worker that shards may go to."""
                return client.status == "running" and any(fit is None or name in fit for name in _workers_at(client))

            with annotate(workers=fit) if fit else nullcontext():
                yield Engine(runner, is_there, gone)


def _knock(client: Callable[..., Any], address: str) -> None:
    client(address, set_as_default=False).close()


def _workers_at(client: Any) -> list[str]:
    return list(client.scheduler_info(n_workers=-1)["workers"])


def _fit_dask_workers(client: Any, parameters: ScanParameters, again: bool) -> list[str] | None:
    """The workers that can scan; None if all can, and workers that come later may be used too."""

    def fit() -> list[str] | None:
        there = _workers_at(client)
        if not there:
            raise OSError("it has none")
        states: dict[str, WorkerState | BaseException]
        with wanted_for(parameters) as wanted:
            states = client.run(look, wanted, workers=there, on_error="return")
        bad = _warn_of_unfit(states, again)
        return [name for name in states if name not in bad] if bad else None

    return _patiently(f"workers of the Dask scheduler at {client.scheduler.address}", fit, parameters, again=True)


@contextmanager
def ray_engine(parameters: ScanParameters, workers: int, threads: int, again: bool) -> Iterator[Engine]:
    """Ray: the cluster at the address, else ``workers`` processes of this machine with ``threads`` threads each. If the
    cluster has accelerators, each shard gets one of its own. ``again`` means that the cluster was there before: then it
    waits for one that does not answer.

    Raises:
        UserError: Ray is not installed, the cluster does not answer at first, or no node can scan.
        EngineGone: the cluster does not answer again for ``patience_minutes``.
    """
    # It logs over many lines what it also raises; we log one line instead.
    logging.getLogger("ray.util.client").setLevel(logging.CRITICAL)
    # If the cluster is gone, Ray would start one of its own at the next call.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    try:
        import ray
        from prefect_ray.context import remote_options
        from prefect_ray.task_runners import RayTaskRunner
        from ray.exceptions import RaySystemError
    except ImportError as error:
        raise _not_installed("ray") from error
    address = parameters.address
    given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if not address:
        given |= {"num_cpus": workers, "include_dashboard": False}
        given["runtime_env"] = {"env_vars": {"OMP_NUM_THREADS": str(threads)}}
    what = f"Ray cluster at {address}" if address else "Ray on this machine"

    def is_there() -> bool:
        try:
            return bool(ray.is_initialized())
        except Exception as error:  # of the closed connection that it asks
            log.debug("the %s does not answer: %s", what, one_line(error))
            return False

    def connect() -> Any:
        try:
            if again:
                ray.shutdown()  # what is left of a lost connection would refuse a new one
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that it does not answer: we log one line instead
                # A new one for each try: a runner counts as started even when its cluster did not answer.
                return RayTaskRunner(address=address, init_kwargs=given).__enter__()
        except (ConnectionError, ValueError) as error:  # ValueError: of a connection that closes meanwhile
            # A cluster that asks for a token does not answer those who have none.
            token = "if the cluster asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            raise ConnectionError(f"{one_line(error)}; {token}") from error

    runner = _patiently(what, connect, parameters, again)
    with _left_at_the_end(runner):
        resources: dict[str, float] = ray.cluster_resources()
        options: dict[str, Any] = {"num_gpus": 1 if resources.get("GPU") else 0}
        if address:
            fit = _patiently(f"nodes of the {what}", lambda: _fit_ray_nodes(ray, parameters, again), parameters, again)
            if fit:
                options["label_selector"] = {"ray.io/node-id": f"in({','.join(fit)})"}
        with remote_options(**options):
            yield Engine(runner, is_there, (ConnectionError, RaySystemError))


def _fit_ray_nodes(ray: Any, parameters: ScanParameters, again: bool) -> list[str] | None:
    """The ids of the nodes that can scan; None if all can, and nodes that come later may be used too."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    states: dict[str, WorkerState | BaseException] = {}
    ids: dict[str, str] = {}
    with wanted_for(parameters) as wanted:
        for node in ray.nodes():
            if not node["Alive"]:
                continue
            there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            name = f"{node['NodeManagerAddress']} (node {node['NodeID'][:8]})"
            ids[name] = node["NodeID"]
            try:
                # If the head lacks the package, asking fails already: it cannot read the question.
                asked = ray.remote(look).options(num_cpus=0, scheduling_strategy=there).remote(wanted)
                states[name] = ray.get(asked, timeout=_CALM_SECONDS)
            except Exception as error:
                states[name] = error
    if not states:
        raise OSError("it has none")
    bad = _warn_of_unfit(states, again)
    return [ids[name] for name in states if name not in bad] if bad else None


def _warn_of_unfit(states: dict[str, WorkerState | BaseException], again: bool) -> dict[str, str]:
    """The workers that cannot scan, with the reason. Raises UserError if none can, or, with ``again``, OSError: after
    a cluster has restarted, the others may not be back yet."""
    bad = unfit(states)
    if len(bad) == len(states):
        name, reason = next(iter(bad.items()))
        told = f"No worker can scan. Worker {name} {reason}."
        raise OSError(told) if again else UserError(told)
    for name, reason in bad.items():
        log.warning("worker %s gets no shard: it %s", name, reason)
    return bad


def _patiently(what: str, call: Callable[[], T], parameters: ScanParameters, again: bool) -> T:
    """The result of a call. With ``again`` it is repeated while it raises OSError or the like: a line says so after a
    minute, and EngineGone ends it after the patience of the parameters."""
    began = time.monotonic()
    told = False
    while True:
        try:
            return call()
        except (OSError, RuntimeError) as error:
            if not again:
                raise UserError(f"No {what}: {one_line(error)}. Check --address.") from error
            waited = time.monotonic() - began
            if waited > 60 * parameters.patience_minutes:
                minutes = f"{parameters.patience_minutes:g} minutes"
                raise EngineGone(
                    f"No {what} for {minutes}: {one_line(error)}. Start it again, then run the scan again."
                ) from error
            if waited > _CALM_SECONDS and not told:
                log.warning("waiting for the %s: %s", what, one_line(error))
                told = True
            time.sleep(_AGAIN_SECONDS)


@contextmanager
def _left_at_the_end(runner: Any) -> Iterator[None]:
    """Leave a runner that was entered, even if its cluster is gone."""
    try:
        yield
    finally:
        try:
            runner.__exit__(None, None, None)
        except Exception as error:
            log.debug("leaving %s: %s", type(runner).__name__, one_line(error))


def _not_installed(name: str) -> UserError:
    return UserError(f"--runner {name} needs the extra {name}: pip install 'clipomaly[{name}]'.")
