"""Ray Data: ``flat_map`` decodes, ``map_batches`` keeps a model in an actor, ``write_parquet`` writes.

python -m benchmarks.peers.ray_data ARCHIVE OUT
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import ray
from ray.data import ActorPoolStrategy, SaveMode

from benchmarks.peers.clips import clips_of, found_rows, frames_of_clip
from clipomaly_core import Clipomaly


def decode(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A clip → its frames."""
    for index, frame in frames_of_clip(row["clip"]):
        yield {"clip": row["clip"], "frame": index, "image": frame}


class Find:
    """The model, loaded once an actor."""

    def __init__(self) -> None:
        self._model = Clipomaly.load("nano", device="cpu")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of frames → their rows."""
        results = self._model(list(batch["image"]))
        rows = [
            row
            for clip, index, result in zip(batch["clip"], batch["frame"], results, strict=True)
            for row in found_rows(str(clip), [int(index)], [result])
        ]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def main() -> None:
    """The command."""
    archive, out = sys.argv[1:]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    clips = ray.data.from_items([{"clip": clip} for clip in clips_of(archive)])
    frames = clips.flat_map(decode)
    found = frames.map_batches(Find, batch_size=4, compute=ActorPoolStrategy(size=1))
    found.write_parquet(out, mode=SaveMode.OVERWRITE)


if __name__ == "__main__":
    main()
