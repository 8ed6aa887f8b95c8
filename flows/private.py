"""Keep secrets out of the parameters of a flow run: Prefect's server shows these to everybody who can reach it."""

import os

from flows.parameters import ScanParameters
from schemas.safe_text import has_secret
from tasks.errors import UsageError

NOTIFY = "CLIPOMALY_NOTIFY"
"""The variable of the environment that holds the addresses of messages."""


def keep_private(parameters: ScanParameters) -> ScanParameters:
    """The parameters without the addresses for messages, which are put into the environment of this process.

    Raises:
        UsageError: any other secret among the parameters.
    """
    if parameters.notify:
        os.environ[NOTIFY] = parameters.notify
        parameters = parameters.model_copy(update={"notify": None})
    refuse_secrets(parameters)
    return parameters


def refuse_secrets(parameters: ScanParameters) -> None:
    """Raises UsageError where a parameter of a flow run holds a secret."""
    if parameters.notify:
        raise UsageError(f"notify holds secrets, which Prefect's API would show: set {NOTIFY} where the flow runs.")
    for name, value in parameters:
        if isinstance(value, str) and has_secret(value):
            raise UsageError(
                f"{name} holds a password, which Prefect's API would show. Give it where the flow runs: by "
                "~/.pgpass or PGPASSWORD for PostgreSQL, the environment or fsspec's configuration for storage."
            )
