import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipomaly_core.errors import UserError
from clipomaly_core.types import Finish
from schemas.records import CommitRecord, Outcome, ScanRecord, Shard, ShardResult
from tasks.footage.archive import list_sources
from tasks.footage.frames import Rgb, read_frame, read_frames
from tasks.masks import decode_mask
from tasks.scanning import shard as scan
from tasks.scanning.plan import plan, shard_id
from tasks.scanning.rows import ShardRows
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables, open_table
from tests.tasks.samples import BlobFinder, image_bytes, upload, write_images, write_tar, write_video


def whole(archive: Path | str) -> Shard:
    """All sources of an archive as one shard, whatever drive and day."""
    sources = tuple(list_sources(str(archive)).sources)
    return Shard(shard_id(sources), sources)


def scan_all(archive: Path | str, record: ScanRecord, tables: str) -> list[ShardResult]:
    shards = plan(list_sources(str(archive)).sources, Tables.at(tables).commits(record.scan_id), 10)
    return [scan_shard(shard, record, Tables.at(tables), BlobFinder()) for shard in shards]


def part_files(tables: Path) -> dict[str, bytes]:
    return {str(p.relative_to(tables)): p.read_bytes() for p in sorted(tables.rglob("*.parquet"))}


def outcomes(result: ShardResult) -> dict[str, tuple[Outcome, str | None]]:
    return {s.uri.rstrip("/").rsplit("/", 1)[-1]: (s.outcome, s.error) for s in result.sources}


def rows(tables: Path | str, table: str, record: ScanRecord) -> list[dict[str, object]]:
    Tables.at(tables).begin(record)
    return list(open_table(str(tables), table).to_table().to_pylist())


def test_rows_say_what_the_model_found(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    tables, shard = tmp_path / "T", whole(archive)
    progress: list[int] = []
    model = BlobFinder(batch_size=4)
    result = scan_shard(shard, record, Tables.at(tables), model, progress.append)
    assert (result.frames, result.already_committed) == (4 + 4 + 4 + 3 + 4, False)
    assert progress == [4, 4, 4, 4, 3] == model.calls  # full batches, across sources
    assert {name: outcome for name, (outcome, _) in outcomes(result).items()} == {
        "20261122_031500.mp4": Outcome.OK,
        "20261122_031600.mp4": Outcome.EMPTY,
        "2026-11-23T09-00-00.tar": Outcome.OK,
        "20261123_080000.avi": Outcome.OK,
        "photos": Outcome.OK,
    }
    frames = rows(tables, "frames", record)
    instances = rows(tables, "instances", record)
    embeddings = {str(row["instance_id"]): row["embedding"] for row in rows(tables, "embeddings", record)}
    assert len(frames) == result.frames and len(instances) == result.instances == len(embeddings)
    assert Counter(str(row["name"]) for row in instances) == {n.name: n.instances for n in result.names}

    sources = {source.uri: source for source in shard.sources}
    by_frame: dict[tuple[str, int], list[dict[str, object]]] = {}
    first_of_source: dict[str, set[object]] = {}
    for row in instances:
        first_of_source.setdefault(str(row["source_uri"]), set()).add(row["instance_id"])
        by_frame.setdefault((str(row["source_uri"]), int(str(row["frame_index"]))), []).append(row)
    for row in frames:
        uri, index = str(row["source_uri"]), int(str(row["frame_index"]))
        expected = BlobFinder().judge(read_frame(uri, index))
        found = by_frame.get((uri, index), [])
        assert row["status"] == "ok" and row["error"] is None
        assert row["instance_count"] == len(expected.instances) == len(found)
        assert (row["frame_height"], row["frame_width"]) == expected.labels.shape
        assert row["anomaly_fraction"] == pytest.approx((expected.labels >= 1).mean())
        assert row["anomaly_score_max"] == np.float32(expected.anomaly_score.max())
        assert row["drive"] == sources[uri].drive
        assert (row["latitude"], row["longitude"]) == (sources[uri].latitude, sources[uri].longitude)
        for got, instance in zip(found, expected.instances, strict=True):
            mask = decode_mask(got["mask_rle"], *expected.labels.shape)  # type: ignore[arg-type]
            assert np.array_equal(mask, instance.mask)
            box = tuple(got[f"bbox_{side}"] for side in ("x", "y", "width", "height"))
            assert box == instance.bbox and got["area"] == instance.area == mask.sum()
            assert (got["name"], got["name_source"]) == (instance.name, instance.name_source)
            assert got["names"] == [{"name": n.name, "score": np.float32(n.score)} for n in instance.names]
            assert got["anomaly_score"] == np.float32(instance.score)
            assert got["timestamp"] == row["timestamp"]
            assert got["track_id"] in first_of_source[uri]
            half = instance.embedding.astype(np.float16)
            assert np.array_equal(np.asarray(embeddings[str(got["instance_id"])], np.float16), half)

    # Where there is nothing to tell there are no rows but those of the frames.
    quiet = [row for row in frames if "031600" in str(row["source_uri"])]
    assert len(quiet) == 4 and all(row["latitude"] == 48.1 for row in quiet)


def test_part_files_and_commit(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    tables, shard = tmp_path / "T", whole(archive)
    result = scan_shard(shard, record, Tables.at(tables), BlobFinder())
    [commit] = Tables.at(tables).commits(record.scan_id)
    # Two named days and the day on which the photos were made here.
    days = {"2026-11-22", "2026-11-23", *(s.day for s in shard.sources)}
    assert set(part_files(tables)) == {file.path for file in commit.files} == {
        f"{table}/scan={record.scan_id}/dt={day}/{shard.shard_id}.parquet"
        for table in ("instances", "frames", "embeddings")
        for day in days
    }  # fmt: skip
    for file in commit.files:
        assert file.rows == pq.read_metadata(tables / file.path).num_rows
        assert file.size == (tables / file.path).stat().st_size
    assert commit.sources == result.sources and commit.seconds == result.seconds
    assert min(commit.seconds.reading, commit.seconds.inferring, commit.seconds.writing) > 0


def test_same_bytes_again_and_from_any_batch_size(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    shard = whole(archive)
    for name, size in (("first", 4), ("second", 4), ("third", 7)):
        scan_shard(shard, record, Tables.at(tmp_path / name), BlobFinder(size))
    scan_shard(shard, record, Tables.at(tmp_path / "in flight"), BlobFinder(4, batches_in_flight=2))
    first = part_files(tmp_path / "first")
    assert first == part_files(tmp_path / "second") == part_files(tmp_path / "third")
    assert first == part_files(tmp_path / "in flight")
    assert len(first) >= 6


def test_same_rows_from_and_to_s3(archive: Path, tmp_path: Path, record: ScanRecord, s3: str) -> None:
    scan_all(archive, record, str(tmp_path / "T"))
    scan_all(upload(archive, f"{s3}/archive"), record, f"{s3}/T")
    for table in ("frames", "instances"):
        here, there = rows(tmp_path / "T", table, record), rows(f"{s3}/T", table, record)
        assert here

        def comparable(row: dict[str, object]) -> tuple[object, ...]:
            # The address, what is hashed from it, and copying times cannot be the same.
            name = str(row["source_uri"]).split("/archive/", 1)[1]
            different = {"source_uri", "shard", "instance_id", "track_id", "dt"}
            if row["timestamp_source"] == "mtime":
                different.add("timestamp")
            return (name, *((k, str(v)) for k, v in row.items() if k not in different))

        assert sorted(map(comparable, here)) == sorted(map(comparable, there))


def test_a_second_run_does_nothing(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    tables = str(tmp_path / "T")
    assert len(scan_all(archive, record, tables)) == 3
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "T").rglob("*")}
    assert scan_all(archive, record, tables) == []
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "T").rglob("*")} == before


def test_committed_shard_stays(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    tables, shard = str(tmp_path / "T"), whole(archive)
    first = scan_shard(shard, record, Tables.at(tables), BlobFinder())
    before = part_files(tmp_path / "T")
    model = BlobFinder()
    again = scan_shard(shard, record, Tables.at(tables), model)
    assert again == replace(first, already_committed=True, names=())
    assert model.calls == [] and part_files(tmp_path / "T") == before


@pytest.mark.parametrize("late", [False, True])
def test_loser_of_a_race_says_so(
    archive: Path, tmp_path: Path, record: ScanRecord, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, shard = str(tmp_path / "T"), whole(archive)
    results: list[ShardResult] = []

    def overtake() -> None:
        if not results:
            results.append(scan_shard(shard, record, Tables.at(tables), BlobFinder()))

    class Slow(BlobFinder):
        def infer(self, frames: Sequence[Rgb], /) -> list[Finish]:
            if not late:
                overtake()
            return super().infer(frames)

    class Late(Tables):
        def write_commit(self, record: CommitRecord) -> bool:
            if late:
                overtake()
            return super().write_commit(record)

    lost = scan_shard(shard, record, Late(Tables.at(tables).root), Slow())
    [won] = results
    assert lost.already_committed and not won.already_committed
    assert lost.sources == won.sources
    assert len(Tables.at(tables).commits(record.scan_id)) == 1


def bad_archive(root: Path) -> None:
    """Good sources, and between them each kind of bad one."""
    write_video(root / "a-good.mp4")
    (root / "b-empty.mp4").touch()
    (root / "c-text.mp4").write_text("not a video\n" * 100)
    header_lost = write_video(root / "d-no-header.mp4").read_bytes()
    (root / "d-no-header.mp4").write_bytes(header_lost[: len(header_lost) // 2])
    cut = write_video(root / "e-cut.mkv", frames=100).read_bytes()
    (root / "e-cut.mkv").write_bytes(cut[: len(cut) // 2])
    write_video(root / "f-no-frames.mp4", frames=0)
    write_images(root / "g-photos", 3)
    half = (root / "g-photos" / "001.jpg").read_bytes()
    (root / "g-photos" / "001.jpg").write_bytes(half[: len(half) // 2])
    pictures = {f"{n}.jpg": image_bytes(n) for n in range(4)}
    write_tar(root / "h-bad-member.tar", pictures | {"2.jpg": pictures["2.jpg"][:300]})
    tar = write_tar(root / "i-cut.tar", pictures).read_bytes()
    (root / "i-cut.tar").write_bytes(tar[:3000])
    write_images(root / "j-all-bad", 2)
    for path in (root / "j-all-bad").iterdir():
        path.write_bytes(b"\xff\xd8\xff")
    (root / "k-gone.avi").symlink_to(root / "nowhere.avi")
    (root / "l-unknown.xyz").write_bytes(b"x")
    write_video(root / "m-good.avi", codec="MJPG")


def test_bad_input_never_costs_a_neighbour(
    tmp_path: Path, record: ScanRecord, capfd: pytest.CaptureFixture[str]
) -> None:
    bad_archive(tmp_path / "archive")
    listing = list_sources(str(tmp_path / "archive"))
    assert [uri.rsplit("/", 1)[-1] for uri in listing.ignored] == ["l-unknown.xyz"]
    capfd.readouterr()
    result = scan_shard(whole(tmp_path / "archive"), record, Tables.at(tmp_path / "T"), BlobFinder())
    assert capfd.readouterr() == ("", "")
    found = outcomes(result)
    assert {name: outcome.value for name, (outcome, _) in found.items()} == {
        "a-good.mp4": "ok",
        "b-empty.mp4": "failed",
        "c-text.mp4": "failed",
        "d-no-header.mp4": "failed",
        "e-cut.mkv": "partial",
        "f-no-frames.mp4": "failed",
        "g-photos": "partial",
        "h-bad-member.tar": "partial",
        "i-cut.tar": "partial",
        "j-all-bad": "failed",
        "k-gone.avi": "failed",
        "m-good.avi": "ok",
    }
    for outcome, error in found.values():
        assert (error is None) == (outcome is Outcome.OK)
        assert error is None or ("\n" not in error and "Traceback" not in error)
    assert found["b-empty.mp4"][1] == "the file is empty"
    assert found["g-photos"][1] is not None and found["g-photos"][1].startswith("1 of 3 frames lost: 001.jpg: ")
    frames = rows(tmp_path / "T", "frames", record)
    assert len(frames) == result.frames == sum(source.frames for source in result.sources)
    broken = [row for row in frames if row["status"] == "failed"]
    assert len(broken) == sum(source.failed_frames for source in result.sources) > 10
    assert all(row["error"] and row["frame_height"] is None for row in broken)


def test_everything_failed_is_still_recorded(tmp_path: Path, record: ScanRecord) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").touch()
    model = BlobFinder()
    result = scan_shard(whole(tmp_path / "a"), record, Tables.at(tmp_path / "T"), model)
    assert (result.frames, model.calls, result.sources[0].outcome) == (0, [], Outcome.FAILED)
    assert rows(tmp_path / "T", "frames", record) == []
    assert plan(list_sources(str(tmp_path / "a")).sources, Tables.at(tmp_path / "T").commits(record.scan_id), 1) == []


def test_source_changed_meanwhile(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    shard = whole(archive)
    write_video(archive / "drive-a" / "20261122_031500.mp4", frames=30)
    (archive / "drive-b" / "20261123_080000.avi").unlink()
    result = scan_shard(shard, record, Tables.at(tmp_path / "T"), BlobFinder())
    found = outcomes(result)
    assert found["20261122_031500.mp4"][0] is found["20261123_080000.avi"][0] is Outcome.FAILED
    assert "changed after it was listed" in str(found["20261122_031500.mp4"][1])
    assert found["20261123_080000.avi"][1] == "gone since it was listed"
    assert found["photos"][0] is Outcome.OK
    # What changed is planned again as it is now.
    [again] = plan(list_sources(str(archive)).sources, Tables.at(tmp_path / "T").commits(record.scan_id), 10)
    assert [source.uri.rsplit("/", 1)[-1] for source in again.sources] == ["20261122_031500.mp4"]


def test_a_decoder_that_crashes_costs_one_source(
    archive: Path, tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(source: object, fps: float, keyframes: bool) -> object:
        if "photos" in str(source):
            raise RuntimeError("unforeseen\nsecond line")
        return read_frames(source, fps, keyframes)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "read_frames", crash)
    found = outcomes(scan_shard(whole(archive), record, Tables.at(tmp_path / "T"), BlobFinder()))
    assert found["photos"] == (Outcome.FAILED, "cannot be read: RuntimeError: unforeseen")
    assert found["20261123_080000.avi"][0] is Outcome.OK


def alive(before: set[threading.Thread]) -> set[str]:
    return {t.name for t in set(threading.enumerate()) - before if t.name.startswith("scan")}


@pytest.mark.parametrize(
    "error", [UserError("the model gave no scores; choose another"), RuntimeError("a kernel failed")]
)
def test_failing_model_stops_the_shard(archive: Path, tmp_path: Path, record: ScanRecord, error: Exception) -> None:
    class Failing(BlobFinder):
        def infer(self, frames: Sequence[Rgb], /) -> list[Finish]:
            if self.calls:
                raise error
            return super().infer(frames)

    before = set(threading.enumerate())
    with pytest.raises(type(error), match=str(error)):
        scan_shard(whole(archive), record, Tables.at(tmp_path / "T"), Failing(batch_size=1))
    assert not alive(before)
    assert part_files(tmp_path / "T") == {} and Tables.at(tmp_path / "T").commits(record.scan_id) == []


def test_failing_rows_stop_the_shard(
    archive: Path, tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise ValueError("a row that cannot be")

    monkeypatch.setattr(ShardRows, "add", fail)
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="cannot be"):
        scan_shard(whole(archive), record, Tables.at(tmp_path / "T"), BlobFinder(batch_size=1))
    assert not alive(before)


def test_tables_that_cannot_be_written(archive: Path, tmp_path: Path, record: ScanRecord) -> None:
    (tmp_path / "T").write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"Cannot (write|read)"):
        scan_shard(whole(archive), record, Tables.at(tmp_path / "T"), BlobFinder())


def test_reading_keeps_a_few_batches_ahead_only(
    tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "photos", 60)
    produced, consumed, ahead = 0, 0, []

    def counted(source: object, fps: float, keyframes: bool) -> object:
        nonlocal produced
        for frame in read_frames(source, fps, keyframes):  # type: ignore[arg-type]
            produced += 1
            yield frame

    class Slow(BlobFinder):
        def infer(self, frames: Sequence[Rgb], /) -> list[Finish]:
            nonlocal consumed
            time.sleep(0.05)
            ahead.append(produced - consumed)
            consumed += len(frames)
            return super().infer(frames)

    monkeypatch.setattr(scan, "read_frames", counted)
    scan_shard(whole(tmp_path / "photos"), record, Tables.at(tmp_path / "T"), Slow(batch_size=2))
    assert produced == 60
    # The batch in the model, two batches in the queue, and the frame that waits for room.
    assert max(ahead) <= 2 + 2 * 2 + 1


def test_stages_overlap(tmp_path: Path, record: ScanRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model is at work on one frame, the next is read."""
    write_images(tmp_path / "photos", 6)
    read, change = 0, threading.Condition()

    def counted(source: object, fps: float, keyframes: bool) -> object:
        nonlocal read
        for frame in read_frames(source, fps, keyframes):  # type: ignore[arg-type]
            with change:
                read += 1
                change.notify_all()
            yield frame

    class Waiting(BlobFinder):
        def infer(self, frames: Sequence[Rgb], /) -> list[Finish]:
            found = super().infer(frames)
            with change:
                assert change.wait_for(lambda: read >= min(6, len(self.calls) + 1), 60)
            return found

    monkeypatch.setattr(scan, "read_frames", counted)
    result = scan_shard(whole(tmp_path / "photos"), record, Tables.at(tmp_path / "T"), Waiting(batch_size=1))
    assert result.frames == 6


def test_footage_over_midnight_has_a_part_file_a_day(tmp_path: Path, record: ScanRecord) -> None:
    write_video(tmp_path / "archive" / "20261122_235959.mp4")
    result = scan_shard(whole(tmp_path / "archive"), record, Tables.at(tmp_path / "T"), BlobFinder())
    days = Counter(row["dt"] for row in rows(tmp_path / "T", "frames", record))
    assert days == {date(2026, 11, 22): 2, date(2026, 11, 23): 2}
    assert len(part_files(tmp_path / "T")) == 6 and result.frames == 4


SCAN_IN_A_PROCESS = """
import sys, time
from tests.tasks.samples import BlobFinder, description
from tests.tasks.scanning.test_scan import scan_all
from tasks.scanning.scan_record import make_scan_record

class Slow(BlobFinder):
    def infer(self, frames, /):
        time.sleep(0.1)
        return super().infer(frames)

import tests.tasks.scanning.test_scan as module
module.BlobFinder = Slow
print("ready", flush=True)
scan_all(sys.argv[1], make_scan_record(description(), fps=2.0), sys.argv[2])
"""


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


@pytest.mark.whole
def test_killed_half_way_and_run_again(tmp_path: Path, record: ScanRecord) -> None:
    for number in range(8):
        write_video(tmp_path / "archive" / f"drive-{number}" / f"20261122_03150{number}.mp4")
    tables = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", SCAN_IN_A_PROCESS, str(tmp_path / "archive"), str(tables)],
        cwd=Path(__file__).parents[3],
    )
    wait_for(lambda: len(list(tables.glob("_commits/*/*.json"))) >= 2 or process.poll() is not None)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(Tables.at(tables).commits(record.scan_id))
    assert 2 <= done < 8
    # What a shard wrote before it was killed lies there uncommitted: it is not seen, and made again in place.
    half = plan(list_sources(str(tmp_path / "archive")).sources, Tables.at(tables).commits(record.scan_id), 10)[0]
    orphan = tables / f"frames/scan={record.scan_id}/dt=2026-11-22/{half.shard_id}.parquet"
    orphan.write_bytes(b"half a file")
    assert len(rows(tables, "frames", record)) == done * 4
    assert len(scan_all(tmp_path / "archive", record, str(tables))) == 8 - done
    scan_all(tmp_path / "archive", record, str(tmp_path / "whole"))
    assert part_files(tables) == part_files(tmp_path / "whole")
    assert sorted(p.name for p in tables.glob("_commits/*/*")) == sorted(
        p.name for p in (tmp_path / "whole").glob("_commits/*/*")
    )


def test_real_data(shared_data: Path, tmp_path: Path, record: ScanRecord) -> None:
    results = scan_all(shared_data / "dashcam", record, str(tmp_path / "T"))
    assert sum(result.frames for result in results) == 22
    (tmp_path / "photos").mkdir()
    for photo in sorted((shared_data / "roadanomaly-open" / "frames").glob("*.jpg"))[:6]:
        shutil.copy(photo, tmp_path / "photos")
    [photos] = scan_all(tmp_path / "photos", record, str(tmp_path / "T"))
    assert photos.frames == 6
    assert len(rows(tmp_path / "T", "frames", record)) == 28
