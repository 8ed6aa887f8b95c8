"""An accelerator whose memory is too small for a batch."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from clipomaly_core.errors import UserError
from clipomaly_core.types import Finish
from schemas.records import ScanRecord
from tasks.footage.frames import Rgb
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables
from tests.tasks.samples import BlobFinder
from tests.tasks.scanning.test_scan import part_files, whole


class Small(BlobFinder):
    """Takes ``most`` frames at a time, as a device does whose memory ends there."""

    def __init__(self, batch_size: int, most: int, error: RuntimeError) -> None:
        super().__init__(batch_size)
        self.most, self.error = most, error

    def infer(self, frames: Sequence[Rgb], /) -> list[Finish]:
        if len(frames) > self.most:
            self.calls.append(-len(frames))
            raise self.error
        return super().infer(frames)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), RuntimeError("MPS out of memory")]
)
def test_the_batch_is_halved_and_the_shard_finished(
    archive: Path, tmp_path: Path, record: ScanRecord, error: RuntimeError
) -> None:
    shard = whole(archive)
    scan_shard(shard, record, Tables.at(tmp_path / "large"), BlobFinder(8))
    model = Small(8, 3, error)
    result = scan_shard(shard, record, Tables.at(tmp_path / "small"), model)
    # Tried with 8 and 4 once; from then on never more than 2 at a time.
    assert model.calls[:2] == [-8, -4] and model.calls[2:] == [2] * 9 + [1]
    assert result.frames == 19
    assert part_files(tmp_path / "small") == part_files(tmp_path / "large")
    [commit] = Tables.at(tmp_path / "small").commits(record.scan_id)
    assert commit.notes == (
        "the memory of the accelerator is too small for 8 frames: continued with 4",
        "the memory of the accelerator is too small for 4 frames: continued with 2",
    )
    # The checkpoint keeps the notes.
    Tables.at(tmp_path / "small").fold(record.scan_id)
    assert Tables.at(tmp_path / "small").commits(record.scan_id) == [commit]
    [quiet] = Tables.at(tmp_path / "large").commits(record.scan_id)
    assert quiet.notes == ()


def test_memory_too_small_for_one_frame_is_one_line(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    model = Small(4, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(UserError, match="too small for one frame") as failure:
        scan_shard(whole(archive), record, Tables.at(tmp_path / "T"), model)
    assert "\n" not in str(failure.value)
    assert model.calls == [-4, -2, -1]
    assert Tables.at(tmp_path / "T").commits(record.scan_id) == []
