"""Remove the frames of some sources from a finished dataset: it is planned without them and written again.

The split of the other frames and the numbers of the classes stay as they are. When it is killed, the same call goes on.
"""

import csv
import io
from collections.abc import Callable, Collection, Sequence

import pyarrow.parquet as pq

from schemas.dataset import DatasetFrame, NearPair, Split
from tasks.datasets.blurring import load_blurrer
from tasks.datasets.build import clear_build, read_manifest, write_dataset
from tasks.datasets.format import Classes
from tasks.datasets.image_store import gone_sources
from tasks.datasets.manifest import Manifest, read_frames_back
from tasks.datasets.plan import BUILD, DatasetOptions, Plan, known_vocabulary, read_plan, scans_of, write_plan
from tasks.datasets.split import check_splits
from tasks.errors import UserError
from tasks.storage import Location, exists, files_below, locate, read_file, remove_files


def forget_in_dataset(
    url: str, source_uris: Collection[str], progress: Callable[[int, int], None] | None = None
) -> int:
    """Write a dataset again without the frames of these sources; returns how many frames were removed.

    Args:
        url: a finished dataset, or one that an earlier call left unfinished: folder or any fsspec URL.
        source_uris: the sources, by their ``source_uri``.
        progress: called with the number of written frames and that of all frames.

    Raises:
        UserError: there is no dataset; footage of its other frames is gone, so that it cannot be written again (then
            nothing was changed); the place cannot be written.
    """
    out = locate(url)
    manifest = read_manifest(url)
    if manifest is not None:
        frames = read_frames_back(read_file(out.child("frames.parquet")), read_file(out.child("labels.parquet")))
    elif exists(out.child(f"{BUILD}/plan.json")):
        plan, frames = read_plan(out)
    else:
        raise UserError(f"{out.url} is no dataset of Clipomaly: it has no manifest.json.")
    left = tuple(frame for frame in frames if frame.source_uri not in source_uris)
    removed = len(frames) - len(left)
    if manifest is not None and not removed:
        return 0
    if not left:
        _remove_all_but(out, ())
        return removed
    if gone := gone_sources(left):
        raise UserError(
            f"{out.url} cannot be written again without the forgotten frames: {len(gone)} of its other sources "
            f"{'are' if len(gone) > 1 else 'is'} gone from the archive, such as {gone[0]}. Bring them back and forget "
            "again, or remove the dataset."
        )
    if manifest is not None:
        plan = _plan_without(out, manifest, left)
    blur = load_blurrer(plan.options.blur) if plan.options.blur else None
    if plan.detectors != (blur.detectors if blur else ()):
        packages = ", ".join(detector.package for detector in plan.detectors)
        raise UserError(
            f"{out.url} was blurred with another detector ({packages}). "
            "Install that one again and forget again, or remove the dataset."
        )
    if removed:  # a plan that an earlier call made keeps its parts
        clear_build(out)
        write_plan(out, plan, left)
        remove_files([out.child("manifest.json")])  # first: without it, the next call goes on with the plan
        _remove_all_but(out, (BUILD,))
    written = write_dataset(out, plan, left, blur, progress=progress)
    _remove_all_but(out, (*_files_of(out, written), "manifest.json"))
    return removed


def _plan_without(out: Location, manifest: Manifest, left: Sequence[DatasetFrame]) -> Plan:
    """The plan of a finished dataset, for the frames that stay."""
    blur = tuple(detector.what for detector in manifest.blur.detectors)
    options = DatasetOptions(
        manifest.tables,
        manifest.format,
        manifest.options,
        manifest.seed,
        manifest.shares,
        manifest.near_threshold,
        blur,
    )
    scans = scans_of(manifest.tables, left)
    found = {scan.scan_id for scan in scans}
    ids = {frame.frame_id for frame in left}
    return Plan(
        options,
        manifest.blur.detectors,
        Classes(manifest.objects, manifest.known, known_vocabulary(scans)),
        tuple(pair for pair in _near_pairs(out) if {pair.frame_id, pair.other_frame_id} <= ids),
        check_splits(left, manifest.seed, manifest.shares),
        manifest.without_rows,
        manifest.left_out,
        tuple(scan for scan in manifest.scans if scan.scan_id in found),
    )


def _near_pairs(out: Location) -> list[NearPair]:
    rows = csv.DictReader(io.StringIO(read_file(out.child("near_duplicates.csv")).decode()))
    return [
        NearPair(
            row["frame_id"],
            row["other_frame_id"],
            Split(row["split"]),
            Split(row["other_split"]),
            row["name"] or None,
            row["other_name"] or None,
            float(row["cosine"]),
        )
        for row in rows
    ]


def _files_of(out: Location, manifest: Manifest) -> list[str]:
    pictures = pq.read_table(io.BytesIO(read_file(out.child("frames.parquet"))), columns=["path"])["path"]
    return [file.path for file in manifest.files] + pictures.to_pylist()


def _remove_all_but(out: Location, kept: Collection[str]) -> None:
    """Remove every file of the dataset that is neither one of ``kept`` nor below one of them."""
    out.fs.invalidate_cache()
    others = [name for name in files_below(out) if name not in kept and name.split("/")[0] not in kept]
    remove_files(out.child(name) for name in others)
