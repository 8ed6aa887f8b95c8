"""What ``clipomaly dataset`` prints."""

import json
from dataclasses import asdict

from rich.table import Table

from clipomaly.cli.rendering.console import plural, print_rows, stdout
from schemas.dataset import Role, Split
from tasks.datasets.build import Built
from tasks.datasets.diff import DatasetDiff, What

_MOST = 50


def print_built(built: Built, out: str) -> None:
    """The dataset in numbers: splits and the balance of its classes."""
    console = stdout()
    manifest = built.manifest
    if built.there:
        console.print(f"{out} already holds this dataset: nothing to do", markup=False)
    if built.resumed:
        console.print("continued the interrupted build; decisions made since it began are not in it")
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("class", "role", *Split):
        table.add_column(str(column), justify="right" if column in list(Split) else "left")
    cells: dict[tuple[str, Role], dict[Split, int]] = {}
    for counted in manifest.counts.classes:
        cells.setdefault((counted.name or "-", counted.role), {})[counted.split] = counted.instances
    for (name, role), by_split in cells.items():
        table.add_row(name.replace("[", r"\["), role, *(str(by_split.get(split, 0)) for split in Split))
    console.print(table)
    for split in manifest.counts.splits:
        console.print(
            f"{split.split}: {split.drives} drive{plural(split.drives)}, {split.frames} frame{plural(split.frames)}, "
            f"{split.instances} instance{plural(split.instances)}; "
            f"{split.unlabelled} frame{plural(split.unlabelled)} with an instance that has no label"
        )
    for warning in manifest.warnings:
        console.print(f"[yellow]note[/] {warning}")
    if manifest.near_duplicates:
        console.print(f"[yellow]note[/] {manifest.near_duplicates} look-alikes across splits: near_duplicates.csv")
    for detector in manifest.blur.detectors:
        console.print(f"blurred: {detector.what} found by {detector.name} ({detector.package}); it does not find all")
    if manifest.blur.detectors:
        console.print(f"{manifest.blur.places} places in {manifest.blur.frames} frames are blurred")
    if manifest.missing:
        console.print(f"[yellow]note[/] {len(manifest.missing)} frames could not be read and were left out")
    lost = manifest.losses
    if lost.holes or lost.divided or lost.hidden_pixels:
        console.print(
            f"[yellow]note[/] what {manifest.format} cannot hold: {lost.holes} masks with holes, {lost.divided} of "
            f"several parts, {lost.hidden_pixels} pixels under another mask"
        )
    console.print(f"written to {out}: README.md says what is in it and how to load it", markup=False)


def print_diff(diff: DatasetDiff, as_json: bool = False) -> None:
    """A table of names, then a line a sample, up to fifty of them; as JSON a line a sample and all of them."""
    if as_json:
        for change in diff.changes:
            print(json.dumps(asdict(change)))
        return
    if not diff.changes:
        print(f"both have the same {diff.same} samples")
        return
    rows = [(name or "-", *(str(counts[what]) for what in What)) for name, counts in diff.by_name().items()]
    print_rows(("name", *What), rows, right=[*What])
    total = {what: sum(change.what is what for change in diff.changes) for what in What}
    print(f"{', '.join(f'{count} {what}' for what, count in total.items())}, {diff.same} the same\n")
    shown = diff.changes[:_MOST]
    print_rows(
        ("", "name", "split", "frame", "source", "item", "what differs"),
        [
            (
                frame_change.what,
                frame_change.name or "-",
                frame_change.split,
                str(frame_change.frame_index),
                frame_change.source_uri,
                frame_change.item_id,
                frame_change.detail,
            )
            for frame_change in shown
        ],
        right=["frame"],
    )
    if len(shown) < len(diff.changes):
        print(f"{len(diff.changes) - len(shown)} more: --json prints all")
