"""Build a training dataset of judged items: plan first, pictures in parts, manifest last.

OUT/_build/…              the plan and a record for each part that is done; gone when the dataset is finished
OUT/<files of the format>
OUT/frames.parquet        where each frame comes from, where its picture is, and its sha256
OUT/labels.parquet        each instance: mask, item, scan, and who decided what when
OUT/near_duplicates.csv   frames of different splits that look alike
OUT/README.md, samples.jpg
OUT/manifest.json         written last: a dataset is whole when it is there
"""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from pydantic import TypeAdapter, ValidationError

from schemas.dataset import DatasetFrame, NearPair
from schemas.review import QueuedItem
from schemas.version import VERSION
from tasks.datasets.blurring import Blurrer, load_blurrer
from tasks.datasets.card import card, sample_sheet
from tasks.datasets.format import Format, Kept, Losses, OutputFile
from tasks.datasets.formats import format_named
from tasks.datasets.image_store import JPEG_QUALITY, ImageForm, gone_sources
from tasks.datasets.manifest import Blurring, Counts, Manifest, Placed, count, frame_rows, label_rows
from tasks.datasets.plan import (
    BUILD,
    DatasetOptions,
    DonePart,
    Missing,
    Plan,
    difference,
    file_hash,
    make_plan,
    plan_digest,
    read_plan,
    write_files,
    write_parts,
    write_plan,
)
from tasks.datasets.selection import select
from tasks.errors import UserError
from tasks.storage import Location, cannot_read, exists, is_local, locate, read_file, replace_file
from tasks.storage_errors import storage_errors
from tasks.tables import Tables

_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{32}")  # what a killed writer leaves beside its file


@dataclass(frozen=True, slots=True)
class Built:
    """What ``build_dataset`` did. ``resumed`` says that it went on with an older plan, ``there`` that the same
    dataset was there already."""

    manifest: Manifest
    resumed: bool = False
    there: bool = False


_MANIFEST = TypeAdapter(Manifest)


def build_dataset(
    items: Callable[[], Iterable[QueuedItem]],
    out_url: str,
    options: DatasetOptions,
    *,
    skip_missing: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Built:
    """Build a dataset, or continue a build that was interrupted.

    Args:
        items: gives the judged items of the queue; not called when a build goes on, which keeps to its plan.
        out_url: an empty or new folder, or any fsspec URL.
        options: what is taken and how it is written.
        skip_missing: leave out frames that cannot be read any more instead of failing.
        progress: called with the number of written frames and that of all frames.

    Raises:
        UserError: nothing to build of, frames gone, a place that holds something else or cannot be written.
            There is no manifest then; the same command goes on where it ended.
    """
    out = locate(out_url)
    format_named(options.format)  # raises before anything is read
    blur = load_blurrer(options.blur) if options.blur else None
    detectors = blur.detectors if blur else ()
    resumed = exists(out.child(f"{BUILD}/plan.json"))
    if resumed and not exists(out.child("manifest.json")):
        plan, frames = read_plan(out)
        if plan.options != options:
            raise UserError(
                f"{out.url} holds an unfinished build of another selection ({difference(plan.options, options)}). "
                "Run that one again, remove the folder, or name another."
            )
        if plan.detectors != detectors:
            raise UserError(
                f"{out.url} holds an unfinished build that blurs with another detector "
                f"({', '.join(detector.package for detector in plan.detectors)}). Install that one again, "
                "or remove the folder."
            )
    else:
        resumed = False
        selection = select(items(), Tables.at(options.tables), options.wanted, options.seed, options.shares)
        plan, frames = make_plan(selection, options, detectors), selection.frames
        if manifest := read_manifest(out_url):
            if manifest.selection != plan_digest(plan, frames):
                raise UserError(
                    f"{out.url} holds a dataset of another selection. Name another folder: a dataset that somebody "
                    "may be training with is not changed."
                )
            clear_build(out)
            return Built(manifest, there=True)
        _check_place(out)
        gone = gone_sources(frames)
        if gone and not skip_missing:
            raise UserError(
                f"{len(gone)} source{'s' if len(gone) > 1 else ''} of the dataset {'are' if len(gone) > 1 else 'is'} "
                f"gone from the archive, such as {gone[0]}. Bring them back, or leave their frames out by "
                "--skip-missing."
            )
        write_plan(out, plan, frames)
    manifest = write_dataset(out, plan, frames, blur, skip_missing, progress)
    if resumed:
        _sweep(out)
    clear_build(out)
    return Built(manifest, resumed=resumed)


def write_dataset(
    out: Location,
    plan: Plan,
    frames: Sequence[DatasetFrame],
    blur: Blurrer | None,
    skip_missing: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write what is planned and not written yet, the manifest last. Raises UserError for frames that are gone."""
    done = write_parts(out, plan, frames, blur, skip_missing, progress)
    missing = tuple(frame for part in done for frame in part.missing)
    if missing and not skip_missing:
        raise UserError(
            f"{len(missing)} of {len(frames)} frames can no longer be read, such as frame {missing[0].frame_index} "
            f"of {missing[0].source_uri} ({missing[0].error}). Bring them back and run the same command again, or "
            "leave them out by --skip-missing."
        )
    if len(missing) == len(frames):
        raise UserError(f"None of the {len(frames)} frames can be read any more: {missing[0].error}.")
    return _finish(out, plan, frames, done, blur)


def read_manifest(out_url: str) -> Manifest | None:
    """The manifest of a dataset; None where there is no finished one. Raises UserError when it is damaged."""
    place = locate(out_url).child("manifest.json")
    if not exists(place):
        return None
    try:
        return _MANIFEST.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is not the manifest of a Clipomaly dataset. Name another folder.") from error


def _check_place(out: Location) -> None:
    try:
        found = out.fs.ls(out.path, detail=False) if out.fs.exists(out.path) else []
    except storage_errors() as error:
        raise cannot_read(out, error) from error
    # A killed build that had no plan yet left its folder; a store lists the prefix itself.
    others = [path for path in map(str, found) if path.rstrip("/").rsplit("/", 1)[-1] not in ("", BUILD)]
    if others:
        raise UserError(f"{out.url} is not empty and holds no dataset of Clipomaly. Name another folder.")


def clear_build(out: Location) -> None:
    """Remove the plan and the records of parts of a dataset that is whole. Raises UserError when that fails."""
    build = out.child(BUILD)
    try:
        if out.fs.exists(build.path):
            out.fs.rm(build.path, recursive=True)
    except storage_errors() as error:
        raise UserError(f"The dataset is whole, but {build.url} cannot be removed: {error}. Remove it.") from error


def _sweep(out: Location) -> None:
    """Remove the half-written temporary files that a killed build left on a local disk."""
    if is_local(out.fs):
        for folder, _, names in os.walk(out.path):
            for name in names:
                if _LEFT_BEHIND.fullmatch(name):
                    os.unlink(os.path.join(folder, name))


def _finish(
    out: Location, plan: Plan, frames: Sequence[DatasetFrame], done: Sequence[DonePart], blur: Blurrer | None
) -> Manifest:
    form = format_named(plan.options.format)
    placed = {placed_frame.frame_id: placed_frame for part in done for placed_frame in part.placed}
    kept = [Kept(frame, placed[frame.frame_id].path) for frame in frames if frame.frame_id in placed]
    hashes = [file for part in done for file in part.files]
    for file in write_files(out, form.closing(kept, plan.classes)):
        hashes.append(file_hash(file))
    left = [placed_frame.frame for placed_frame in kept]
    manifest = Manifest(
        clipomaly=VERSION,
        format=plan.options.format,
        selection=plan_digest(plan, frames),
        options=plan.options.wanted,
        tables=plan.options.tables,
        seed=plan.options.seed,
        shares=plan.options.shares,
        near_threshold=plan.options.near,
        objects=plan.classes.objects,
        known=plan.classes.known,
        scans=plan.scans,
        counts=count(left),
        pictures=_told_pictures(list(placed.values()), form),
        limits=form.limits,
        losses=sum((part.losses for part in done), Losses()),
        warnings=plan.warnings,
        without_rows=plan.without_rows,
        left_out=plan.left_out,
        near_duplicates=len(plan.near),
        missing=tuple(
            f"{frame.source_uri} frame {frame.frame_index}: {frame.error}" for part in done for frame in part.missing
        ),
        blur=Blurring(
            plan.detectors,
            sum(image.blurred > 0 for image in placed.values()),
            sum(image.blurred for image in placed.values()),
        ),
        files=(),
    )
    sheet = sample_sheet(left, blur)
    closing = [
        OutputFile("frames.parquet", frame_rows(left, placed)),
        OutputFile("labels.parquet", label_rows(left)),
        OutputFile("near_duplicates.csv", _near_rows(plan.near)),
        OutputFile("README.md", card(manifest, form, plan.near, sheet is not None).encode()),
        *([OutputFile("samples.jpg", sheet)] if sheet else []),
    ]
    hashes += [file_hash(file) for file in write_files(out, closing)]
    whole = manifest.with_files(sorted(hashes, key=lambda file: file.path))
    replace_file(out.child("manifest.json"), _MANIFEST.dump_json(whole, indent=1) + b"\n")
    return whole


def _told_pictures(placed: Sequence[Placed], form: Format) -> str:
    copied = sum(image.copied for image in placed)
    how = "PNG" if form.images is ImageForm.PNG else f"JPEG of quality {JPEG_QUALITY}"
    return f"{copied} copied as they are, {len(placed) - copied} encoded as {how}"


def _near_rows(pairs: Iterable[NearPair]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(NearPair))
    for pair in pairs:
        writer.writerow(getattr(pair, field.name) for field in fields(NearPair))
    return text.getvalue().encode()


__all__ = ["Built", "Counts", "DatasetOptions", "Missing", "build_dataset", "read_manifest"]
