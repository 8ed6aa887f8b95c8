"""What shards run in, and how to tell that it is gone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.exceptions import PrefectHTTPStatusError
from prefect.task_runners import TaskRunner

from tasks.errors import UserError

_SERVER_ERROR = 500


class EngineGone(UserError):
    """A scheduler, cluster or server that shards run in went away: what was under way can be run again."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A started task runner. ``is_there`` asks whether what it hands tasks to can still be reached, ``gone`` are the
    errors of tasks that were lost with that."""

    runner: TaskRunner[Any]
    is_there: Callable[[], bool] = lambda: True
    gone: tuple[type[BaseException], ...] = ()


def server_is_away(error: BaseException) -> bool:
    """Whether an error tells of a Prefect server that does not answer, not of what was asked."""
    if isinstance(error, PrefectHTTPStatusError):
        return error.response.status_code >= _SERVER_ERROR
    return isinstance(error, httpx.TransportError)
