"""What differs between two versions of a dataset, by sample: an item on a frame."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow.parquet as pq

from tasks.datasets.build import read_manifest
from tasks.datasets.manifest import Manifest
from tasks.errors import UserError
from tasks.storage import Location, locate, read_file

_PARTS = ("split", "role", "name", "mask_rle", "picture_sha256")
_SHOWN = {"mask_rle": "mask", "picture_sha256": "picture"}  # shown without their values, which mean nothing to people


class What(StrEnum):
    """What became of a sample."""

    ADDED = "added"
    CHANGED = "changed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class SampleChange:
    """A sample that only one of the datasets has, or both have otherwise.

    ``name`` is that of the newer dataset where it has the sample; None for background. ``detail`` says what changed.
    """

    what: What
    frame_id: str
    source_uri: str
    frame_index: int
    item_id: str
    split: str
    name: str | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """All that differs, in order of frames and items; ``same`` counts the samples that are in both alike."""

    changes: tuple[SampleChange, ...]
    same: int

    def by_name(self) -> dict[str | None, Counter[What]]:
        """How many samples of each name were added, changed and dropped."""
        counted: dict[str | None, Counter[What]] = {}
        for change in self.changes:
            counted.setdefault(change.name, Counter())[change.what] += 1
        return dict(sorted(counted.items(), key=lambda item: item[0] or ""))


_Key = tuple[str, int, str]
_Row = Mapping[str, Any]


def diff_datasets(before_url: str, after_url: str) -> DatasetDiff:
    """Compare two datasets that Clipomaly built, in any formats.

    Args:
        before_url: the older one, folder or any fsspec URL.
        after_url: the newer one.

    Raises:
        UserError: one of them is no finished dataset.
    """
    older, newer = _manifest(before_url), _manifest(after_url)
    # Another format may encode the same picture anew.
    parts = _PARTS if older.format == newer.format else _PARTS[:-1]
    before, after = _samples(before_url), _samples(after_url)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            changes.append(_change(What.ADDED, key, new))
        elif new is None and old is not None:
            changes.append(_change(What.DROPPED, key, old))
        elif old is not None and new is not None and (detail := _detail(old, new, parts)):
            changes.append(_change(What.CHANGED, key, new, detail))
    return DatasetDiff(tuple(changes), len(before.keys() & after.keys()) - sum(c.what is What.CHANGED for c in changes))


def _manifest(url: str) -> Manifest:
    manifest = read_manifest(url)
    if manifest is None:
        raise UserError(f"{locate(url).url} is no finished dataset of Clipomaly: it has no manifest.json.")
    return manifest


def _samples(url: str) -> dict[_Key, _Row]:
    place = locate(url)
    columns = ["frame_id", "source_uri", "frame_index", "split", "picture_sha256"]
    frames = {row["frame_id"]: row for row in _rows(place.child("frames.parquet"), columns)}
    labels = _rows(place.child("labels.parquet"), ["frame_id", "item_id", "role", "name", "mask_rle"])
    return {
        (frames[row["frame_id"]]["source_uri"], frames[row["frame_id"]]["frame_index"], row["item_id"]): (
            frames[row["frame_id"]] | row
        )
        for row in labels
        if row["frame_id"] in frames
    }


def _rows(place: Location, columns: list[str]) -> list[dict[str, Any]]:
    return list(pq.read_table(io.BytesIO(read_file(place)), columns=columns).to_pylist())


def _change(what: What, key: _Key, row: _Row, detail: str = "") -> SampleChange:
    source_uri, frame_index, item_id = key
    return SampleChange(what, row["frame_id"], source_uri, frame_index, item_id, row["split"], row["name"], detail)


def _detail(old: _Row, new: _Row, parts: Sequence[str]) -> str:
    differ = [part for part in parts if old[part] != new[part]]
    return ", ".join(
        f"another {_SHOWN[part]}" if part in _SHOWN else f"{part} {old[part] or '-'} → {new[part] or '-'}"
        for part in differ
    )
