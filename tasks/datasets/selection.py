"""Which frames a dataset has: judged items, all frames of their tracks, and the masks that the tables hold."""

import hashlib
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

import cv2
import numpy as np

from clipomaly_core.names import lemma
from schemas.dataset import DatasetFrame, ItemEmbedding, Label, Role, Split
from schemas.geometry import box_iou
from schemas.review import UNKNOWN_NAME, Box, MaskState, QueuedItem
from tasks.addresses import file_name
from tasks.datasets.judged_items import (
    ROLES,
    FrameKey,
    InstanceRow,
    JudgedItem,
    Wanted,
    boxes_on_frames,
    corners,
    judged_item,
    own_row,
    rows_of_tracks,
)
from tasks.datasets.split import Shares, split_drives
from tasks.errors import UserError
from tasks.masks import decode_mask
from tasks.tables import Tables

_SAME_OBJECT = 0.7  # overlap of boxes above which what two scans found is one object


@dataclass(frozen=True, slots=True)
class Selection:
    """What a dataset will hold. ``frames`` in order of split, source and frame; ``classes`` are the names that
    people gave or accepted, in alphabetical order, then the ``known`` ones that are in it.

    ``without_rows`` counts items whose scan is no longer in the tables: they have the one frame that was judged.
    ``left_out`` counts frames that were left out because an instance on them has no label.
    """

    frames: tuple[DatasetFrame, ...]
    embeddings: tuple[ItemEmbedding, ...]
    objects: tuple[str, ...]
    known: tuple[str, ...]
    without_rows: int
    left_out: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class, in the order of their numbers."""
        return (*self.objects, *self.known)


def select(items: Iterable[QueuedItem], tables: Tables, wanted: Wanted, seed: int, shares: Shares) -> Selection:
    """Choose the frames of a dataset.

    Args:
        items: judged items of the queue, read once; duplicates of others are not among them.
        tables: the tables whose instances were judged.
        wanted: the filters.
        seed, shares: of the split by drive, see ``split_drives``.

    Raises:
        UserError: no tables; nothing left by the filters; a name that some called known and others an unknown
            object.
    """
    usable = (judged_item(queued) for queued in items if _is_usable(queued))
    judged = _one_spelling(sorted(usable, key=lambda one: one.item_id))
    agreement = _agreement(judged)
    chosen = [item for item in judged if _is_wanted(item, wanted, agreement[item.item_id])]
    if not judged:
        raise UserError(
            "There is nothing to build a dataset from: no decision to train on. "
            "Judge some items first: clipomaly review serve."
        )
    if not chosen:
        raise UserError(
            f"There is nothing to build a dataset from: of {len(judged):,} usable decisions, none "
            "passes the filters. Loosen them."
        )
    _check_names(chosen)
    scans = {scan.scan_id: scan.weights_sha256 for scan in tables.scans()}
    if not scans:
        raise UserError(f"There are no tables at {tables.name}. Give the tables that the queue was mined from.")
    rows = rows_of_tracks(tables, [item for item in chosen if item.scan_id in scans])
    labelled: dict[FrameKey, list[tuple[Label, InstanceRow]]] = defaultdict(list)
    for item in chosen:
        for row in _frames_of(item, rows.get(item.item_id, []), 1 if wanted.vouched_masks else wanted.best):
            labelled[row.key].append((_label(item, row, agreement[item.item_id]), row))
    boxes = boxes_on_frames(tables, {item.scan_id for item in chosen} & scans.keys(), labelled)
    splits = split_drives({pairs[0][1].drive for pairs in labelled.values()}, seed, shares)
    frames: list[DatasetFrame] = []
    left_out = 0
    for key, pairs in labelled.items():
        labels = _one_label_each([label for label, _ in pairs])
        unlabelled = _count_unlabelled(boxes.get(key, []), [label for label, _ in pairs])
        if wanted.fully_labelled and unlabelled:
            left_out += 1
        else:
            frames.append(_frame(pairs[0][1], labels, unlabelled, splits[pairs[0][1].drive]))
    if not frames:
        raise UserError("Every frame has an instance without a label: nothing is left with --fully-labelled.")
    order = {split: place for place, split in enumerate(Split)}
    frames.sort(key=lambda frame: (order[frame.split], frame.source_uri, frame.frame_index))
    used = {(label.role, label.name) for frame in frames for label in frame.labels}
    return Selection(
        tuple(frames),
        tuple(_embeddings(chosen, scans, {frame.frame_id: frame.split for frame in frames})),
        tuple(sorted(name for role, name in used if role is Role.OBJECT and name)),
        tuple(sorted(name for role, name in used if role is Role.KNOWN and name)),
        sum(item.scan_id not in scans for item in chosen),
        left_out,
    )


def _is_usable(queued: QueuedItem) -> bool:
    """Whether a decision can be trained on. "unknown object", which older versions recorded, is no class; a mask that
    a person called wrong teaches what is wrong."""
    name, verdict = queued.status.name, queued.status.verdict
    if queued.mask_state is MaskState.WRONG:
        return False
    return verdict in ROLES and not (name and lemma(name) == lemma(UNKNOWN_NAME))


def _one_spelling(judged: list[JudgedItem]) -> list[JudgedItem]:
    """Plurals, hyphens and capitals make no class of their own: the spelling that is used most stands for all."""
    used = Counter(item.name for item in judged if item.name)
    spelling: dict[str, str] = {}
    for name, _ in sorted(used.items(), key=lambda item: (-item[1], item[0])):
        spelling.setdefault(lemma(name), name)
    return [replace(item, name=spelling[lemma(item.name)]) if item.name else item for item in judged]


def _agreement(judged: Sequence[JudgedItem]) -> dict[str, float]:
    """For each item the share of the judged ones in its cluster that were judged the same, itself included."""
    by_cluster: dict[str, Counter[tuple[Role, str | None]]] = defaultdict(Counter)
    for item in judged:
        by_cluster[_cluster(item)][item.role, item.name] += 1
    return {
        item.item_id: by_cluster[_cluster(item)][item.role, item.name] / by_cluster[_cluster(item)].total()
        for item in judged
    }


def _cluster(one: JudgedItem) -> str:
    return f"cluster {one.cluster}" if one.cluster is not None else f"item {one.item_id}"


def _is_wanted(one: JudgedItem, wanted: Wanted, agreement: float) -> bool:
    day = one.timestamp.astimezone(UTC).date()
    names = {lemma(name) for name in wanted.names}
    return (
        # A background has no name: asking for some names says nothing against it.
        (not names or one.name is None or lemma(one.name) in names)
        and (not wanted.drives or one.drive in wanted.drives)
        and (not wanted.reviewers or one.reviewer in wanted.reviewers)
        and (wanted.first_day is None or day >= wanted.first_day)
        and (wanted.last_day is None or day <= wanted.last_day)
        and agreement >= wanted.agreement
        and (wanted.known or one.role is not Role.KNOWN)
        and (wanted.background or one.role is not Role.BACKGROUND)
        and (not wanted.vouched_masks or one.vouched)
    )


def _check_names(judged: Iterable[JudgedItem]) -> None:
    """Raises UserError where one name is a known class to some and an unknown object to others."""
    named: dict[Role, dict[str, JudgedItem]] = {Role.OBJECT: {}, Role.KNOWN: {}}
    for item in judged:
        if item.name:
            named[item.role].setdefault(item.name, item)
    both = sorted(named[Role.OBJECT].keys() & named[Role.KNOWN].keys())
    if both:
        unknown, known = named[Role.OBJECT][both[0]], named[Role.KNOWN][both[0]]
        more = f" (and {len(both) - 1} more names)" if len(both) > 1 else ""
        raise UserError(
            f"{both[0]!r} is a known class to {known.reviewer} (item {known.item_id}) and an unknown object to "
            f"{unknown.reviewer} (item {unknown.item_id}){more}. Decide it in the review, or leave one of them out "
            "with --no-known or --name."
        )


def _frames_of(one: JudgedItem, rows: Sequence[InstanceRow], best: int | None) -> list[InstanceRow]:
    """The rows that are taken: one a frame, the judged one among them, the surest where not all are."""
    by_frame = {row.frame_index: row for row in sorted(rows, key=lambda row: (row.box == one.box, row.score))}
    found = by_frame.pop(one.frame_index, None)
    own = _repaired_row(one, found or own_row(one))
    others = sorted(by_frame.values(), key=lambda row: (-row.score, row.frame_index))
    return [own, *(others if best is None else others[: best - 1])]


def _repaired_row(one: JudgedItem, own: InstanceRow) -> InstanceRow:
    """The judged frame's row, with the mask that a person repaired."""
    if one.repaired is None:
        return own
    mask = decode_mask(one.repaired.mask_rle, one.height, one.width)
    box = Box(*cv2.boundingRect(mask.astype(np.uint8)))
    origin = f"repaired by {one.repaired.reviewer}"
    return replace(own, box=box, area=int(mask.sum()), mask_rle=one.repaired.mask_rle, mask_origin=origin)


def _label(one: JudgedItem, row: InstanceRow, agreement: float) -> Label:
    return Label(
        one.item_id,
        one.role,
        one.name,
        one.suggested,
        one.verdict,
        one.reviewer,
        one.decided_at,
        agreement,
        one.scan_id,
        one.track_id,
        row.box,
        row.area,
        row.mask_rle,
        row.score,
        row.mask_origin,
    )


def _one_label_each(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Where two scans found one object and both were judged, the later decision stands."""
    kept: list[Label] = []
    for label in sorted(labels, key=lambda label: (label.decided_at, label.item_id), reverse=True):
        if all(label.scan_id == other.scan_id or box_iou(label.box, other.box) < _SAME_OBJECT for other in kept):
            kept.append(label)
    return tuple(sorted(kept, key=lambda label: (corners(label.box), label.item_id)))


def _count_unlabelled(boxes: Sequence[Box], labels: Sequence[Label]) -> int:
    """How many of the boxes that were found have no label; what several scans found counts once."""
    seen = [label.box for label in labels]
    count = 0
    for box in boxes:
        if all(box_iou(box, other) < _SAME_OBJECT for other in seen):
            seen.append(box)
            count += 1
    return count


def _frame(row: InstanceRow, labels: tuple[Label, ...], unlabelled: int, split: Split) -> DatasetFrame:
    return DatasetFrame(
        _frame_id(row.source_uri, row.frame_index),
        split,
        row.source_uri,
        row.drive,
        row.frame_index,
        row.timestamp,
        row.height,
        row.width,
        unlabelled,
        labels,
    )


def _frame_id(source_uri: str, frame_index: int) -> str:
    """The source's name and the frame's number for people, and a hash of both for uniqueness."""
    stem = posixpath.splitext(file_name(source_uri))[0]
    digest = hashlib.sha256(f"{source_uri}\0{frame_index}".encode()).hexdigest()[:12]
    return f"{slug(stem)}-{frame_index:06d}-{digest}"


def slug(text: str) -> str:
    """The letters, digits and hyphens of a text, at most 48 of them: good in any file name."""
    return re.sub(r"[^a-zA-Z0-9-]+", "-", text).strip("-")[:48] or "x"


def _embeddings(
    judged: Iterable[JudgedItem], models: Mapping[str, str], kept: Mapping[str, Split]
) -> Iterator[ItemEmbedding]:
    for item in judged:
        identity = _frame_id(item.source_uri, item.frame_index)
        if item.embedding and item.scan_id in models and identity in kept:
            model = models[item.scan_id]
            yield ItemEmbedding(item.item_id, identity, kept[identity], item.name, model, item.embedding)
