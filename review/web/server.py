"""``review serve``: check that it is safe to serve, then run uvicorn."""

import ipaddress
import os
import socket
from collections.abc import Callable
from datetime import timedelta

import uvicorn

from review.errors import BadInputError
from review.finds import FindSource
from review.pictures import FrameSource
from review.queue import Queue
from review.reviewers import list_reviewers
from review.web.app import create_app
from review.web.protocol import limited_protocol

SECRET_VARIABLE = "CLIPOMALY_SESSION_SECRET"
_IDLE_SECONDS = 30  # between two requests of a connection: the page asks for its numbers every 8
_PATIENCE = 2.0  # the page tries again by itself; a thread that waits longer only blocks others


def serve(
    url: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8400,
    frames: FrameSource | None = None,
    finds: FindSource | None = None,
    lease: timedelta = timedelta(minutes=5),
    https: bool = False,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the review page of the queue at ``url`` until interrupted.

    Where others can reach it (beyond loopback, or by a proxy) there must be reviewers. ``https`` says that
    a proxy before this server speaks TLS; port 0 takes a free one. ``ready`` is told the address once
    requests are taken. The variable CLIPOMALY_SESSION_SECRET (32 characters or more) keeps sessions over
    restarts.

    Raises BadInputError when the address may not or cannot be served.
    """
    secret = os.environ.get(SECRET_VARIABLE)
    if secret is not None and len(secret) < 32:
        raise BadInputError(f"{SECRET_VARIABLE} has fewer than 32 characters. Make a longer one at random.")
    with Queue.open(url, lease=lease, patience=_PATIENCE, create=False) as queue:
        check_address(queue, host, https)
        app = create_app(queue, frames, finds=finds, secret=secret, https=https)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            server_header=False,
            proxy_headers=https,
            http=limited_protocol(most=None) if https else limited_protocol(),
            timeout_keep_alive=_IDLE_SECONDS,
        )
        with listen(host, port) as listening:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listening.getsockname()[1]}")
            uvicorn.Server(config).run(sockets=[listening])


def check_address(queue: Queue, host: str, https: bool = False) -> None:
    """Raises BadInputError for an address that others can reach while anybody could judge."""
    if (https or not is_loopback(host)) and not list_reviewers(queue):
        reached = "the proxy" if https else host
        raise BadInputError(
            f"Others can reach {reached}, and this queue has no reviewers: anybody could judge. "
            "Create reviewers first (clipomaly review add-reviewer NAME), or serve on 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises BadInputError for an address that cannot be served."""
    # Bound here and not by uvicorn, which would end the process with a log line of its own.
    try:
        [(family, *_, address)] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[:1]
        # Saying TCP lets asyncio switch off Nagle's delay, which costs each answer up to 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        raise BadInputError(
            f"Port {port} of {host} cannot be served: {error.strerror}. Give --port another."
        ) from error
    return listening
