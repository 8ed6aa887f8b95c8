"""``clipomaly status``."""

from flows.commands.arguments import Tables


def status(tables: Tables) -> None:
    """Say what is scanned, what failed and why.

    Example: clipomaly status s3://fleet/tables
    """
    from flows.terminal import print_status
    from tasks.status import read_status

    print_status(read_status(tables), tables)
