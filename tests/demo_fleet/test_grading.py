"""Grading: truth handed in as finds is graded as all right, background as false."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demo_fleet import write_archive
from demo_fleet.grading import Found, grade


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("graded") / "archive"
    write_archive(root, drives=1, clips=1, seconds=1.0, objects=2, nights=0)
    return root.with_name("archive.truth")


def planted(truth: Path, name: str | None = None) -> list[Found]:
    """An instance for each object and frame with the object's own mask, under its own name or ``name``."""
    found = []
    for row in pq.read_table(truth / "objects.parquet").to_pylist():
        picture = truth / row["clip"].removesuffix(".mp4") / f"{row['frame_index']:06d}_instances.png"
        mask = np.asarray(Image.open(picture)) == row["track_id"]
        box = (row["bbox_x"], row["bbox_y"], row["bbox_width"], row["bbox_height"])
        found.append(Found(row["clip"], row["frame_index"], name or row["name"], 0.9, box, mask))
    return found


def background(truth: Path, frames: range) -> list[Found]:
    """An instance at the same place of each frame where nothing was planted."""
    clip = pq.read_table(truth / "objects.parquet")["clip"][0].as_py()
    found = []
    for frame in frames:
        picture = truth / clip.removesuffix(".mp4") / f"{frame:06d}_instances.png"
        mask = np.zeros_like(np.asarray(Image.open(picture)), np.bool_)
        mask[:10, :10] = True  # the sky
        found.append(Found(clip, frame, "kite", 0.5, (0, 0, 10, 10), mask))
    return found


def test_the_truth_itself_is_all_right(truth):
    graded = grade(truth, planted(truth))
    assert (graded.found, graded.named_right, graded.false_tracks) == (2, 2, 0)


def test_a_wrong_name_is_found_and_not_right(truth):
    graded = grade(truth, planted(truth, "unicorn"))
    assert (graded.found, graded.named_right) == (2, 0)
    assert {one.called for one in graded.objects} == {"unicorn"}


def test_what_covers_too_little_is_not_found(truth):
    for found in (instances := planted(truth)):
        found.mask[np.cumsum(found.mask.ravel()).reshape(found.mask.shape) > 0.2 * found.mask.sum()] = False
    assert grade(truth, instances).found == 0


def test_neighbouring_false_instances_are_one_track(truth):
    graded = grade(truth, background(truth, range(0, 5)))
    assert (graded.found, graded.false_tracks, graded.false_instances) == (0, 1, 5)
