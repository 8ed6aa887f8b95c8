"""Which drives are for training and which for judging, and what looks alike across that border."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from schemas.dataset import DatasetFrame, ItemEmbedding, NearPair, Split
from tasks.errors import UsageError, UserError

Shares = tuple[float, float, float]
"""Of train, val and test; they add up to 1."""

_BLOCK = 2048


def read_shares(text: str) -> Shares:
    """Shares from a text such as ``80/10/10``. Raises UsageError when it is none."""
    try:
        parts = [float(part) for part in text.split("/")]
    except ValueError:
        parts = []
    if len(parts) != 3 or any(not part >= 0 for part in parts) or not 0 < sum(parts) < float("inf"):
        raise UsageError(f"--split {text}: give three shares for train, val and test, such as 80/10/10.")
    train, val, test = (part / sum(parts) for part in parts)
    return train, val, test


def split_of(drive: str, seed: int, shares: Shares) -> Split:
    """The split of a drive: from a hash of seed and name alone, so that more data never moves a drive."""
    digest = hashlib.sha256(f"{seed}\0{drive}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    train, val, _ = shares
    if place < train:
        return Split.TRAIN
    # The last share that is not empty takes what rounding leaves.
    return Split.VAL if place < train + val or shares[2] == 0 else Split.TEST


def check_splits(frames: Iterable[DatasetFrame], shares: Shares) -> tuple[str, ...]:
    """What is wrong with the splits, in words for people.

    Raises UserError where all frames are of one drive and more than one split is asked for.
    """
    drives: dict[Split, set[str]] = defaultdict(set)
    for frame in frames:
        drives[frame.split].add(frame.drive)
    asked = [split for split, share in zip(Split, shares, strict=True) if share > 0]
    every = set().union(*drives.values())
    if len(every) == 1 and len(asked) > 1:
        raise UserError(
            f"All frames are of the drive {every.pop()!r}, and a drive is never divided. Take in more drives, or "
            "give --split 100/0/0 and judge on another dataset."
        )
    return tuple(
        f"{split.value} is empty: none of the {len(every)} drives falls into it. It fills as drives are added; "
        "another --seed divides them otherwise."
        for split in asked
        if split not in drives
    )


def near_pairs(embeddings: Sequence[ItemEmbedding], least: float) -> tuple[NearPair, ...]:
    """Pairs of frames of different splits whose judged objects are as near as ``least`` (cosine), nearest first.

    Each frame of a later split comes once, with the nearest of each other split. Only embeddings of one model
    are compared.
    """
    found: list[NearPair] = []
    by_model: dict[tuple[str, int], list[ItemEmbedding]] = defaultdict(list)
    for one in embeddings:
        by_model[one.model, len(one.embedding)].append(one)
    for group in by_model.values():
        by_split = {split: [one for one in group if one.split is split] for split in Split}
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
    vectors = np.stack([np.frombuffer(one.embedding, "<f2") for one in embeddings]).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
