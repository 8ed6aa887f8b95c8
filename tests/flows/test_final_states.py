"""Final states in a real Prefect server, and automations that fire on them."""

import json
import os
import re
import signal
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from .programs import commits, descendants, scan_command, wait_until

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Alarms:
    """A webhook on loopback that an automation calls."""

    def __init__(self):
        received = self.received = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                """Nothing on stderr."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def alarms():
    made = Alarms()
    yield made
    made.server.shutdown()
    made.server.server_close()


def documented_automations():
    """The automations that the documentation tells to create, by name."""
    blocks = re.findall(r"```yaml\n(name: .*?)```", (DOCS / "howto" / "monitoring.md").read_text(), re.DOTALL)
    return {automation["name"]: automation for automation in map(yaml.safe_load, blocks)}


def create(server, automation):
    httpx.post(f"{server.api}/automations/", json=automation).raise_for_status()


def webhook_block(server, url):
    """The id of a webhook block for this URL."""
    kind = httpx.get(f"{server.api}/block_types/slug/webhook").raise_for_status().json()
    schema = server.post("block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}})[0]
    block = {
        "name": "alarm",
        "block_type_id": kind["id"],
        "block_schema_id": schema["id"],
        "data": {"method": "POST", "url": url},
    }
    document = httpx.post(f"{server.api}/block_documents/", json=block).raise_for_status().json()
    return document["id"]


def test_states_and_an_automation_that_fires(program, prefect_at, alarms, drawn_archive, tmp_path):
    automation = documented_automations()["night not done"]
    automation["actions"][0]["block_document_id"] = webhook_block(prefect_at, alarms.url)
    create(prefect_at, automation)
    archive = tmp_path / "archive"
    clips = sorted(drawn_archive.rglob("*.mp4"))

    def put(name, data):
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_bytes(data)

    def night(name, *options):
        tables = tmp_path / name
        command = scan_command(archive, tables, "--runner", "threads", *options)
        scan = program(name, command, prefect_at.environment)
        code = scan.wait()
        newest = prefect_at.post("flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})[0]
        return code, newest["state"]["type"], newest["state"]["name"], newest["id"]

    put("drive-01/20240506_093000.mp4", clips[0].read_bytes())
    code, kind, name, _ = night("whole")
    assert (code, kind, name) == (0, "COMPLETED", "Completed")

    put("drive-01/20240506_094000.mp4", b"\0" * 5000)  # no video: a source is lost
    code, kind, name, run = night("partly", "--strict")
    assert (code, kind, name) == (1, "FAILED", "Partial")
    wait_until(lambda: [alarm["state"] for alarm in alarms.received] == ["Partial"], prefect_at.program)

    code, kind, name, _ = night("tolerated", "--strict", "--partial", "completed")
    assert (code, kind, name) == (1, "COMPLETED", "Partial")

    (archive / "drive-01/20240506_094000.mp4").unlink()  # it has no rows to write
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "instances").write_text("a file where a folder must be")
    (tmp_path / "lost" / "frames").write_text("a file where a folder must be")
    code, kind, name, run = night("lost")
    assert (code, kind, name) == (1, "FAILED", "Failed")
    tasks = prefect_at.post("task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    shards = [task["state"]["type"] for task in tasks if task["task_key"].startswith("scan_shard_task")]
    assert shards and set(shards) == {"FAILED"}
    wait_until(lambda: sorted(alarm["state"] for alarm in alarms.received)[0] == "Failed", prefect_at.program)
    assert commits(tmp_path / "lost") == 0


def test_a_run_of_a_machine_that_died_is_set_to_crashed(program, prefect_at, many_clips, tmp_path):
    create(prefect_at, documented_automations()["run without heartbeat"])
    command = [sys.executable, "-m", "clipomaly", "serve", many_clips, "--out", tmp_path / "tables", "--fps", "30"]
    environment = prefect_at.environment | {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    served = program("serve", command, environment)
    wait_until(lambda: prefect_at.post("deployments/filter", {}), served)
    [deployment] = prefect_at.post("deployments/filter", {})
    prefect_at.post(f"deployments/{deployment['id']}/create_flow_run", {})
    name = {"event": {"name": ["prefect.flow-run.heartbeat"]}}
    wait_until(lambda: prefect_at.post("events/filter", {"filter": name})["events"], served)
    for pid in descendants(served.process.pid):  # the machine dies: nobody can say that the run has ended
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    served.kill()

    def state():
        [run] = [run for run in prefect_at.flow_runs() if run["state"]["type"] != "SCHEDULED"]
        return run["state"]

    assert state()["type"] == "RUNNING"
    wait_until(lambda: state()["type"] == "CRASHED", prefect_at.program)
    assert state()["message"] == "no heartbeat for 90 seconds"
