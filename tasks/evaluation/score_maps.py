"""Anomaly scores of any detector, from files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.errors import UsageError
from tasks.evaluation.formats import EvaluationFrame
from tasks.footage.images import read_single_channel
from tasks.storage import reason

ScoreMap = npt.NDArray[np.float32]


def check_score_maps(folder: Path, frames: Sequence[EvaluationFrame]) -> None:
    """Check that every frame has a score map. None is read.

    Raises:
        UsageError: no such folder, or a frame without a map.
    """
    if not folder.is_dir():
        raise UsageError(f"--scores {folder}: there is no such folder.")
    missing = [frame.name for frame in frames if _score_file(folder, frame.name) is None]
    if missing:
        raise UsageError(
            f"{folder} has no score map for {len(missing)} of {len(frames)} frames, such as "
            f"{missing[0]}.png or .npy; add them, or judge fewer frames with --limit."
        )


def read_score_map(folder: Path, frame: EvaluationFrame) -> ScoreMap:
    """A frame's anomaly scores: ``NAME.npy``, floating point of any range, or ``NAME.png``, 16 bits for 0 to 1.

    Returns:
        (H, W) float32, higher is more anomalous.

    Raises:
        UsageError: no such file, or it holds something else.
    """
    path = _score_file(folder, frame.name)
    if path is None:
        raise UsageError(f"{folder} has no score map {frame.name}.png or {frame.name}.npy.")
    if path.suffix == ".png":
        values = read_single_channel(path)
        if values.dtype != np.uint16:
            raise UsageError(f"{path}: a score map is a PNG of 16 bits a pixel, not {values.dtype}; or save npy.")
        return values.astype(np.float32) / np.float32(np.iinfo(np.uint16).max)
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read as a numpy array ({reason(error)}).") from error
    if loaded.ndim != 2 or not np.issubdtype(loaded.dtype, np.floating):
        raise UsageError(
            f"{path} holds {loaded.dtype} of shape {loaded.shape}; a score map is float32, (height, width)."
        )
    return np.asarray(loaded, dtype=np.float32)


def _score_file(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}.npy", folder / f"{name}.png")
    return next((path for path in files if path.is_file()), None)
