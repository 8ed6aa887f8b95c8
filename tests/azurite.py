"""Azurite, Microsoft's emulator of Azure's blob storage, by npm."""

import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

_PACKAGE = "azurite@3"
_PATIENCE = 240  # npm may have to fetch it first
ACCOUNT = "fleetaccount"


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """A running blob service with an account of its own; gives its connection string. Skips where npm cannot run it."""
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npx is not installed: it comes with Node.js")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    command = [npx, "--yes", "--package", _PACKAGE, "azurite-blob", "--silent", "--skipApiVersionCheck"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
            start_new_session=True,
        )
        try:
            _wait(server, port, folder / "log")
            endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
            yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={endpoint};"
        finally:
            _end(server)


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    give_up = time.monotonic() + _PATIENCE
    while time.monotonic() < give_up:
        if server.poll() is not None:
            pytest.skip(f"npm cannot run Azurite here: {log.read_text(errors='replace')[-300:]}")
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace"))


def _end(server: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
