"""From one night's decisions to the next night, as a team does it: scan, mine, decide, promote, scan again."""

import json
from pathlib import Path

import pytest
import yaml

from clipomaly_core.names import NameSource
from clipomaly_core.vocabulary import Vocabulary
from demo_fleet import write_archive
from tasks.tables import Tables, open_table
from tests.command import Run

MISSING = "traffic cone"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """The built-in dictionary without one name."""
    categories: dict[str, list[list[str]]] = {}
    for candidate in Vocabulary.load().candidates:
        if MISSING not in (candidate.name, *candidate.synonyms):
            categories.setdefault(candidate.category, []).append([candidate.name, *candidate.synonyms])
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump({"dictionary": categories}))
    return path


def rows(tables: Path, scan_id: str, drive: str) -> list[dict[str, object]]:
    found = open_table(str(tables), "instances", scan_id=scan_id).to_table().to_pylist()
    return [row for row in found if row["drive"] == drive]


@pytest.mark.slow
def test_what_was_decided_on_one_drive_holds_on_the_next(clipomaly: Run, words: Path, tmp_path: Path) -> None:
    archive, tables, queue, promoted = (tmp_path / name for name in ("archive", "tables", "queue.db", "words-2.yaml"))
    write_archive(archive, drives=2, clips=1, seconds=4.0, objects=8, nights=0, seed=51, kinds=[MISSING] * 6 + ["sofa"])
    # With a margin of its own: what is shown here is the loop, not how much nano finds.
    own = ("--set", "reassign_known_margin=0.05", "--set", "short_side=352")
    scan = ("scan", archive, "--out", tables, "--fps", 2, *own, "--vocabulary")
    assert clipomaly(*scan, words).code == 0
    [first] = Tables.at(tables).scans()
    seen = rows(tables, first.scan_id, "drive-01")
    assert seen and MISSING not in {row["name"] for row in seen}

    # The reviewer says "not an object" of the last item of the first drive, and names all others.
    clipomaly("mine", tables, "--queue", queue)
    flags = ("--queue", queue, "--drive", "drive-01", "--json", "--count", 100)
    items = json.loads(clipomaly("review", "list", *flags).out)
    *named, rejected = [item["item_id"] for item in items]
    assert named
    assert clipomaly("review", "decide", "relabel", *named, "--name", MISSING, "--queue", queue).code == 0
    assert clipomaly("review", "decide", "not-an-object", rejected, "--queue", queue).code == 0
    ran = clipomaly("vocabulary", "promote", "--queue", queue, "--tables", tables, "--vocabulary", words,
                    "--at-least", 1, "--out", promoted)  # fmt: skip
    assert ran.code == 0, ran.err
    assert f"+ name {MISSING}: given" in ran.out and "rejected once" in ran.out
    vocabulary = Vocabulary.load(str(promoted))
    assert [one.name for one in vocabulary.candidates if one.source is NameSource.PROMOTED] == [MISSING]
    assert {one.model for one in vocabulary.suppressed} == {first.weights_sha256}

    # The next night has another scan_id, finds the new name on a drive that nobody judged, and not what was rejected.
    assert clipomaly(*scan, promoted).code == 0
    second = Tables.at(tables).scans()[-1]
    assert second.scan_id != first.scan_id and second.weights_sha256 == first.weights_sha256
    assert MISSING in second.vocabulary and MISSING not in first.vocabulary
    other = rows(tables, second.scan_id, "drive-02")
    assert {row["name_source"] for row in other if row["name"] == MISSING} == {"promoted"}
    [shown] = [item for item in items if item["item_id"] == rejected]
    before, after = (
        {(row["frame_index"], row["bbox_x"], row["bbox_y"]) for row in rows(tables, scan_id, "drive-01")}
        for scan_id in (first.scan_id, second.scan_id)
    )
    place = (shown["frame_index"], shown["box"]["x"], shown["box"]["y"])
    assert place in before and place not in after
    # A report compares the two.
    ran = clipomaly("report", tables, "--compare", first.scan_id, second.scan_id, "--out", tmp_path / "report")
    assert ran.code == 0, ran.err
    [page] = (tmp_path / "report").glob("*.html")
    assert MISSING in page.read_text("utf-8")
