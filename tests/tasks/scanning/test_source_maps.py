from dataclasses import dataclass

import numpy as np

from tasks.scanning.inference import SourceMaps


@dataclass(frozen=True)
class Seen:
    logits: np.ndarray


Maps = SourceMaps[object, Seen]


def seen(value):
    return Seen(np.full((2, 2), value, np.float32))


def run(maps, source, values, camera=None):
    return [one for number, value in enumerate(values) for one in maps.add(source, camera, number, seen(value))]


def test_every_frame_comes_out_once_and_in_order():
    maps = Maps(-3.0)
    ready = run(maps, "a", [0.0] * 21) + maps.close()
    assert [one.item for one in ready] == list(range(21))


def test_what_stays_is_subtracted_from_the_first_frame_on():
    maps = Maps(-3.0)
    ready = run(maps, "a", [2.0] * 10) + maps.close()
    assert all((one.usual == 5).all() for one in ready)


def test_short_sources_have_no_map():
    maps = Maps(-3.0)
    assert all(one.usual is None for one in run(maps, "a", [2.0] * 3) + maps.close())


def test_a_source_knows_nothing_of_the_one_before():
    maps = Maps(-3.0)
    first = run(maps, "a", [2.0] * 5)
    second = run(maps, "b", [-3.0] * 5) + maps.close()
    assert not first and [one.item for one in second] == [0, 1, 2, 3, 4] * 2
    assert all((one.usual == 0).all() for one in second[5:])


def test_cameras_of_a_source_have_maps_of_their_own():
    maps = Maps(-3.0)
    for number in range(5):
        maps.add("a", "front", ("front", number), seen(2.0))
        maps.add("a", "rear", ("rear", number), seen(-9.0))
    usual = {one.item: float(one.usual.max()) for one in maps.close() if one.usual is not None}
    assert usual[("front", 0)] == 5 and usual[("rear", 0)] == 0


def test_frames_that_waited_for_each_other_are_a_group_and_no_others():
    maps = Maps(-3.0)
    ready = run(maps, "a", [0.0] * 12, "front") + run(maps, "b", [0.0] * 2) + maps.close()
    groups = [one.group for one in ready]
    assert len(set(groups)) == 3
    assert [groups.count(group) for group in dict.fromkeys(groups)] == [8, 4, 2]
