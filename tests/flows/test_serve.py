"""A schedule on one box: the command serves a deployment of a real server, and a run that is triggered ends well."""

import os
import signal
import subprocess
import sys
import time

import pytest

from .files import part_files

PATIENCE = 300


def wait_for(what, process, log):
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_served_deployment_runs(drawn_archive, scanned, tmp_path, prefect_home):
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    from flows.parameters import ScanParameters
    from flows.server import prefect_server

    tables, log = tmp_path / "tables", tmp_path / "log"
    command = [
        sys.executable,
        "-m",
        "clipomaly",
        "serve",
        str(drawn_archive),
        "--out",
        str(tables),
        "--fps",
        "2",
    ]
    command += ["--cron", "0 2 * * *", "--timezone", "Europe/Berlin", "--config", str(tmp_path / "scan.toml")]
    (tmp_path / "scan.toml").write_text("shard_minutes = 0.04\n")
    with prefect_server(ScanParameters(archive="", tables="")), log.open("w") as out:
        from prefect.settings import PREFECT_API_URL

        environment = os.environ | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
        # As a script does that runs it in the background: Ctrl-C is ignored then, and the end must come all the same.
        command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', *command]
        served = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
        try:
            with get_client(sync_client=True) as client:

                def deployed():
                    try:
                        return client.read_deployment_by_name("nightly-scan/nightly")
                    except ObjectNotFound:
                        return None

                deployment = wait_for(deployed, served, log)
                [schedule] = deployment.schedules
                assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 2 * * *", "Europe/Berlin")
                assert schedule.active and not deployment.paused
                assert deployment.parameters["parameters"]["shard_minutes"] == 0.04  # of the file
                assert "runner" not in deployment.parameters["parameters"]  # left to file and environment
                form = deployment.parameter_openapi_schema["definitions"]["ScanParameters"]["properties"]
                assert form["fps"]["default"] == 1.0 and all("description" in field for field in form.values())
                run = client.create_flow_run_from_deployment(deployment.id)

                def ended():
                    state = client.read_flow_run(run.id).state
                    return state if state and state.is_final() else None

                state = wait_for(ended, served, log)
                assert state.is_completed(), f"{state}\n{log.read_text()}"
                os.kill(served.pid, signal.SIGTERM)
                assert served.wait(PATIENCE) in (0, -signal.SIGTERM), log.read_text()
                assert "Traceback" not in log.read_text()
                assert client.read_deployment(deployment.id).paused  # nobody serves it
        finally:
            if served.poll() is None:
                os.killpg(served.pid, signal.SIGKILL)
                served.wait()
    assert part_files(tables) == part_files(scanned)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--cron", "0 2 * *"), "give five fields of cron"),
        (("--cron", "99 2 * * *"), "give five fields of cron"),
        (("--timezone", "Mars/Olympus"), "IANA name"),
    ],
)
def test_schedules_that_are_none(clipomaly, tmp_path, options, told):
    ran = clipomaly("serve", tmp_path, "--out", tmp_path / "T", *options)
    assert ran.code == 2 and told in ran.err and "Traceback" not in ran.err


DEAF = """
import asyncio, signal
from contextlib import suppress
from prefect.runner import Runner
import flows.serve

async def deaf(self):
    signal.signal(signal.SIGTERM, self.handle_sigterm)
    print("ready", flush=True)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(600)
    await asyncio.sleep(600)

Runner.start = deaf
flows.serve._PATIENCE = 1
flows.serve.run_until_ended(flows.serve._Server("night").start())
print("ended")
"""


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param("", id="in front", marks=pytest.mark.slow),
        pytest.param("trap '' INT;", id="where Ctrl-C is ignored"),
    ],
)
def test_an_end_that_is_swallowed_comes_all_the_same(prefect_home, shell):
    command = ["sh", "-c", f'{shell} exec "$0" "$@"', sys.executable, "-c", DEAF]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ran:
        try:
            assert ran.stdout and ran.stdout.readline() == "ready\n"
            ran.send_signal(signal.SIGTERM)
            out, _ = ran.communicate(timeout=PATIENCE)
        finally:
            ran.kill()
    assert (ran.returncode, out) == (0, "ended\n")
