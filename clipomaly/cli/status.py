"""``clipomaly status``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Tables


def status(
    tables: Tables,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array, an entry for each scan, with every source.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of each lost shard.")] = False,
) -> None:
    """Say what is scanned, what failed and why, and what is left.

    Also says when published tables are behind, and when files of older versions
    lack columns.

    Exits 1 when something that a scan planned is left: run the same scan again.
    So it does when files of the tables are gone or cut off (see clipomaly check), and where there are no
    tables.

    Example: clipomaly status s3://fleet/tables
    """
    from clipomaly.cli.rendering.status import print_outdated, print_status, print_status_json
    from clipomaly.cli.rendering.tables import print_behind
    from tasks.scanning.status import no_tables, read_status
    from tasks.tables import Tables as Opened

    there = Opened.at(tables)
    scans = read_status(there)
    if not scans:
        raise no_tables(tables)
    if as_json:
        print_status_json(scans)
    else:
        print_status(scans, tables, verbose)
    damaged = any(scan.damaged for scan in scans)
    if not (as_json or damaged):  # the damage comes first
        print_behind(there.behind(), tables)
        print_outdated(there.outdated(), tables)
    if damaged or any(scan.left for scan in scans):
        raise typer.Exit(1)
