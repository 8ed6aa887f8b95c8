"""What counts as slower than the last kept run."""

import json

from benchmarks import watch
from benchmarks.watch import Ratio, ratios, worse


def figures(loop=0.1, **values):
    return {"measured": {"calibration, seconds": loop, "threads": 2}, **values}


def test_a_slower_machine_is_no_regression():
    kept = ratios("startup", figures(0.1, **{"help, seconds": 0.2, "whole frame, frames a second": 3.0}))
    now = ratios("startup", figures(0.3, **{"help, seconds": 0.6, "whole frame, frames a second": 1.0}))
    assert worse(kept, now) == []


def test_what_is_worse_by_more_than_15_percent_is_named():
    before = {"help, seconds": 0.2, "whole, times as fast as the loop": 2.0, "scan, times the bare forward": 1.0}
    kept = ratios("x", figures(**before))
    assert worse(kept, ratios("x", figures(**before | {"help, seconds": 0.22}))) == []
    assert worse(kept, ratios("x", figures(**before | {"help, seconds": 0.3}))) == [
        "x: help, seconds: 50% worse than in the kept run"
    ]
    slower = before | {"whole, times as fast as the loop": 1.0, "scan, times the bare forward": 1.3}
    named = worse(kept, ratios("x", figures(**slower)))
    assert [line.partition(":")[2].partition(":")[0] for line in named] == [
        " whole, times as fast as the loop",
        " scan, times the bare forward",
    ]
    assert worse(kept, ratios("x", figures(**before | {"help, seconds": 0.05}))) == []


def test_curves_are_watched_and_counts_are_not():
    found = ratios("growth", figures(**{"by clips": {"10": {"seconds": 2.0, "peak_mib": 50.0}}, "frames": 8}))
    assert found == {
        "growth: by clips: 10: seconds": Ratio(20.0, False),
        "growth: by clips: 10: peak_mib": Ratio(50.0, False),
    }


def test_a_run_is_kept_until_one_is_not_worse(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "RESULTS", tmp_path)
    monkeypatch.setattr(watch, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr("sys.argv", ["watch"])
    ended = []
    for seconds in (0.2, 0.3, 0.3, 0.19):
        (tmp_path / "startup.json").write_text(json.dumps(figures(**{"help, seconds": seconds})))
        try:
            watch.main()
            ended.append(0)
        except SystemExit as stop:
            assert isinstance(stop.code, str)  # which Python prints, and ends with 1
            ended.append(1)
    assert ended == [0, 1, 1, 0]
    assert "startup: help, seconds: 50% worse" in capsys.readouterr().out
