"""``clipomaly report`` on tables of a real scan."""

import re
import shutil


def test_the_report_is_one_file(clipomaly, scanned, drawn_archive, tmp_path):
    ran = clipomaly("report", scanned, "--out", tmp_path, "--archive", drawn_archive, "--finds", 2)
    assert ran.code == 0, ran.err
    [page] = tmp_path.iterdir()
    assert f"report: {page}" in ran.out
    html = page.read_text("utf-8")
    assert html.count("data:image/jpeg") == 2
    assert "demonstration" in html
    assert "No source of the archive is left to scan" in html


def test_what_cannot_be_reported_is_one_line(clipomaly, scanned, tmp_path):
    assert clipomaly("report", tmp_path / "nowhere", "--out", tmp_path).code == 1
    ran = clipomaly("report", scanned, "--out", tmp_path, "--compare", "one", "two")
    assert ran.code == 1
    assert "no scan one" in ran.err
    assert clipomaly("report", scanned, "--queue", "queue.db").code == 2


def test_two_scans_are_compared_with_what_people_judged(clipomaly, scanned, drawn_archive, tmp_path):
    from review import Queue
    from schemas.review import Verdict

    tables, queue = tmp_path / "tables", tmp_path / "queue.db"
    shutil.copytree(scanned, tables)
    [before] = [path.stem for path in (tables / "_scans").iterdir()]
    assert clipomaly("mine", tables, "--queue", queue, "--count", 4).code == 0
    with Queue.open(str(queue), create=False) as opened:
        for number, queued in enumerate(opened.lease("ada", count=4)):
            verdict = (Verdict.ACCEPT, Verdict.NOT_AN_OBJECT)[number % 2]
            opened.decide("ada", queued.item.item_id, verdict)
    # Nothing is unknown at this threshold: all false alarms are gone, and all finds.
    assert clipomaly("scan", drawn_archive, "--out", tables, "--fps", 2, "--set", "threshold=1").code == 0
    [after] = {path.stem for path in (tables / "_scans").iterdir()} - {before}
    ran = clipomaly("report", tables, "--compare", before, after, "--queue", queue, "--out", tmp_path)
    assert ran.code == 0, ran.err
    html = (tmp_path / f"compare-{before}-{after}.html").read_text("utf-8")
    rows = {row[0]: row[1:] for row in re.findall(r"<tr><td>([^<]+)</td>" + r'<td class="n[^"]*">(\d+)</td>' * 4, html)}
    assert rows["false alarms"] == ("0", "2", "0", "0")
    assert rows["real unknown objects"] == ("0", "2", "0", "0")
    assert "threshold" in html
