from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipomaly_core.object_tracks import Sighting, link
from demo_fleet import Scene, write_archive
from tasks.footage.archive import list_sources
from tasks.masks import decode_mask
from tasks.model import describe_model, get_model
from tasks.model_settings import ModelSettings
from tasks.scanning.plan import plan
from tasks.scanning.scan_record import make_scan_record
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables, open_table

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIZE = (180, 320)


def look(seed: int, blur: float = 0.0, glimpse: int = 0) -> np.ndarray:
    """The direction of an object, and off it by ``blur`` in each of its sights: float16 (64,)."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=64)
    off = np.random.default_rng((seed, glimpse)).normal(size=64)
    return (base + blur * off).astype(np.float16)


def sighting(
    second: float, x: float, y: float, side: float, who: int = 0, name: str = "tyre", fps: int = 10
) -> Sighting:
    """A square of ``side`` pixels around (x, y) of a frame of 320 by 180 pixels."""
    box = (round(x - side / 2), round(y - side / 2), round(side), round(side))
    when = NOON + timedelta(seconds=second)
    return Sighting(round(second * fps), when, box, SIZE, name, look(who, 0.3, round(second * fps)))


def approaching(seconds: Sequence[float], who: int = 0, aside: float = 1.0) -> list[Sighting]:
    """Something 0.8 m wide beside the lane, 40 m ahead at 0 s, that a car passes at 9 m/s."""
    seen = []
    for second in seconds:
        metres = 40 - 9 * second
        seen.append(sighting(second, 160 + 280 * aside / metres, 90 + 280 * 1.2 / metres, 280 * 0.8 / metres, who))
    return seen


def merged(*tracks: list[Sighting]) -> list[Sighting]:
    return sorted((one for track in tracks for one in track), key=lambda one: one.frame_index)


def test_what_comes_nearer_is_one_track() -> None:
    seen = approaching([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])
    assert seen[-1].box[2] > 3 * seen[0].box[2]
    assert link(seen) == [0] * len(seen)
    at_one_a_second = approaching([0, 1, 2, 3])
    assert link(at_one_a_second) == [0] * 4


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    assert link(approaching([0, 0.5, 2, 2.5])) == [0, 0, 0, 0]
    assert link([sighting(0, 200, 100, 20), sighting(5, 200, 100, 20)]) == [0, 1]


def test_two_objects_keep_their_tracks() -> None:
    seconds = [0, 0.5, 1, 1.5, 2, 2.5]
    seen = merged(approaching(seconds, who=1, aside=2.5), approaching(seconds, who=2, aside=-2.5))
    assert link(seen) == [0, 1] * len(seconds)
    # Passing each other: what they look like tells them apart where boxes cannot.
    across = [sighting(t, 100 + 40 * t, 110, 20, 1) for t in seconds]
    back = [sighting(t, 200 - 40 * t, 110, 20, 2) for t in seconds]
    assert link(merged(across, back)) == [0, 1] * len(seconds)


def test_what_looks_otherwise_or_lies_elsewhere_is_another() -> None:
    assert link([sighting(0, 60, 100, 20, 1), sighting(0.5, 78, 100, 20, 1)]) == [0, 0]
    assert link([sighting(0, 60, 100, 20, 1), sighting(0.5, 78, 100, 20, 2)]) == [0, 1]
    assert link([sighting(0, 60, 100, 20), sighting(0.5, 280, 100, 20)]) == [0, 1]


def test_where_one_object_ends_another_that_looks_different_begins() -> None:
    first, second = sighting(0, 60, 100, 20), sighting(0.5, 52, 103, 26)
    mine = first.embedding.astype(np.float64) / np.linalg.norm(first.embedding.astype(np.float64))
    other = np.random.default_rng(9).normal(size=64)
    other -= (other @ mine) * mine
    other /= np.linalg.norm(other)

    def at(cosine: float) -> Sighting:
        return replace(second, embedding=cosine * mine + np.sqrt(1 - cosine**2) * other)

    assert link([first, at(0.5)]) == [0, 0]
    assert link([first, at(0.3)]) == [0, 1]


def test_what_is_farther_ahead_is_the_next_object_of_its_kind() -> None:
    """A row of cones: while one leaves the picture, the next one appears, smaller and nearer to the vanishing point."""
    passed, ahead = sighting(0, 80, 163, 31), sighting(0.5, 120, 132, 12)
    assert link([passed, ahead]) == [0, 1]
    assert link([passed, replace(passed, frame_index=5, timestamp=ahead.timestamp)]) == [0, 0]  # the car stands
    turned = sighting(0.5, 120, 163, 31)
    assert link([passed, turned]) == [0, 0]
    drives_away = [sighting(0.5 * step, 160 + 60 * 0.8**step, 90 + 30 * 0.8**step, 20 * 0.8**step) for step in range(4)]
    assert link(drives_away) == [0, 0, 0, 0]


def test_a_frame_gives_a_track_one_sighting() -> None:
    twins = [sighting(0, 200, 100, 20), sighting(0.5, 202, 101, 21), sighting(0.5, 206, 101, 21)]
    assert link(twins) == [0, 0, 2]


def test_images_of_one_time_neither_fail_nor_wait_for_ever() -> None:
    still = [replace(sighting(0, 200, 100, 20), frame_index=index) for index in range(5)]
    assert link(still) == [0] * 5
    between = [replace(sighting(0, 40, 150, 20, 5 + index), frame_index=index) for index in range(1, 40)]
    assert link([still[0], *between, replace(still[0], frame_index=40)])[-1] == 40
    assert link([]) == []


@pytest.mark.whole
@pytest.mark.parametrize("fps", [1, 2])
def test_drawn_drives(fps: int) -> None:
    """True boxes, a little off, of objects on eight drawn drives: nearly all get one track, and none shares it."""
    one = total = 0
    for seed in range(8):
        scene = Scene(seed, SIZE, objects=4)
        rng = np.random.default_rng(seed)
        seen, truth = [], []
        for step in range(8 * fps):
            for planted in scene.frame(step / fps).objects:
                if planted.area >= 12:
                    x, y, width, height = planted.bbox
                    box = (x + int(rng.integers(-2, 3)), y + int(rng.integers(-2, 3)), width, height)
                    appearance = look(planted.track_id, 0.5, step)
                    when = NOON + timedelta(seconds=step / fps)
                    seen.append(Sighting(step, when, box, SIZE, planted.name, appearance))
                    truth.append(planted.track_id)
        tracks = np.array(link(seen))
        for thing in set(truth):
            [*own] = set(tracks[np.array(truth) == thing])
            shared = any(truth[index] != thing for index in np.flatnonzero(np.isin(tracks, own)))
            one += len(own) == 1 and not shared
            total += 1
    assert total >= 24
    assert one >= 0.9 * total


@pytest.mark.slow
def test_objects_of_demo_clips_get_one_track(tmp_path: Path) -> None:
    """The whole way: clips, nano, tables. An object is found by an instance that overlaps it by an IoU of 0.2."""
    root, tables = tmp_path / "archive", str(tmp_path / "tables")
    write_archive(root, drives=2, clips=3, objects=18, seed=5)
    record = make_scan_record(describe_model(ModelSettings("nano")), fps=2)
    Tables.at(tables).begin(record)
    for shard in plan(list_sources(str(root)).sources, [], 5):
        scan_shard(shard, record, Tables.at(tables), get_model(ModelSettings("nano")))
    found: dict[int, set[str]] = {}
    for row in open_table(tables, "instances").to_table().to_pylist():
        clip = "/".join(row["source_uri"].split("/")[-2:]).removesuffix(".mp4")
        truth = _truth(Path(f"{root}.truth") / clip / f"{row['frame_index']:06d}_instances.png")
        mask = decode_mask(row["mask_rle"], *truth.shape)
        for thing in np.unique(truth[mask & (truth > 0)]):
            if (mask & (truth == thing)).sum() >= 0.2 * (mask | (truth == thing)).sum():
                found.setdefault(int(thing), set()).add(row["track_id"])
    objects = pq.read_table(f"{root}.truth/objects.parquet")
    assert set(found) <= set(objects["track_id"].to_pylist())
    assert len(found) >= 6
    assert np.mean([len(tracks) == 1 for tracks in found.values()]) >= 0.8  # 0.9 over many more: docs/mining.md


def _truth(path: Path) -> np.ndarray:
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image
