"""datatrove: its local executor runs a step of our own for each rank; a rank is a clip.

python -m benchmarks.peers.datatrove_executor ARCHIVE OUT
"""

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from benchmarks.peers.clips import clips_of, found_rows, frames_of_clip
from clipomaly_core import Clipomaly


@lru_cache(1)
def model() -> Clipomaly:
    """The model, once a process."""
    return Clipomaly.load("nano", device="cpu")


class Find(PipelineStep):
    """The clips of a rank → one Parquet file."""

    name = "find"

    def __init__(self, archive: str, out: str) -> None:
        super().__init__()
        self.archive, self.out = archive, out

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        """Scan this rank's clips."""
        rows = []
        for clip in clips_of(self.archive)[rank::world_size]:
            frames = list(frames_of_clip(clip))
            results = model()([frame for _, frame in frames])
            rows += found_rows(clip, [index for index, _ in frames], results)
        pd.DataFrame(rows).to_parquet(f"{self.out}/{rank:05d}.parquet")
        yield from data or ()


def main() -> None:
    """The command."""
    archive, out = sys.argv[1:]
    Path(out).mkdir(parents=True, exist_ok=True)
    tasks = len(clips_of(archive))
    LocalPipelineExecutor([Find(archive, out)], tasks=tasks, workers=1, logging_dir=f"{out}/logs").run()


if __name__ == "__main__":
    main()
