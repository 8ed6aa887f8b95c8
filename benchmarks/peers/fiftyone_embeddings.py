"""FiftyOne: ``compute_embeddings`` puts an embedding of each whole frame into its database.

Frames are written as files first, as its own import of video does. A second run embeds what has no embedding yet. The
database lies where the environment says: FIFTYONE_DATABASE_DIR.

python -m benchmarks.peers.fiftyone_embeddings ARCHIVE OUT
python -m benchmarks.peers.fiftyone_embeddings ARCHIVE OUT count    # how many frames have one
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fiftyone
import torch
from fiftyone.core.models import EmbeddingsMixin, Model
from PIL import Image

from benchmarks.peers.clips import write_frames
from benchmarks.peers.whole_frames import load_nano

_BATCH = 8
_NAME = "frames"


class Nano(Model, EmbeddingsMixin):
    """A model as FiftyOne takes it."""

    media_type = "image"
    has_embeddings = True
    ragged_batches = False

    def __init__(self) -> None:
        self._network, self._preprocess = load_nano()

    def embed(self, arg: Any) -> Any:
        """(H, W, 3) uint8 RGB → (D,) float32."""
        return self.embed_all([arg])[0]

    def embed_all(self, args: Sequence[Any]) -> Any:
        """Of several frames: (N, D) float32."""
        pixels = torch.stack([self._preprocess(Image.fromarray(frame)) for frame in args])
        with torch.inference_mode():
            return self._network.encode_image(pixels).numpy()


def main() -> None:
    """The command."""
    archive, out, *count = sys.argv[1:]
    there = fiftyone.dataset_exists(_NAME)
    dataset = fiftyone.load_dataset(_NAME) if there else fiftyone.Dataset(_NAME, persistent=True)
    if not dataset.has_sample_field("embedding"):
        dataset.add_sample_field("embedding", fiftyone.VectorField)
    if count:
        print(len(dataset.exists("embedding")))
        return
    known = set(dataset.values("filepath"))
    paths = [str(path.absolute()) for path in write_frames(archive, Path(out) / "frames")]
    dataset.add_samples([fiftyone.Sample(path) for path in paths if path not in known])
    dataset.exists("embedding", False).compute_embeddings(Nano(), embeddings_field="embedding", batch_size=_BATCH)


if __name__ == "__main__":
    main()
