"""``clipomaly check``."""

from typing import Annotated

import typer

from clipomaly.cli.arguments import Tables


def check(
    tables: Tables,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Remove the commits of damaged shards, so that the next scan does them again."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare only the sizes of files, and read none of them.")
    ] = False,
) -> None:
    """Look for damage: files that are gone, cut off or changed, records that are lost or unreadable.

    Reads every file and compares its hash with the one that was recorded. With
    --repair, records are restored where a copy is left; damaged shards lose their
    commits and files, and the same scan does them again. Rows of other shards
    stay. Says when published tables are behind, and publishes them again after a
    repair. Exits 1 when something is damaged and not repaired.

    Example: clipomaly check s3://fleet/tables --repair
    """
    from clipomaly.cli.rendering.tables import (
        print_behind,
        print_finding,
        print_indexed,
        print_published,
        print_verdict,
    )
    from tasks.tables import Tables as Opened

    findings = []
    there = Opened.at(tables)
    for finding in there.check(repair=repair, hashes=not quick):
        print_finding(finding)
        findings.append(finding)
    print_verdict(findings)
    if any(finding.repair is None for finding in findings):
        raise typer.Exit(1)
    if repair and findings:
        for indexed in there.index_again():
            print_indexed(indexed)
        for published in there.publish_again():
            print_published(published)
    print_behind(there.behind(), tables)
