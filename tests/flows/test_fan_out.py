"""Shards over task runners: windows, sub-flows, Dask and Ray. The same rows from each."""

import random
import threading
from concurrent.futures import Future

import pytest

from flows import fan_out as module
from flows.fan_out import in_windows
from schemas.records import Shard

from .files import part_files


@pytest.mark.parametrize(("count", "window"), [(0, 4), (3, 4), (50, 1), (50, 7)])
def test_never_more_than_a_window_is_under_way(count, window):
    under_way, most, chance = 0, 0, random.Random(0)

    def submit(_):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        future: Future[None] = Future()
        threading.Timer(chance.uniform(0, 0.01), future.set_result, (None,)).start()
        return future

    shards = [Shard(f"{number:04d}", ()) for number in range(count)]
    seen = []
    for shard, future in in_windows(submit, shards, window):
        assert isinstance(future, Future) and future.done()
        under_way -= 1
        seen.append(shard.shard_id)
    assert sorted(seen) == [shard.shard_id for shard in shards] and most == min(count, window)


@pytest.mark.slow
def test_many_shards_run_in_sub_flows(clipomaly, drawn_archive, scanned, tmp_path, prefect_home, monkeypatch):
    from prefect.client.orchestration import get_client

    from flows.parameters import ScanParameters
    from flows.server import prefect_server

    monkeypatch.setattr(module, "SHARDS_A_FLOW", 3)
    with prefect_server(ScanParameters(archive="", tables="")):
        ran = clipomaly(
            "scan", drawn_archive, "--out", tmp_path, "--fps", 2, "--shard-minutes", 0.04, "--runner", "threads"
        )
        assert ran.code == 0, ran.out + ran.err
        with get_client(sync_client=True) as client:
            flows = {run.id: run for run in client.read_flow_runs()}
            tasks = client.read_task_runs()
    names = sorted(run.name for run in flows.values() if run.parent_task_run_id)
    assert names == ["part 1 of 2", "part 2 of 2"] and len(flows) == 3
    assert all(run.state and run.state.is_completed() for run in flows.values())
    shards = [flows[run.flow_run_id].name for run in tasks if run.name.split("-")[0] != "scan" and run.flow_run_id]
    assert sorted(name for name in shards if name.startswith("part")) == ["part 1 of 2"] * 3 + ["part 2 of 2"]
    assert part_files(tmp_path) == part_files(scanned)


def scan_with(clipomaly, archive, out, *options):
    return clipomaly("scan", archive, "--out", out, "--fps", 2, "--shard-minutes", 0.04, *options)


@pytest.mark.slow
def test_two_dask_workers_write_the_same_bytes(clipomaly, drawn_archive, scanned, tmp_path, prefect_home):
    """A real scheduler and two worker processes, which find the run's Prefect server."""
    pytest.importorskip("prefect_dask", reason="the extra dask is not installed")
    ran = scan_with(clipomaly, drawn_archive, tmp_path, "--runner", "dask", "--workers", 2)
    assert ran.code == 0, ran.out + ran.err
    assert part_files(tmp_path) == part_files(scanned)


@pytest.mark.slow
def test_a_dask_cluster_that_runs_already(clipomaly, drawn_archive, scanned, tmp_path, prefect_home):
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
        address = cluster.scheduler_address
        ran = scan_with(clipomaly, drawn_archive, tmp_path, "--runner", "dask", "--address", address)
        assert ran.code == 0, ran.out + ran.err
        assert len(client.scheduler_info()["workers"]) == 2
    assert part_files(tmp_path) == part_files(scanned)


@pytest.mark.slow
def test_two_ray_workers_write_the_same_bytes(clipomaly, drawn_archive, scanned, tmp_path, prefect_home):
    pytest.importorskip("prefect_ray", reason="the extra ray is not installed")
    ran = scan_with(clipomaly, drawn_archive, tmp_path, "--runner", "ray", "--workers", 2)
    assert ran.code == 0, ran.out + ran.err
    assert part_files(tmp_path) == part_files(scanned)


@pytest.mark.parametrize(("runner", "address"), [("dask", "tcp://192.0.2.1:8786"), ("ray", "ray://192.0.2.1:10001")])
def test_workers_elsewhere_need_a_server_that_they_reach(
    clipomaly, drawn_archive, tmp_path, prefect_home, runner, address
):
    ran = scan_with(clipomaly, drawn_archive, tmp_path, "--runner", runner, "--address", address)
    assert ran.code == 2 and "set PREFECT_API_URL" in ran.err and ran.err.count("\n") <= 2


def test_a_dask_scheduler_that_is_not_there(prefect_home):
    pytest.importorskip("distributed", reason="the extra dask is not installed")  # before its settings are changed
    import dask

    from flows.clusters import dask_engine
    from flows.parameters import ScanParameters
    from tasks.errors import UserError

    parameters = ScanParameters(archive="", tables="", address="tcp://127.0.0.1:9")
    runner = dask_engine(parameters, 2, 1, again=False)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(UserError, match=r"No Dask scheduler at tcp://127.0.0.1:9: .* Check --address"),
        runner,
    ):
        pass
