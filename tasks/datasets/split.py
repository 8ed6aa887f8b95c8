"""Which drives are for training and which for judging, and what looks alike across that border."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from schemas.dataset import DatasetFrame, ItemEmbedding, NearPair, Split
from tasks.errors import UsageError

Shares = tuple[float, float, float]
"""Of train, val and test; they add up to 1."""

_BLOCK = 2048


def read_shares(text: str) -> Shares:
    """Shares from a text such as ``80/10/10``. Raises UsageError for other texts."""
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) != 3 or any(not part >= 0 for part in parts) or not 0 < sum(parts) < float("inf"):
        raise UsageError(f"--split {text}: give three shares for train, val and test, such as 80/10/10.")
    train, val, test = (part / sum(parts) for part in parts)
    return train, val, test


def split_of(drive: str, seed: int, shares: Shares) -> Split:
    """The split of a drive by a hash of seed and name alone, so that more data does not move it."""
    place = _place(drive, seed)
    return next((split for split, (_, end) in _ranges(shares).items() if place < end), _asked(shares)[-1])


def split_drives(drives: Collection[str], seed: int, shares: Shares) -> dict[str, Split]:
    """The split of each drive: that of ``split_of``, but no split that has a share stays empty if drives suffice.

    An empty split takes a drive from the split with most drives: the one whose hash is closest. A single drive is for
    training. A drive that was moved so may move back when drives are added; all others stay.
    """
    splits = {drive: split_of(drive, seed, shares) for drive in sorted(drives)}
    asked = _asked(shares)
    if len(splits) == 1:
        return dict.fromkeys(splits, asked[0])
    for split in asked:
        counts = Counter(splits.values())
        giver = max(asked, key=lambda other: counts[other])
        if counts[split] or counts[giver] < 2:
            continue
        start, end = _ranges(shares)[split]
        of_giver = [drive for drive in splits if splits[drive] is giver]
        nearest = min(of_giver, key=lambda drive: (abs(_place(drive, seed) - (start + end) / 2), drive))
        splits[nearest] = split
    return splits


def _place(drive: str, seed: int) -> float:
    """Where the hash puts a drive in [0, 1)."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{drive}".encode()).digest()[:8], "big") / 2**64


def _asked(shares: Shares) -> list[Split]:
    return [split for split, share in zip(Split, shares, strict=True) if share > 0]


def _ranges(shares: Shares) -> dict[Split, tuple[float, float]]:
    """The part of [0, 1) that each split with a share has."""
    ends = list(accumulate(shares))
    return {split: (end - share, end) for split, share, end in zip(Split, shares, ends, strict=True) if share > 0}


def check_splits(frames: Iterable[DatasetFrame], seed: int, shares: Shares) -> tuple[str, ...]:
    """What is wrong with the splits, in words for people."""
    splits = {frame.drive: frame.split for frame in frames}
    told = [
        f"drive {drive!r} is in {split.value}, which had no drive, and not in {own.value}; more drives can move it back"
        for drive, split in sorted(splits.items())
        if split is not (own := split_of(drive, seed, shares)) and len(splits) > 1
    ]
    for split in _asked(shares):
        if split not in splits.values():
            drives = f"there {'is' if len(splits) == 1 else 'are'} only {len(splits)} drive{'s'[: len(splits) != 1]}"
            told.append(
                f"{split.value} is empty: {drives}, and a drive is never divided. It fills as drives are added."
            )
    return tuple(told)


def near_pairs(embeddings: Sequence[ItemEmbedding], least: float) -> tuple[NearPair, ...]:
    """Pairs of frames of different splits whose judged objects are as near as ``least`` (cosine), nearest first.

    Each frame of a later split comes once, with the nearest of each other split. Only embeddings of one model
    are compared.
    """
    found: list[NearPair] = []
    by_model: dict[tuple[str, int], list[ItemEmbedding]] = defaultdict(list)
    for embedding in embeddings:
        by_model[embedding.model, len(embedding.embedding)].append(embedding)
    for group in by_model.values():
        by_split = {split: [member for member in group if member.split is split] for split in Split}
        for split, other in ((Split.TRAIN, Split.VAL), (Split.TRAIN, Split.TEST), (Split.VAL, Split.TEST)):
            found += _nearest(by_split[other], by_split[split], least)
    best: dict[tuple[str, Split], NearPair] = {}
    for pair in sorted(found, key=lambda pair: (-pair.cosine, pair.frame_id, pair.other_frame_id)):
        best.setdefault((pair.frame_id, pair.other_split), pair)
    return tuple(best.values())


def _nearest(ones: Sequence[ItemEmbedding], others: Sequence[ItemEmbedding], least: float) -> list[NearPair]:
    if not ones or not others:
        return []
    vectors, against = _unit_vectors(ones), _unit_vectors(others)
    found = []
    for start in range(0, len(ones), _BLOCK):
        best = np.full(len(vectors[start : start + _BLOCK]), -1.0)
        index = np.zeros(len(best), np.int64)
        for other in range(0, len(others), _BLOCK):
            cosines = vectors[start : start + _BLOCK] @ against[other : other + _BLOCK].T
            nearest = cosines.argmax(axis=1)
            value = cosines[np.arange(len(cosines)), nearest]
            index = np.where(value > best, other + nearest, index)
            best = np.maximum(value, best)
        for place in np.flatnonzero(best >= least).tolist():
            one, near = ones[start + place], others[int(index[place])]
            cosine = round(float(min(best[place], 1.0)), 4)
            found.append(NearPair(one.frame_id, near.frame_id, one.split, near.split, one.name, near.name, cosine))
    return found


def _unit_vectors(embeddings: Sequence[ItemEmbedding]) -> npt.NDArray[np.float32]:
    vectors = np.stack([np.frombuffer(embedding.embedding, "<f2") for embedding in embeddings]).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
