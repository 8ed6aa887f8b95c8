"""``clipomaly report`` on tables of a real scan."""


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
