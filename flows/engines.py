"""The engine that runs shards, and how to find out that it is gone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import UserError

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

_SERVER_ERROR = 500


class EngineGone(UserError):
    """The scheduler, cluster or server that runs shards went away. The running shards can be run again."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A started task runner. ``is_there`` tests whether its engine can still be reached; ``gone`` are the errors of
    tasks that were lost with it."""

    runner: "TaskRunner[Any]"
    is_there: Callable[[], bool] = lambda: True
    gone: tuple[type[BaseException], ...] = ()


def server_is_away(error: BaseException) -> bool:
    """Whether an error means that the Prefect server does not answer, rather than that the request was wrong."""
    import httpx  # only Prefect's errors are asked about, and a scan in this process has none

    if isinstance(error, httpx.HTTPStatusError):  # Prefect's own error is one
        return error.response.status_code >= _SERVER_ERROR
    return isinstance(error, httpx.TransportError)
