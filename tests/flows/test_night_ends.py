"""How a night ends: its verdict, Prefect's final states, exit codes, messages, numbers and logs."""

import json
import logging
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from flows.choices import LogFormat, LogLevel
from flows.logs import set_up_logging
from flows.metrics import metrics_text, serve_metrics
from flows.night import Step, Summary, Verdict, run_step
from flows.notify import night_message, send
from flows.parameters import Runner, ScanParameters, keep_private, refuse_secrets
from schemas.records import Outcome, Shard, ShardResult, Source, SourceOutcome, Stages, TimestampSource
from tasks.errors import UsageError, UserError


def result(outcome: Outcome = Outcome.OK) -> ShardResult:
    error = None if outcome is Outcome.OK else "cut off"
    source = SourceOutcome("a.mp4", "1", outcome, error, 4, 0, 2, 1.0)
    return ShardResult("s", 4, 2, (), (source,), Stages(1, 2, 3))


def night(planned: int, *results: ShardResult, already_done: int = 0) -> Summary:
    summary = Summary("s1", sources=planned, already_done=already_done, planned=planned)
    for one in results:
        summary.add(one)
    return summary


@pytest.mark.parametrize(
    ("summary", "strict", "verdict"),
    [
        (night(1, result()), True, Verdict.DONE),
        (night(1, result(Outcome.PARTIAL)), False, Verdict.DONE),
        (night(1, result(Outcome.PARTIAL)), True, Verdict.PARTIAL),
        (night(2, result()), False, Verdict.PARTIAL),
        (night(2), False, Verdict.FAILED),
        (night(2, already_done=7), False, Verdict.FAILED),  # nothing of tonight
        (night(0, already_done=7), True, Verdict.DONE),
        (night(1, result(Outcome.FAILED)), False, Verdict.FAILED),
    ],
)
def test_verdicts(summary, strict, verdict):
    assert summary.verdict(strict=strict) is verdict


def test_a_step_that_failed_is_a_loss_of_the_night():
    summary = night(1, result())
    summary.steps.append(Step("report", False, "no room", 0.1))
    assert summary.verdict(strict=False) is Verdict.PARTIAL


def test_an_error_of_a_step_is_told_and_costs_nothing_else():
    def broken() -> str:
        raise RuntimeError("postgresql://ann:s3cret@db/q is away")

    step = run_step("mining", broken)
    assert (step.ok, step.detail) == (False, "RuntimeError: postgresql://ann:***@db/q is away")


class Inbox:
    """A webhook on loopback."""

    def __init__(self) -> None:
        received: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self.received = received
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def inbox():
    made = Inbox()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_one_message_tells_the_night(inbox):
    summary = night(2, result())
    summary.lose(
        Shard("x", (Source("b.mp4", 1, "1", "", datetime.now(UTC), TimestampSource.MTIME, 1.0),)),
        UserError("no memory"),
    )
    message = night_message("s3://fleet", summary, Verdict.PARTIAL, ["mattress"], "https://reports/1")
    assert send([inbox.url], message) == "1 message sent"
    [received] = inbox.received
    assert received["title"] == "Clipomaly: night partial: s3://fleet"
    for told in ("1 of 2 shards done, 1 left", "b.mp4: no memory", "new kinds: mattress", "https://reports/1"):
        assert told in received["message"]


def test_a_message_that_is_not_taken_is_said_without_its_secrets(inbox):
    message = night_message("a", night(0), Verdict.DONE, [], None)
    with pytest.raises(UserError, match=r"Of 2 messages: 2 \(slack://…\)") as error:
        send([inbox.url, "slack://s3cret"], message)
    assert "s3cret" not in str(error.value) and len(inbox.received) == 1


def test_a_scan_sends_its_message_and_writes_its_numbers(clipomaly, drawn_archive, tmp_path, inbox):
    command = ("scan", drawn_archive, "--out", tmp_path / "tables", "--metrics", tmp_path / "night.prom")
    assert clipomaly(*command, "--notify", inbox.url).code == 0
    assert "2 of 2 shards done, 0 left" in inbox.received[0]["message"]
    families = {one.name: one for one in text_string_to_metric_families((tmp_path / "night.prom").read_text())}
    results = {sample.labels["result"]: sample.value for sample in families["clipomaly_scan_result"].samples}
    assert results == {"done": 1, "partial": 0, "failed": 0}
    assert families["clipomaly_scan_running"].samples[0].value == 0


def test_metrics_while_a_scan_runs():
    families = {one.name: one for one in text_string_to_metric_families(metrics_text("T", night(3), None).decode())}
    assert families["clipomaly_scan_running"].samples[0].value == 1 and "clipomaly_scan_result" not in families
    states = {sample.labels["state"]: sample.value for sample in families["clipomaly_shards"].samples}
    assert states == {"planned": 3, "done": 0, "lost": 0, "left": 3}


def test_the_last_numbers_are_served_on_loopback(tmp_path):
    path = tmp_path / "night.prom"
    url = serve_metrics(str(path), 0)
    assert url.startswith("http://127.0.0.1:") and httpx.get(url).is_success  # before the first scan
    path.write_bytes(metrics_text("T", night(3), None))
    assert 'clipomaly_shards{state="left",tables="T"} 3.0' in httpx.get(url).text


@pytest.mark.parametrize("name", ["archive", "tables", "queue", "report"])
def test_secrets_are_refused_where_prefect_would_show_them(name):
    given = {"archive": "a", "tables": "t", "runner": Runner.THREADS} | {name: "postgresql://ann:s3cret@db/q"}
    with pytest.raises(UsageError, match=rf"{name} holds a password") as error:
        refuse_secrets(ScanParameters(**given))
    assert "s3cret" not in str(error.value)


def test_addresses_of_messages_are_kept_out_of_the_parameters(monkeypatch):
    monkeypatch.delenv("CLIPOMALY_NOTIFY", raising=False)
    monkeypatch.setenv("CLIPOMALY_NOTIFY", "")  # so that it is put back afterwards
    kept = keep_private(ScanParameters(archive="a", tables="t", notify="slack://s3cret"))
    assert "s3cret" not in kept.model_dump_json()


def test_json_logs_are_a_line_each_with_trace_and_without_secrets(capsys):
    set_up_logging(LogLevel.INFO, LogFormat.JSON)
    try:
        raise RuntimeError("postgresql://ann:s3cret@db/q")
    except RuntimeError as error:
        logging.getLogger("clipomaly.night").error("lost\nforged %s", "\x1b[31m", exc_info=error, extra={"shard": "x"})
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["level"] == "ERROR" and told["shard"] == "x" and "Traceback" in told["trace"]
    assert "s3cret" not in line and told["message"] == r"lost\nforged \x1b[31m"


def test_without_a_level_nothing_is_logged_to_stderr(capsys, monkeypatch):
    monkeypatch.delenv("CLIPOMALY_DEBUG", raising=False)
    set_up_logging(None, LogFormat.TEXT)
    logging.getLogger("clipomaly.night").error("lost")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("CLIPOMALY_DEBUG", "1")
    set_up_logging(None, LogFormat.TEXT)
    logging.getLogger("clipomaly.night").debug("seen")
    assert "seen" in capsys.readouterr().err
