"""Choose few candidates that show as many different real objects as possible."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tasks.mining.candidates import Candidates, Guesses
from tasks.mining.neighbours import Distances, learn_distances, nearest
from tasks.mining.queue_index import QueueIndex, find_older
from tasks.tables.embeddings import Vectors

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_NEIGHBOURS = 5  # a find is rare if this many nearest finds are far away
_SHORTLIST = 5_000  # the diverse items are chosen among at least this many candidates
_SHORTLIST_TIMES = 20  # and at least this many times the wanted number
_SAME_NAME = 1.5  # two finds with the same name are one object up to this many times the usual distance
_LEAST_NOVELTY = 0.1  # of an object whose name the queue holds: the name may be wrong
_EARTH = 6_371_000.0  # metres
_CHUNK = 8_192


@dataclass(frozen=True, slots=True)
class MiningOptions:
    """How many items are chosen, and how much each factor of the rank counts.

    ``count`` items, of which the share ``random_share`` in [0, 1] is drawn at random. ``score``, ``rarity``,
    ``novelty``, ``persistence``, ``size`` and ``diversity`` are exponents of factors in [0, 1]; 0 switches a factor
    off. ``same_look`` and ``alike`` are distances of appearance (0 identical, 1 unrelated): up to ``same_look``, finds
    are one object; up to ``alike``, they are look-alikes. ``same_place`` is in metres: finds that are further apart
    are two objects, where both places are known.
    """

    count: int = 200
    random_share: float = 0.1
    score: float = 2.0
    rarity: float = 0.5
    novelty: float = 1.0
    persistence: float = 1.0
    size: float = 0.5
    diversity: float = 1.0
    same_look: float = 0.12
    alike: float = 0.35
    same_place: float = 100.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate that enters the queue: its index, and the fields that ``ReviewItem`` explains."""

    candidate: int
    item_id: str
    rank: float
    cluster: str | None = None
    drawn_at_random: bool = False
    duplicate_of: str | None = None
    supersedes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mined:
    """The chosen items, originals before their duplicates.

    Of all ``candidates``, ``there`` are in the queue already, and ``judged`` were judged as items of an older scan.
    """

    chosen: tuple[Chosen, ...]
    candidates: int
    there: int
    judged: int


def mine(candidates: Candidates, queue: QueueIndex, options: MiningOptions) -> Mined:
    """Choose items for the queue. The same candidates, queue and options give the same choice.

    1. An object that a newer scan found again replaces its older open item. Judged items stay.
    2. The random share is drawn from all other candidates that the queue does not hold.
    3. Each remaining candidate has a value: score x rarity x novelty x persistence x size, each to the power of its
       weight. A candidate that looks like an item of the queue becomes a duplicate of it.
    4. The candidate with the highest value is chosen, and candidates of the same object become its duplicates. The
       value of all others falls with their similarity to it (maximal marginal relevance) and with the probability that
       they have its name (expected coverage of names). This repeats until there are ``count`` items.
    5. At most ``count`` duplicates enter the queue, the ones with the highest value.
    """
    ids = candidates.track_ids
    distances = learn_distances(candidates.vectors)
    older = find_older(candidates, queue)
    there = np.array([track_id in queue.item_ids for track_id in ids], np.bool_)
    judged = _mask(len(ids), (index for index, items in older.items() if any(item.judged for item in items)))
    again = _mask(len(ids), older) & ~there & ~judged
    left = ~there & ~judged & ~again
    wanted = min(options.count, int(np.count_nonzero(left)))
    drawn = _draw(ids, left, round(options.random_share * wanted), options.seed)
    left[drawn] = False

    item_index, item_distance = _nearest_item(candidates.vectors, queue.vectors, distances)
    item_distance[again] = 1.0  # they look like the items that they replace
    unmet = np.array([queue.unmet.get(name, 1.0) for name in candidates.guesses.names])
    novelty = item_distance * np.maximum(_new_names(candidates.guesses, unmet), _LEAST_NOVELTY)
    novelty[again] = 1.0
    value = _value(candidates, novelty, distances, options)
    shortlist = _best(value, left, max(_SHORTLIST, _SHORTLIST_TIMES * options.count))
    duplicates = _duplicates_of_items(candidates, queue, shortlist, item_index, item_distance, options)
    shortlist = np.setdiff1d(shortlist, np.array([*duplicates], np.int64))
    picked, ranks, own = _pick(candidates, value, shortlist, drawn, wanted - len(drawn), distances, options)
    duplicates |= own

    at_random = frozenset(drawn.tolist())
    chosen = [
        Chosen(index, ids[index], rank, drawn_at_random=index in at_random)
        for index, rank in zip(picked, ranks, strict=True)
    ]
    for index in np.flatnonzero(again).tolist():
        replaced = tuple(seen.item_id for seen in older[index])
        was_drawn = any(seen.drawn_at_random for seen in older[index])
        chosen.append(Chosen(index, ids[index], float(value[index]), None, was_drawn, None, replaced))
    chosen = _grouped(chosen, candidates, queue, item_index, item_distance, distances, options)
    best = sorted(duplicates, key=lambda index: (-value[index], ids[index]))[: options.count]
    pointing = [Chosen(index, ids[index], float(value[index]), duplicate_of=duplicates[index]) for index in best]
    return Mined((*chosen, *pointing), len(ids), int(np.count_nonzero(there)), int(np.count_nonzero(judged)))


def _mask(length: int, indices: Iterable[int]) -> Bools:
    mask = np.zeros(length, np.bool_)
    mask[list(indices)] = True
    return mask


def _draw(ids: Sequence[str], left: Bools, count: int, seed: int) -> Indices:
    """Draw ``count`` of the remaining ones by the hash of their ids: random, but always the same."""
    pool = np.flatnonzero(left)
    hashes = [hashlib.sha256(f"{seed} {ids[index]}".encode()).digest() for index in pool.tolist()]
    order = sorted(range(len(pool)), key=hashes.__getitem__)[:count]
    return pool[order].astype(np.int64)


def _value(candidates: Candidates, novelty: Floats, distances: Distances, options: MiningOptions) -> Floats:
    rarity = distances.of(nearest(candidates.vectors, _NEIGHBOURS)).mean(axis=1)
    value: Floats = (
        _quantiles(candidates.score) ** options.score
        * rarity.astype(np.float64) ** options.rarity
        * novelty**options.novelty
        * (candidates.sights / (candidates.sights + 1)) ** options.persistence
        * _quantiles(candidates.size) ** options.size
    )
    return value


def _quantiles(values: Floats) -> Floats:
    """The share of values that are not higher, in (0, 1]. Raw scores are not usable: those of most models lie near
    1."""
    return np.searchsorted(np.sort(values), values, side="right") / max(len(values), 1)


def _new_names(guesses: Guesses, unmet: Floats) -> Floats:
    """The probability that no other object has the name of an object, from that probability for each name."""
    new: Floats = 1 - (guesses.probability * (1 - unmet[guesses.name])).sum(axis=1)
    return new.clip(0)


def _nearest_item(vectors: Vectors, items: Vectors, distances: Distances) -> tuple[Indices, Floats]:
    """For each candidate the most similar item of the queue, and its distance; 1 if the queue is empty."""
    index, distance = np.zeros(len(vectors), np.int64), np.ones(len(vectors))
    if len(items):
        columns = items.astype(np.float32).T
        for start in range(0, len(vectors), _CHUNK):
            cosines = vectors[start : start + _CHUNK].astype(np.float32) @ columns
            index[start : start + _CHUNK] = cosines.argmax(axis=1)
            distance[start : start + _CHUNK] = distances.of(cosines.max(axis=1))
    return index, distance


def _best(value: Floats, left: Bools, count: int) -> Indices:
    pool = np.flatnonzero(left)
    order = np.argsort(-value[pool], kind="stable")[:count]
    return np.sort(pool[order])


def _duplicates_of_items(
    candidates: Candidates,
    queue: QueueIndex,
    shortlist: Indices,
    item_index: Indices,
    item_distance: Floats,
    options: MiningOptions,
) -> dict[int, str]:
    """The candidates that show the object of an item of the queue, and that item."""
    if not len(queue.vectors):
        return {}
    at = item_index[shortlist]
    same = queue.objects[at] & _same_object(
        item_distance[shortlist],
        candidates.names[shortlist] == queue.names[at],
        _metres(candidates.places[shortlist], queue.places[at]),
        options,
    )
    return {int(index): queue.originals[int(item_index[index])] for index in shortlist[same]}


def _pick(
    candidates: Candidates,
    value: Floats,
    shortlist: Indices,
    drawn: Indices,
    count: int,
    distances: Distances,
    options: MiningOptions,
) -> tuple[list[int], list[float], dict[int, str]]:
    """Choose ``drawn`` and up to ``count`` different others of the shortlist.

    Returns the candidates in the order of choice; the value of each when it was chosen (a drawn one has the value of
    the one before it); and the duplicates, with the item that each duplicates.
    """
    vectors = candidates.vectors[shortlist].astype(np.float32)
    every = candidates.guesses
    guesses = Guesses(every.names, every.name[shortlist], every.probability[shortlist])
    unmet = np.ones(len(every.names))
    apart = np.ones(len(shortlist))
    left = np.ones(len(shortlist), np.bool_)
    duplicates: dict[int, str] = {}

    def strike_out(index: int) -> npt.NDArray[np.float32]:
        distance = distances.of(vectors @ candidates.vectors[index].astype(np.float32))
        named_alike = candidates.names[shortlist] == candidates.names[index]
        metres = _metres(candidates.places[shortlist], candidates.places[index])
        same = left & _same_object(distance, named_alike, metres, options)
        left[same] = False
        duplicates.update(dict.fromkeys(shortlist[same].tolist(), candidates.track_ids[index]))
        return distance

    for index in drawn.tolist():
        strike_out(index)
    waiting = drawn.tolist()
    length = count + len(drawn)
    # Drawn items are spread evenly among the others, so that both are judged at the same rate.
    places = {length * (2 * place + 1) // (2 * len(drawn)) for place in range(len(drawn))}
    picked: list[int] = []
    ranks: list[float] = []
    while waiting or (left.any() and len(picked) < length):
        if waiting and (len(picked) in places or not left.any()):
            index, rank = waiting.pop(0), ranks[-1] if ranks else 1.0
        else:
            dissimilarity = apart * _new_names(guesses, unmet)
            current = np.where(left, value[shortlist] * dissimilarity**options.diversity, -1.0)
            best = int(current.argmax())
            left[best] = False
            index, rank = int(shortlist[best]), float(current[best])
        np.minimum(apart, strike_out(index), out=apart)
        np.multiply.at(unmet, every.name[index], 1 - every.probability[index])
        picked.append(index)
        ranks.append(rank)
    return picked, ranks, duplicates


def _same_object(
    distance: npt.NDArray[np.floating], named_alike: Bools, metres: Floats, options: MiningOptions
) -> Bools:
    """Whether finds look alike (closer where their names differ) and are not known to be far apart."""
    limit = np.where(named_alike, _SAME_NAME * options.same_look, options.same_look)
    same: Bools = (distance <= limit) & ~(metres > options.same_place)
    return same


def _metres(places: Floats, others: Floats) -> Floats:
    """Great-circle distance of (..., 2) latitudes and longitudes in degrees; NaN where one is unknown."""
    lat, lon = np.radians(places[..., 0]), np.radians(places[..., 1])
    lat2, lon2 = np.radians(others[..., 0]), np.radians(others[..., 1])
    half = np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    metres: Floats = 2 * _EARTH * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return metres


def _grouped(
    chosen: Sequence[Chosen],
    candidates: Candidates,
    queue: QueueIndex,
    item_index: Indices,
    item_distance: Floats,
    distances: Distances,
    options: MiningOptions,
) -> list[Chosen]:
    """Give look-alikes a cluster: that of a similar item of the queue, else the id of the first of them."""
    leaders: list[int] = []
    grouped = []
    for item in chosen:
        index = item.candidate
        is_near_item = item_distance[index] <= options.alike and len(queue.vectors) > 0
        cluster = queue.clusters[item_index[index]] if is_near_item else None
        if cluster is None and leaders:
            led = candidates.vectors[leaders].astype(np.float32) @ candidates.vectors[index].astype(np.float32)
            nearest_leader = int(led.argmax())
            if distances.of(led)[nearest_leader] <= options.alike:
                cluster = candidates.track_ids[leaders[nearest_leader]]
        if cluster is None:
            leaders.append(index)
            cluster = item.item_id
        grouped.append(replace(item, cluster=cluster))
    return grouped
