"""``review serve``: the checks before the door opens, then uvicorn."""

import ipaddress
import os
from datetime import timedelta

import uvicorn

from review.errors import BadInputError
from review.pictures import FrameSource
from review.queue import Queue
from review.reviewers import list_reviewers
from review.web.app import create_app

SECRET_VARIABLE = "CLIPOMALY_SESSION_SECRET"
_PATIENCE = 2.0  # the page itself tries again; a thread that waits longer only keeps others waiting


def serve(
    url: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8400,
    frames: FrameSource | None = None,
    lease: timedelta = timedelta(minutes=5),
    https: bool = False,
) -> None:
    """Serve the review page of the queue at ``url`` until interrupted.

    Beyond loopback there must be reviewers. ``https`` says that a proxy before this server speaks TLS.
    The variable CLIPOMALY_SESSION_SECRET (32 characters or more) keeps sessions over restarts.

    Raises BadInputError when the address may not be served.
    """
    secret = os.environ.get(SECRET_VARIABLE)
    if secret is not None and len(secret) < 32:
        raise BadInputError(f"{SECRET_VARIABLE} has fewer than 32 characters. Make a longer one at random.")
    with Queue.open(url, lease=lease, patience=_PATIENCE) as queue:
        check_address(queue, host)
        app = create_app(queue, frames, secret=secret, https=https)
        uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False, proxy_headers=https)


def check_address(queue: Queue, host: str) -> None:
    """Raises BadInputError for an address that others can reach while anybody could judge."""
    if not is_loopback(host) and not list_reviewers(queue):
        raise BadInputError(
            f"Others can reach {host}, and this queue has no reviewers: anybody could judge. "
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
