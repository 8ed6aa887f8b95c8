"""Fixtures of all rooms."""

import gc
import logging
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from demo_fleet import write_archive
from tests.chromium import chromium as chromium
from tests.chromium import no_event_loop_is_left as no_event_loop_is_left
from tests.command import Run, run_main

# The commands of tests use the fast model on small frames, unless a test names others; tests that call functions name
# them themselves.
SMALL: dict[str, str | float | int | bool | None] = {"short_side": 192}
os.environ["CLIPOMALY_MODEL"] = "nano"
os.environ["CLIPOMALY_METHOD__SHORT_SIDE"] = str(SMALL["short_side"])

# Half of a worker's memory is imported code that never becomes garbage, and each full collection looks through it.
gc.set_threshold(50_000)

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


WHOLE = {
    "chromium",
    "clipomaly",
    "cluster",
    "concepts",
    "drawn_archive",
    "fleet",
    "nano",
    "page",
    "prefect_home",
    "s3",
    "scanned",
    "shared_data",
    "site",
}
"""Fixtures that make or run a whole part of the product."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``make test-quick`` leaves out what takes seconds and not milliseconds."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        given = item.callspec.params.values() if hasattr(item, "callspec") else ()
        on_server = any(isinstance(value, str) and value in ("postgresql", "s3") for value in given)
        if WHOLE & set(item.fixturenames) or on_server:
            item.add_marker("whole")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what tests recorded as ``told``, those of workers too, so that it stands in the log of CI."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "told":
                terminalreporter.write_line(str(value))


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A scan sets up logging for its process, which here is that of the next test as well."""
    yield
    ours = logging.getLogger("clipomaly")
    ours.handlers, ours.propagate = [], True
    ours.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _priority_is_not_raised() -> Iterator[None]:
    """A library that leaves a thread at real-time priority, as encoders do, would starve every later test."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) not in (os.SCHED_FIFO, os.SCHED_RR)


@pytest.fixture(scope="session", autouse=True)
def _no_server_of_prefect_is_left() -> Iterator[None]:
    """A flow that is called without a server makes Prefect start one. Prefect ends it when the process exits, but
    workers of pytest-xdist are ended without that."""
    yield
    if "prefect.server.api.server" in sys.modules:
        from prefect.server.api.server import SubprocessASGIServer

        SubprocessASGIServer().stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and photos beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("shared/data is not beside the checkout")
    return folder


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(_s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a new, empty bucket on loopback, reached through the environment as any real one is."""
    import fsspec
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", _s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Connections of another server, or made before these variables, must not be found again.
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    fsspec.filesystem("s3").mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def clipomaly(capfd: pytest.CaptureFixture[str]) -> Run:
    """``clipomaly("scan", archive, "--out", tables)`` → exit status, stdout, stderr."""
    return lambda *arguments: run_main(capfd, *arguments)


@pytest.fixture(scope="session")
def drawn_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives of two short drawn clips each, with planted objects."""
    root = tmp_path_factory.mktemp("fleet") / "archive"
    write_archive(root, drives=2, clips=2, seconds=2.0, fps=4, objects=8, nights=0)
    return root


@pytest.fixture(scope="session")
def scanned(drawn_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the drawn archive, scanned inline with the built-in model."""
    from flows.parameters import ScanParameters
    from flows.scan import run_scan

    tables = tmp_path_factory.mktemp("scan") / "tables"
    # Shards of one clip each, so that there is something to hand out and something to kill.
    summary = run_scan(
        ScanParameters(
            archive=str(drawn_archive), tables=str(tables), model="nano", method=SMALL, fps=2, shard_minutes=0.04
        )
    )
    assert summary.succeeded
    assert summary.instances > 0
    return tables


@contextmanager
def prefect_at_home(home: Path) -> Iterator[None]:
    """Prefect with a database of its own, as on a fresh machine."""
    from prefect.settings import PREFECT_HOME, temporary_settings

    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_HOME: home}):
        patch.setenv("PREFECT_HOME", str(home))
        yield


@pytest.fixture
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Prefect database of this test alone."""
    home = tmp_path_factory.mktemp("prefect")
    with prefect_at_home(home):
        yield home
