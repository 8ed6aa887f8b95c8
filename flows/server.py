"""The Prefect server that a run needs if none is configured. It ends with the process that started it."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.parameters import ScanParameters
from schemas.safe_text import masked
from tasks.errors import UsageError, UserError

# A busy machine takes longer than the 20 s that Prefect waits for a server of its own.
_START_SECONDS = 180.0
_CONFIGURED_SECONDS = 60.0  # a configured server may be restarting when the night begins
_LOOK_SECONDS = 0.1
_STOP_SECONDS = 5.0
_DRAIN_SECONDS = 60


@contextmanager
def prefect_server(parameters: ScanParameters) -> Iterator[None]:
    """Give this process and its workers one Prefect server: the configured one, else one for this run.

    Raises:
        UsageError: workers on other machines could not reach a server on this one.
        UserError: the server does not start, or the configured one does not answer.
    """
    if configured := PREFECT_API_URL.value():
        _wait_for_configured(configured)
        try:
            yield
        finally:
            _send_rest(configured)
        return
    if parameters.address and not _on_this_machine(parameters.address):
        raise UsageError(
            f"--address {parameters.address}: its workers cannot reach a Prefect server of this run. "
            "Start one that they can (`prefect server start --host …`) and set PREFECT_API_URL."
        )
    with _started() as url, temporary_settings({PREFECT_API_URL: url}):
        try:
            yield
        finally:
            _send_rest(url)


def _wait_for_configured(url: str) -> None:
    give_up = time.monotonic() + _CONFIGURED_SECONDS
    while not _answers(url):
        if time.monotonic() > give_up:
            raise UserError(
                f"No Prefect server answers at PREFECT_API_URL, {masked(url)}. Start it, or unset PREFECT_API_URL: "
                "then the scan starts one of its own, or needs none with --runner inline."
            )
        time.sleep(1)


# What Prefect could not send to its server. Prefect tries each event for seconds before the process can end.
_unsent: list[Future[bool]] = []


def something_is_unsent() -> bool:
    """Whether Prefect still holds events or logs for a server that does not take them. Such a process has to end by
    ``os._exit``: otherwise it tries each of them again first, for hours after a long scan."""
    return any(not sent.done() for sent in _unsent)


def _send_rest(url: str) -> None:
    """Send what Prefect still holds for its server, if the server answers."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    patience = _DRAIN_SECONDS if _answers(url) else 0
    for worker in (EventsWorker, APILogWorker):
        drained = worker.drain_all(timeout=patience, at_exit=False)
        if isinstance(drained, tuple):
            _unsent.extend(drained[1])
        else:  # in a notebook, whose event loop must not be blocked
            drained.close()


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/health", timeout=_STOP_SECONDS)
    except httpx.TransportError:
        return False
    return True


@contextmanager
def _started() -> Iterator[str]:
    """A server process; the URL of its API."""
    port = _free_port()
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    # Nothing is written to the pipe. When it closes, the server knows that this process ended, however it ended.
    with subprocess.Popen(
        [sys.executable, "-m", "flows.server", str(port)],
        stdin=subprocess.PIPE,
        env=os.environ | settings,
        start_new_session=True,  # Ctrl-C must not reach the server: the scan still needs it afterwards
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}/api"
            _wait_for(process, url)
            yield url
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(2 * _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if httpx.get(f"{url}/health", timeout=_STOP_SECONDS).is_success:
                return
        except httpx.TransportError:  # it is not yet there
            time.sleep(_LOOK_SECONDS)
    raise UserError(
        "The Prefect server of this run did not start. Start one (`prefect server start`) and set "
        "PREFECT_API_URL, or scan with --runner inline."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _on_this_machine(address: str) -> bool:
    return address in ("auto", "local") or urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")


def _serve(port: int) -> None:
    """Serve until stdin closes: the process that holds its other end is gone, or wants this one to end."""
    import uvicorn

    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, host="127.0.0.1", port=port, log_level="error"
    )
    server = uvicorn.Server(config)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True
        time.sleep(_STOP_SECONDS)
        os._exit(0)  # open connections would keep it from ending cleanly

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
