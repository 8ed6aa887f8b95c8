"""``clipomaly dataset``: a command with commands of its own."""

from datetime import datetime
from typing import Annotated

import typer

from clipomaly.cli.arguments import DAY, DAY_SHOWN, Json, QueueUrl, one_of
from schemas.dataset_format import Blur, DatasetFormat

dataset = typer.Typer(no_args_is_help=True, help="Training data of what people judged.")


@dataset.command()
def build(
    queue: QueueUrl,
    tables: Annotated[str, typer.Option("--tables", help="The tables that the queue was mined from: folder or URL.")],
    out: Annotated[str, typer.Option("--out", help="A new folder, or any fsspec URL.")],
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help=f"{one_of(DatasetFormat).capitalize()}, or what a plugin adds."
        ),
    ],
    name: Annotated[list[str] | None, typer.Option(help="Only objects judged to be this; repeatable.")] = None,
    drive: Annotated[list[str] | None, typer.Option(help="Only this drive; repeatable.")] = None,
    reviewer: Annotated[list[str] | None, typer.Option(help="Only what this reviewer judged; repeatable.")] = None,
    first_day: Annotated[
        datetime | None,
        typer.Option("--from", formats=DAY, metavar=DAY_SHOWN, help="Captured on this day or later (UTC)."),
    ] = None,
    last_day: Annotated[
        datetime | None,
        typer.Option("--to", formats=DAY, metavar=DAY_SHOWN, help="Captured on this day or before (UTC)."),
    ] = None,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Smallest share of judged look-alikes that got the same verdict.")
    ] = 0.0,
    best: Annotated[
        int | None, typer.Option(min=1, help="At most so many frames of a track, the best ones (default all).")
    ] = None,
    no_known: Annotated[bool, typer.Option("--no-known", help="Leave out known classes, the hard negatives.")] = False,
    no_background: Annotated[
        bool, typer.Option("--no-background", help="Leave out what was judged not to be an object.")
    ] = False,
    fully_labelled: Annotated[
        bool, typer.Option("--fully-labelled", help="Leave out frames with an instance that has no label.")
    ] = False,
    vouched_masks: Annotated[
        bool, typer.Option("--vouched-masks", help="Only masks that a person called right or repaired.")
    ] = False,
    split: Annotated[str, typer.Option(help="Shares of train, val and test, by drive.")] = "80/10/10",
    seed: Annotated[int, typer.Option(help="Of the split: the same seed divides the drives the same way.")] = 0,
    near: Annotated[
        float, typer.Option(min=0, max=1, help="Report objects of different splits with at least this cosine.")
    ] = 0.95,
    blur: Annotated[
        list[Blur] | None,
        typer.Option(
            metavar="WHAT", help=f"Make {one_of(Blur)} unrecognisable in the pictures, where found; repeatable."
        ),
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out frames that the archive does not have any more.")
    ] = False,
) -> None:
    """Build a training dataset of accepted and renamed objects, hard negatives and background.

    A build that was cut off goes on when it is run again.

    Example: clipomaly dataset build --queue queue.db --tables tables --out dataset --format coco
    """
    from clipomaly.cli.rendering.console import progress_bar
    from clipomaly.cli.rendering.dataset import print_built
    from flows.dataset_request import DatasetRequest, build_from_queue
    from tasks.datasets.build import DatasetOptions
    from tasks.datasets.judged_items import make_wanted
    from tasks.datasets.split import read_shares

    wanted = make_wanted(
        names=name or (),
        drives=drive or (),
        reviewers=reviewer or (),
        first_day=first_day.date() if first_day else None,
        last_day=last_day.date() if last_day else None,
        agreement=agreement,
        best=best,
        known=not no_known,
        background=not no_background,
        fully_labelled=fully_labelled,
        vouched_masks=vouched_masks,
    )
    options = DatasetOptions(tables, form, wanted, seed, read_shares(split), near, tuple(sorted(set(blur or ()))))
    with progress_bar("frames") as bar:
        task = bar.add_task("frames", total=None)
        built = build_from_queue(
            DatasetRequest(queue, out, options, skip_missing),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    print_built(built, out)


@dataset.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="The older dataset: folder or URL.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The newer one, in any format.")],
    as_json: Json = False,
) -> None:
    """Tell what differs between two datasets: samples that were added, changed or dropped, by name and one by one.

    A sample is an item on a frame. The line of a changed one says what differs: split, role, name, mask or picture.

    Example: clipomaly dataset diff dataset-november dataset-december
    """
    from clipomaly.cli.rendering.dataset import print_diff
    from tasks.datasets.diff import diff_datasets

    print_diff(diff_datasets(before, after), as_json)
