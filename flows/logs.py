"""Logging: the loggers ``clipomaly.*``, on stderr as text or JSON, and in Prefect's logs; errors in one line."""

import logging
import os
import sys

from pythonjsonlogger.json import JsonFormatter

from flows.choices import LogFormat, LogLevel
from flows.engines import server_is_away
from review.errors import ReviewError
from schemas.safe_text import masked, printable
from tasks.errors import UserError

_OURS = logging.getLogger("clipomaly")
_EXPLAINED = ("gcsfs", "azure", "paramiko")
"""Storage libraries that also log what they raise, over many lines. We print one line instead."""
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JSON = ("asctime", "levelname", "name", "message")
_JSON_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "trace"}
_NOTICES = "clipomaly.method"


def set_up_logging(level: LogLevel | None, form: LogFormat) -> None:
    """Log to stderr from ``level`` up, and in a flow or task run also to Prefect, from INFO up.

    Without a level, only notices of the method go to stderr, each as a plain line: a plugin that is left out, an option
    with an old name. With CLIPOMALY_DEBUG, everything goes there. A second call replaces the first.
    """
    if level is None and os.environ.get("CLIPOMALY_DEBUG"):
        level = LogLevel.DEBUG
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setLevel(logging.WARNING if level is None else level.upper())
    if form is LogFormat.JSON:
        stderr.setFormatter(JsonFormatter(_JSON, rename_fields=_JSON_NAMES))
    else:
        stderr.setFormatter(logging.Formatter("%(message)s" if level is None else _TEXT))
    if level is None:
        stderr.addFilter(logging.Filter(_NOTICES))
    for name in _EXPLAINED:
        logging.getLogger(name).setLevel(logging.NOTSET if level is LogLevel.DEBUG else logging.CRITICAL)
    _OURS.handlers = [stderr]
    if "prefect" in sys.modules:  # else there is no run to log to, and importing it takes seconds
        _OURS.addHandler(_to_prefect())
    for handler in _OURS.handlers:
        handler.addFilter(_make_safe)
    _OURS.setLevel(logging.DEBUG if level is LogLevel.DEBUG else logging.INFO)
    _OURS.propagate = False
    logging.getLogger("prefect._internal.concurrency").addFilter(_not_of_each_event)
    logging.getLogger("prefect.flow_runs").addFilter(_without_trace_of_server)


def _to_prefect() -> logging.Handler:
    from prefect.logging.handlers import APILogHandler

    handler = APILogHandler()
    handler.setLevel(logging.INFO)
    handler.addFilter(_in_a_run)
    return handler


def _in_a_run(_: logging.LogRecord) -> bool:
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _not_of_each_event(record: logging.LogRecord) -> bool:
    """Leave out Prefect's lines of a thousand letters for each event that its server did not take: one line of ours
    says that the server cannot be reached."""
    return "failed to process item" not in str(record.msg)


def _without_trace_of_server(record: logging.LogRecord) -> bool:
    """Leave out traces that only say that Prefect's server does not answer."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and server_is_away(error):
        record.msg, record.args, record.exc_info = (
            f"the Prefect server cannot be reached: {one_line(error)}",
            None,
            None,
        )
    return True


def _make_safe(record: logging.LogRecord) -> bool:
    """Hide secrets, and make sure that a name cannot forge a log line."""
    record.msg, record.args = printable(masked(record.getMessage())), None
    if record.exc_info:
        record.exc_text = masked(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None
    return True


def one_line(error: BaseException) -> str:
    """The text of an error, for people, without secrets."""
    known = isinstance(error, UserError | ReviewError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    lines = text.strip().splitlines()
    return masked(lines[0]) if lines else type(error).__name__
