"""One run at a time of each archive, whatever deployments and machines they come from."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency

from flows.engines import server_is_away
from flows.parameters import ScanParameters
from flows.steps import one_line

log = logging.getLogger("clipomaly.night")

_LEASE_SECONDS = 120.0  # after which a machine that died holds its place no more


class Busy(Exception):
    """Another run scans this archive into these tables."""


@contextmanager
def one_at_a_time(parameters: ScanParameters) -> Iterator[None]:
    """Hold a limit of the Prefect server, of one run for this archive and these tables.

    Two runs at once would do no harm, only the same work twice: a server that cannot be asked is no reason not to
    scan.

    Raises:
        Busy: another run holds it.
    """
    what = "\n".join((parameters.archive, parameters.tables, *parameters.prefixes))
    name = f"clipomaly-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    try:
        with get_client(sync_client=True) as client:
            client.upsert_global_concurrency_limit_by_name(name, 1)
    except Exception as error:
        if not server_is_away(error):
            raise
        log.warning("the Prefect server is away: other runs of this archive are not looked for (%s)", one_line(error))
        yield
        return
    held = concurrency(
        name, timeout_seconds=1, lease_duration=_LEASE_SECONDS, strict=False, raise_on_lease_renewal_failure=False
    )
    try:
        held.__enter__()
    except TimeoutError as error:
        raise Busy(f"another run scans {parameters.archive} into {parameters.tables}") from error
    try:
        yield
    finally:
        try:
            held.__exit__(None, None, None)
        except Exception as error:
            if not server_is_away(error):
                raise
            log.warning("the Prefect server is away: the hold on this archive ends by itself (%s)", one_line(error))
