"""The functions of the public API. Each does what the command of the same name does. ``clipomaly`` offers them."""

import os
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

if TYPE_CHECKING:
    from flows.night import Summary
    from tasks.datasets.build import Built
    from tasks.datasets.judged_items import Filters
    from tasks.scanning.status import ScanStatus
    from tasks.tables.text_search import SearchResult

PathLike: TypeAlias = str | os.PathLike[str]
Value: TypeAlias = str | float | int | bool | None


class ScanOptions(TypedDict, total=False):
    """The options of a scan, each as ``clipomaly scan --help`` has it; ``method`` holds those of the method."""

    prefixes: Iterable[str]
    inventory: PathLike | None
    model: str
    weights: PathLike | None
    vocabulary: PathLike | None
    fps: float
    keyframes: bool
    decoder: str
    shard_minutes: float
    runner: str
    workers: int | None
    address: str | None
    device: str
    report: PathLike | None
    review_url: str | None
    queue: PathLike | None
    queue_items: int
    publish: bool
    strict: bool
    notify: str | None
    metrics: PathLike | None
    log_level: str | None
    log_format: str
    method: Mapping[str, Value]


def scan(archive: PathLike, out: PathLike, **options: Unpack[ScanOptions]) -> "Summary":
    """Scan an archive of footage into tables. A second call scans only what is new or was interrupted.

    Args:
        archive: where the footage is: a folder, a file or any fsspec URL.
        out: where the Parquet tables go: a folder or any fsspec URL.
        options: see ``ScanOptions``. Neither the environment nor ``clipomaly.toml`` is read.

    Returns:
        What was done: counts of frames, instances and names, and each source that could not be read whole.

    Raises:
        UserError: an archive or tables that cannot be reached; UsageError for a wrong option.

    Example:
        >>> import clipomaly
        >>> summary = clipomaly.scan("footage", "tables", fps=2)
        >>> summary.names.most_common(1)
        [('mattress', 4)]
    """
    from flows.parameters import make_parameters
    from flows.scan import run_scan

    return run_scan(make_parameters(archive=archive, tables=out, **options))


def status(tables: PathLike) -> "list[ScanStatus]":
    """What each scan into these tables did, which sources failed, and what is left; the oldest scan first.

    Raises:
        UserError: tables that cannot be read.

    Example:
        >>> import clipomaly
        >>> [night.frames for night in clipomaly.status("tables")]
        [120]
    """
    from tasks.scanning.status import read_status
    from tasks.tables import Tables

    return read_status(Tables.at(tables))


def search(
    tables: PathLike,
    text: str,
    count: int = 20,
    *,
    since: date | None = None,
    until: date | None = None,
    drive: str | None = None,
    name: str | None = None,
    model: str | None = None,
    weights: PathLike | None = None,
    device: str = "auto",
) -> "SearchResult":
    """Rank all scanned objects by how well they fit a text. No pixels are read.

    Args:
        tables: where the tables are.
        text: what to look for, in a few words.
        count: how many results, one for each object.
        since: captured on this day (UTC) or later.
        until: captured on this day (UTC) or earlier.
        drive: only of this drive.
        name: only with this name.
        model: the model that scanned; None takes it from the tables.
        weights: its weights, if the scan used a file or URL of weights.
        device: where the text is embedded.

    Raises:
        UserError: there are no tables or embeddings, or the model is not the one that scanned.

    Example:
        >>> import clipomaly
        >>> [hit.name for hit in clipomaly.search("tables", "a mattress on the road", 3).hits]
        ['mattress', 'mattress', 'sofa']
    """
    from tasks.tables import Tables
    from tasks.tables.search import SearchFilters
    from tasks.tables.text_search import run_search

    place = None if weights is None else os.fspath(weights)
    filters = SearchFilters(since, until, drive, name)
    return run_search(Tables.at(tables), text, filters, count, model, place, device)


def build_dataset(
    queue: PathLike,
    tables: PathLike,
    out: PathLike,
    format: str = "coco",
    *,
    split: str = "80/10/10",
    seed: int = 0,
    near: float = 0.95,
    blur: Iterable[str] = (),
    skip_missing: bool = False,
    **wanted: "Unpack[Filters]",
) -> "Built":
    """Build a training dataset from decisions. To continue an interrupted build, call it again.

    Args:
        queue: the review queue: a file, or ``postgresql://…`` of a database.
        tables: the tables that the queue was mined from.
        out: a new folder, or any fsspec URL.
        format: ``coco``, ``yolo-seg``, ``webdataset``, ``cityscapes``, ``parquet``, or one that a plugin adds.
        split: shares of train, val and test, by drive.
        seed: of the split.
        near: objects of different splits with at least this cosine, in [0, 1], are reported.
        blur: ``faces`` and ``plates`` make these unrecognisable where a detector finds them.
        skip_missing: leave out frames that the archive no longer has.
        wanted: which items, by the fields of ``tasks.datasets.judged_items.Wanted``, such as ``names=["mattress"]``.

    Raises:
        UserError: tables, footage or a folder that cannot be used; UsageError for a wrong option;
            ReviewError for the queue.

    Example:
        >>> import clipomaly
        >>> built = clipomaly.build_dataset("queue.db", "tables", "dataset", "coco")
        >>> built.manifest.counts.splits[0].instances
        38
    """
    from flows.dataset_request import DatasetRequest, build_from_queue
    from tasks.datasets.blurring import read_blurs
    from tasks.datasets.build import DatasetOptions
    from tasks.datasets.judged_items import make_wanted
    from tasks.datasets.split import read_shares

    options = DatasetOptions(
        os.fspath(tables), format, make_wanted(**wanted), seed, read_shares(split), near, read_blurs(blur)
    )
    return build_from_queue(DatasetRequest(os.fspath(queue), os.fspath(out), options, skip_missing))
