"""The nightly report: what it counts, and the page as a browser shows and prints it."""

import dataclasses
import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from schemas.records import CommitRecord, Outcome, ScanRecord
from schemas.review import Box
from tasks.errors import UsageError, UserError
from tasks.footage.archive import list_sources
from tasks.reporting.comparison import Judged, JudgedChange, compare_scans
from tasks.reporting.page import render_comparison, render_report
from tasks.reporting.report import make_report
from tasks.scanning.plan import plan
from tasks.scanning.scan_record import Loss, make_scan_record, write_plan
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables, open_table
from tests.chromium import needs_chromium
from tests.review.browser import LAPTOP, PHONE, TABLET, playwright, serious_problems
from tests.review.browser import visit as visit
from tests.tasks.samples import BlobFinder, description, write_video

HOSTILE = "red <img src=x> $x_1$"
COMMIT = TypeAdapter(CommitRecord)


class Namer(BlobFinder):
    """The blob finder with a name that a page must not take for markup."""

    vocabulary = ("road", HOSTILE, "green thing", "blue thing")


def scan(archive: Path, tables: Path, record: ScanRecord, model: BlobFinder, at: datetime) -> None:
    """Scan what is not scanned yet, as if it had been committed ``at``."""
    listing = list_sources(str(archive))
    folder = tables / "_commits" / record.scan_id
    before = set(folder.glob("*.json"))

    Tables.at(tables).begin(record)
    for shard in plan(listing.sources, Tables.at(tables).commits(record.scan_id), 1):
        scan_shard(shard, record, Tables.at(tables), model)
    for file in set(folder.glob("*.json")) - before:
        commit = COMMIT.validate_json(file.read_bytes())
        file.write_bytes(COMMIT.dump_json(dataclasses.replace(commit, committed=at)))


NIGHT = datetime(2026, 11, 23, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Green things for two weeks; then a night with red ones, positions, a broken clip and a stray file."""
    root = tmp_path_factory.mktemp("report")
    archive, tables = root / "archive", root / "tables"
    record = make_scan_record(description(), fps=10)
    for day in (date(2026, 11, 5), date(2026, 11, 18)):
        _clip(archive / "old" / f"{day:%Y%m%d}_080000.mp4", first=1, frames=1)
    scan(archive, tables, record, Namer(), NIGHT - timedelta(days=4))
    drive = archive / "night <b>&drive"
    for number in range(3):
        clip = _clip(drive / f"20261122_0{number}0000.mp4", first=0, frames=6)
        position = {"latitude": 48.1 + 0.01 * number, "longitude": 11.5 + 0.02 * number}
        clip.with_suffix(".json").write_text(json.dumps(position))
    (drive / "broken.mp4").write_text("no video")
    (drive / "notes.txt").write_text("of no known kind")
    os.utime(drive / "broken.mp4", (NIGHT.timestamp() - 7200,) * 2)
    scan(archive, tables, record, Namer(), NIGHT)
    _clip(archive / "tomorrow" / "20261123_070000.mp4", first=0, frames=2)
    return archive, tables


def _clip(path: Path, first: int, frames: int) -> Path:
    """Discs of the samples from number ``first`` on: 0 is red, 1 green, 2 blue."""
    import cv2

    from tests.tasks.samples import draw

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for number in range(first, first + frames):
        writer.write(cv2.cvtColor(draw(number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_the_night_is_told_from_what_came_before(fleet):
    archive, tables = fleet
    report = make_report(Tables.at(tables), listing=list_sources(str(archive)))
    assert report.ended == NIGHT
    assert report.days == (date(2026, 11, 22), date(2026, 11, 22))
    assert report.outcomes == {Outcome.OK: 3, Outcome.FAILED: 1}
    assert report.has_before
    truth = open_table(str(tables), "instances").to_table().to_pandas()
    night = truth[truth.dt == date(2026, 11, 22)]
    frames = open_table(str(tables), "frames").to_table().to_pandas()
    scanned = (frames.dt == date(2026, 11, 22)).sum()
    assert {line.name: line.instances for line in report.names} == night.name.value_counts().to_dict()
    for line in report.names:
        assert line.rate == pytest.approx(1000 * line.instances / scanned)
    lines = {line.name: line for line in report.names}
    assert lines[HOSTILE].is_new
    assert not lines["green thing"].is_new
    # 18 November is within the week before, 5 November in the third; of the other weeks nothing is scanned.
    assert lines["green thing"].weeks == (1000.0, None, 1000.0, None)
    assert lines[HOSTILE].weeks == (0.0, None, 0.0, None)
    assert sum(report.scores) == pytest.approx(1)
    assert [source.uri.rsplit("/", 1)[-1] for source in report.troubles] == ["broken.mp4"]
    assert len(report.scanned_positions) == 3
    assert report.unscanned is not None
    assert [uri.rsplit("/", 1)[-1] for uri in report.unscanned.sources] == ["20261123_070000.mp4"]
    assert [uri.rsplit("/", 1)[-1] for uri in report.unscanned.ignored] == ["notes.txt"]


def test_the_verdict_counts_objects_and_not_their_instances(fleet):
    report = make_report(Tables.at(fleet[1]))
    assert report.objects < report.instances
    sources = report.outcomes.total()
    assert report.verdict == f"{sources} sources done, 0 left, 1 failed; {report.objects} finds to judge, 2 new kinds"
    html = render_report(report)
    assert f"{report.verdict}." in html and f"clipomaly mine {fleet[1]} --queue queue.db" in html
    assert "Judge them" in render_report(report, "http://127.0.0.1:8400")


def test_times_of_files_are_told(fleet, tmp_path):
    assert not any(line.has_file_dates for line in make_report(Tables.at(fleet[1])).drives)
    _clip(tmp_path / "a" / "drive" / "clip.mp4", first=0, frames=2)
    scan(tmp_path / "a", tmp_path / "T", make_scan_record(description(), fps=10), Namer(), NIGHT)
    report = make_report(Tables.at(tmp_path / "T"))
    assert [line.has_file_dates for line in report.drives] == [True]
    assert "(file date)" in render_report(report) and "(file dates)" in render_report(report)


@pytest.fixture
def copied(fleet, tmp_path):
    """The archive, and a copy of its tables with the record of their scan."""
    archive, tables = fleet
    shutil.copytree(tables, tmp_path / "T")
    [record] = Tables.at(tmp_path / "T").scans()
    return archive, tmp_path / "T", record


def test_the_page_knows_what_was_planned(copied):
    archive, mine, record = copied
    there = Tables.at(mine)
    assert "Every source" not in render_report(make_report(there))  # one could not be read
    planned = plan(list_sources(str(archive)).sources, [], 1)
    uris = [[source.uri.rsplit("/", 1)[-1] for source in shard.sources] for shard in planned]
    tomorrow = next(i for i, names in enumerate(uris) if "20261123_070000.mp4" in names)
    for lost in (None, {planned.shard_ids[tomorrow]: Loss("a.mp4", 1, "the card fell <off>", "")}):
        write_plan(there, record.scan_id, str(archive), planned, lost, run=1)
        report = make_report(there)
        count = len(planned.sources)
        assert (report.plan.planned, report.plan.done, report.plan.failed) == (count, count - 1, 1)
        assert (report.plan.left, report.plan.lost) == ((0, 1) if lost else (1, 0))
        html = render_report(report)
        assert f"Not complete: {count - 1} of {count} planned sources done (1 could not be read)" in html
        assert ("0 left, 1 lost" if lost else "1 left, 0 lost") in html and "Every source" not in html
        assert ("the card fell &lt;off&gt;" if lost else "not scanned yet") in html
        assert "20261123_070000.mp4" in html
    scan(archive, mine, record, Namer(), NIGHT)
    report = make_report(there)
    assert report.plan.is_complete and report.plan.shards == ()
    assert f"All {count} planned sources done, of which 1 could not be read" in render_report(report)


def test_what_a_scan_did_before_it_was_cut_off_is_the_nights(copied):
    """Run again, it plans only the rest."""
    archive, mine, record = copied
    there = Tables.at(mine)
    rest = plan([one for one in list_sources(str(archive)).sources if one.uri.endswith("20261123_070000.mp4")], [], 1)
    write_plan(there, record.scan_id, str(archive), rest, run=1)
    before = make_report(there)
    assert (before.plan.done, before.plan.left) == (before.outcomes.total(), 1)
    scan(archive, mine, record, Namer(), NIGHT)
    after = make_report(there)
    assert after.plan.done == after.plan.planned == after.outcomes.total() == before.plan.planned


def test_a_clock_that_was_ahead_does_not_take_the_night(fleet, tmp_path):
    archive, tables = fleet
    mine = tmp_path / "T"
    shutil.copytree(tables, mine)
    [record] = Tables.at(mine).scans()
    ahead = archive.parent / "ahead"
    _clip(ahead / "car" / "20261101_080000.mp4", first=0, frames=1)
    scan(ahead, mine, record, Namer(), NIGHT + timedelta(days=1500))
    _clip(ahead / "car" / "20261102_080000.mp4", first=0, frames=1)
    scan(ahead, mine, dataclasses.replace(record, run=1), Namer(), NIGHT + timedelta(hours=1))
    report = make_report(Tables.at(mine))
    assert report.ended == NIGHT + timedelta(hours=1)
    assert report.outcomes.total() == 5


def test_the_end_of_the_run_before_is_no_part_of_the_night(tmp_path):
    """The night before took until ten past four; this one was done at four."""
    archive, tables = tmp_path / "a", tmp_path / "T"
    record = make_scan_record(description(), fps=10)
    yesterday = NIGHT - timedelta(days=1)
    for run, at in (
        (1, yesterday),
        (1, yesterday + timedelta(minutes=70)),
        (2, NIGHT),
        (2, NIGHT + timedelta(hours=1)),
    ):
        _clip(archive / "car" / f"{at:%Y%m%d_%H%M%S}.mp4", first=0, frames=1)
        scan(archive, tables, dataclasses.replace(record, run=run), Namer(), at)
    assert make_report(Tables.at(tables)).outcomes.total() == 2
    assert make_report(Tables.at(tables), hours=26).outcomes.total() == 4


def test_a_first_night_has_no_before_and_no_new_kinds(fleet):
    report = make_report(Tables.at(fleet[1]), hours=24 * 30)
    assert not report.has_before
    assert report.new_names == ()
    assert report.scores_before == ()
    assert "every name is new" in render_report(report)


def test_a_frame_that_is_gone_leaves_its_reason(fleet, tmp_path):
    archive, tables = fleet
    moved = archive / "night <b>&drive"
    moved.rename(tmp_path / "away")
    try:
        report = make_report(Tables.at(tables))
    finally:
        (tmp_path / "away").rename(moved)
    assert all(shown.jpeg is None and shown.error for shown in report.finds)
    assert "cannot be read" in render_report(report)


def test_names_and_addresses_are_never_markup(fleet):
    html = render_report(make_report(Tables.at(fleet[1])), "http://127.0.0.1:8400/")
    assert "<img src=x" not in html
    assert "night <b>" not in html
    assert "<script" not in html
    assert "http://127.0.0.1:8400/?name=green+thing" in html


def test_no_tables_and_wrong_hours_say_so(fleet, tmp_path):
    with pytest.raises(UserError, match="Nothing is scanned"):
        make_report(Tables.at(tmp_path))
    with pytest.raises(UsageError, match="hours"):
        make_report(Tables.at(fleet[1]), hours=0)


@pytest.fixture(scope="module")
def two_scans(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The same clip scanned twice: the second time reds are called otherwise and blues are not found."""
    root = tmp_path_factory.mktemp("compare")
    archive, tables = root / "archive", root / "tables"
    write_video(archive / "drive" / "20261122_031500.mp4", frames=9)

    class Later(BlobFinder):
        vocabulary = ("road", "scarlet thing", "green thing", "blue thing")

        def judge(self, frame):
            result = super().judge(frame)
            kept = tuple(instance for instance in result.instances if instance.name != "blue thing")
            return dataclasses.replace(result, instances=kept)

    first = make_scan_record(description(), fps=10)
    second = make_scan_record(description(weights_sha256="2" * 64), fps=10)
    scan(archive, tables, first, BlobFinder(), NIGHT)
    scan(archive, tables, second, Later(), NIGHT + timedelta(days=1))
    return tables, first.scan_id, second.scan_id


def test_two_scans_are_compared_object_by_object(two_scans):
    tables, a, b = two_scans
    before = open_table(str(tables), "instances", scan_id=a).to_table().to_pandas()
    counts = before.name.value_counts()

    def judged(name: str, real: bool) -> list[Judged]:
        return [
            Judged(row.instance_id, row.source_uri, row.frame_index, _box(row), real)
            for row in before[before.name == name].itertuples()
        ]

    comparison = compare_scans(Tables.at(tables), a, b, judged("blue thing", False) + judged("red thing", True))
    assert comparison.names_gained == ("scarlet thing",)
    assert set(comparison.names_lost) == {"red thing", "blue thing"}
    assert (comparison.matched, comparison.renamed) == (len(before) - counts["blue thing"], counts["red thing"])
    assert (comparison.only_before, comparison.only_after) == (counts["blue thing"], 0)
    assert comparison.false_alarms == JudgedChange(kept=0, lost=counts["blue thing"], gained=0, missed=0)
    assert comparison.real == JudgedChange(kept=counts["red thing"], lost=0, gained=0, missed=0)
    html = render_comparison(comparison)
    assert "scarlet thing" in html
    assert "weights" in html
    undone = compare_scans(Tables.at(tables), b, a)
    assert (undone.only_before, undone.only_after) == (0, counts["blue thing"])
    assert "No decisions" in render_comparison(undone)


def _box(row) -> Box:
    return Box(row.bbox_x, row.bbox_y, row.bbox_width, row.bbox_height)


def test_scans_that_cannot_be_compared_say_why(two_scans):
    tables, a, _ = two_scans
    with pytest.raises(UsageError, match="different"):
        compare_scans(Tables.at(tables), a, a)
    with pytest.raises(UserError, match="no scan nothing"):
        compare_scans(Tables.at(tables), a, "nothing")


@needs_chromium
def test_the_page_opens_without_a_network_and_fits(fleet, tmp_path, chromium):
    page_file = tmp_path / "night.html"
    page_file.write_text(render_report(make_report(Tables.at(fleet[1])), "http://127.0.0.1:9"), "utf-8")
    for scheme in ("light", "dark"):
        context = chromium.new_context(offline=True, color_scheme=scheme, viewport={"width": 390, "height": 800})
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(page_file.as_uri())
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        for width in (390, 1366):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        pictures = page.locator(".finds img")
        assert pictures.count() > 0
        assert pictures.evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        assert page.locator("svg[role=img]").count() == 3
        assert page.locator("svg text", has_text="$x_1$").count() == 1
        ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        assert (sum(map(int, ink[4:-1].split(","))) > 380) == (scheme == "dark"), ink
        assert page.pdf()[:5] == b"%PDF-"
        context.close()


# Words of names in tables that go over two lines.
BROKEN_WORDS = """() => [...document.querySelectorAll("td.name")].flatMap((cell) => {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
  while (texts.nextNode()) {
    for (const word of texts.currentNode.data.matchAll(/\\S+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) found.push(word[0]);
    }
  }
  return found;
})"""


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible_on_every_screen(fleet, tmp_path, visit, scheme):
    """Nothing that axe-core calls serious or critical; what is cut off can be scrolled to with keys alone."""
    page_file = tmp_path / "night.html"
    page_file.write_text(render_report(make_report(Tables.at(fleet[1]))), "utf-8")
    for size in (LAPTOP, TABLET, PHONE):
        page = visit(page_file.as_uri(), scheme, size)
        assert serious_problems(page) == [], size
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.screenshot(path=tmp_path / f"report-{scheme}-{size[0]}.png", full_page=True)
    assert page.evaluate(BROKEN_WORDS) == []
    chart = page.get_by_role("region", name="Chart of names")
    chart.focus()
    page.keyboard.press("ArrowRight")
    playwright.expect(chart).not_to_have_js_property("scrollLeft", 0)
