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


def test_the_flow_leaves_the_report_and_links_to_it(drawn_archive, scanned, tmp_path):
    from prefect.client.orchestration import get_client

    from flows.nightly_scan import run_scan
    from flows.parameters import Runner, ScanParameters
    from flows.runners import prefect_server

    parameters = ScanParameters(
        archive=str(drawn_archive), tables=str(scanned), fps=2, runner=Runner.THREADS, report=str(tmp_path)
    )
    with prefect_server(parameters):
        summary = run_scan(parameters)
        with get_client(sync_client=True) as client:
            artifacts = {artifact.key: artifact for artifact in client.read_artifacts()}
    [page] = tmp_path.iterdir()
    assert summary.report == f"report: {page}"
    assert page.as_uri() in artifacts["scan-report"].data
    assert "| name | instances |" in artifacts["scan-night"].data
