"""All instances of judged objects, from the tables: each shows an object from another distance."""

from collections import defaultdict
from collections.abc import Collection, Iterable

import numpy as np
import pyarrow.compute as pc

from schemas.review import QueuedItem
from schemas.tables import Table
from tasks.tables import Tables
from tasks.tables.embeddings import read_vectors

_MOST = 8  # sightings of an object, evenly over its track: more of them look the same

Sightings = dict[str, tuple[bytes, ...]]
"""Embeddings of objects, little-endian float16 each, by the id of their item."""


def read_sightings(tables: Tables, items: Iterable[QueuedItem]) -> Sightings:
    """The sightings of the objects of these items, as far as the tables hold them.

    Raises UserError where tables have instances without embeddings.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for queued in items:
        if queued.item.track_id is not None:
            wanted[queued.item.scan_id].add(queued.item.track_id)
    found: Sightings = {}
    for scan in tables.scans():
        if tracks := wanted.get(scan.scan_id):
            found |= _of_scan(tables, scan.scan_id, tracks)
    return found


def _of_scan(tables: Tables, scan_id: str, tracks: Collection[str]) -> Sightings:
    [scan] = [scan for scan in tables.scans() if scan.scan_id == scan_id]
    rows = tables.open(Table.INSTANCES, scan_id=scan_id).to_table(
        columns=["instance_id", "track_id"],
        filter=pc.field("track_id").isin(sorted(tracks)) | pc.field("instance_id").isin(sorted(tracks)),
    )
    of_track: dict[str, list[int]] = defaultdict(list)
    for index, track in enumerate(pc.coalesce(rows["track_id"], rows["instance_id"]).to_pylist()):
        of_track[track].append(index)
    if not of_track:  # the tables no longer hold these objects
        return {}
    chosen = {
        track: sorted({own[round(at)] for at in np.linspace(0, len(own) - 1, _MOST)}) for track, own in of_track.items()
    }
    places = [place for own in chosen.values() for place in own]
    vectors = iter(read_vectors(tables, [scan], rows["instance_id"].take(places)))
    return {track: tuple(next(vectors).astype("<f2").tobytes() for _ in own) for track, own in chosen.items()}
