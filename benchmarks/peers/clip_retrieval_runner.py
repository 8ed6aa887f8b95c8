"""clip-retrieval: its reader, mapper, writer and runner make an embedding of each whole frame.

Frames are written as files first, because it reads no video. Its mapper downloads its models; here it gets the image
tower of nano, with the version of open_clip that clip-retrieval asks for.

python -m benchmarks.peers.clip_retrieval_runner ARCHIVE OUT
"""

import sys
from pathlib import Path
from typing import Any

from clip_retrieval.clip_inference.logger import LoggerWriter
from clip_retrieval.clip_inference.mapper import ClipMapper
from clip_retrieval.clip_inference.reader import FilesReader
from clip_retrieval.clip_inference.runner import Runner
from clip_retrieval.clip_inference.writer import NumpyWriter

from benchmarks.peers.clips import write_frames
from benchmarks.peers.whole_frames import load_nano

_PARTITION = 32  # frames


class Mapper(ClipMapper):
    """Its mapper with a model that is on this machine."""

    def __init__(self, network: Any) -> None:
        self.enable_image, self.enable_text, self.enable_metadata = True, False, False
        self.device = "cpu"
        self.model_img = network.encode_image


def main() -> None:
    """The command."""
    archive, out = sys.argv[1:]
    frames = write_frames(archive, Path(out) / "frames")
    network, preprocess = load_nano()
    partitions = -(-len(frames) // _PARTITION)
    runner = Runner(
        lambda sampler: FilesReader(sampler, preprocess, None, f"{out}/frames", 8, 0, enable_text=False),
        lambda: Mapper(network),
        lambda number: NumpyWriter(number, f"{out}/rows", False, True, False, partitions),
        lambda number: LoggerWriter(number, f"{out}/stats"),
        partitions,
    )
    for number in range(partitions):
        runner(number)


if __name__ == "__main__":
    main()
