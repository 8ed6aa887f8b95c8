"""What counts as slower than the last kept run."""

import json

import pytest

from benchmarks import watch
from benchmarks.watch import Ratio, ratios, worse


def figures(loop=0.1, **values):
    return {"measured": {"calibration, seconds": loop, "threads": 2}, **values}


def test_a_slower_machine_is_no_regression():
    kept = ratios("startup", figures(0.1, **{"help, seconds": 0.2, "whole frame, frames a second": 3.0}))
    now = ratios("startup", figures(0.3, **{"help, seconds": 0.6, "whole frame, frames a second": 1.0}))
    assert worse(kept, now) == {}


def test_what_is_worse_by_more_than_15_percent_is_named():
    before = {"help, seconds": 0.2, "whole, times as fast as the loop": 2.0, "scan, times the bare forward": 1.0}
    kept = ratios("x", figures(**before))
    assert worse(kept, ratios("x", figures(**before | {"help, seconds": 0.22}))) == {}
    named = worse(kept, ratios("x", figures(**before | {"help, seconds": 0.3})))
    assert named == {"x: help, seconds": pytest.approx(1.5)}
    slower = before | {"whole, times as fast as the loop": 1.0, "scan, times the bare forward": 1.3}
    named = worse(kept, ratios("x", figures(**slower)))
    assert list(named) == ["x: whole, times as fast as the loop", "x: scan, times the bare forward"]
    assert worse(kept, ratios("x", figures(**before | {"help, seconds": 0.05}))) == {}


def test_curves_are_watched_and_counts_are_not():
    found = ratios("growth", figures(**{"by clips": {"10": {"seconds": 2.0, "peak_mib": 50.0}}, "frames": 8}))
    assert found == {
        "growth: by clips: 10: seconds": Ratio(20.0, False),
        "growth: by clips: 10: peak_mib": Ratio(50.0, False),
    }


def test_seconds_of_the_processor_count_in_place_of_those_by_the_clock():
    found = ratios("planning", figures(**{"by prefix": {"seconds": 9.0, "processor_seconds": 4.0}}))
    assert found == {"planning: by prefix: processor_seconds": Ratio(40.0, False)}


@pytest.mark.parametrize(
    ("seconds", "again", "ended"),
    [
        ([0.2, 0.3, 0.3, 0.19], 0.3, [0, 1, 1, 0]),  # it is slower when it is measured again, too
        ([0.2, 0.3, 0.24], 0.21, [0, 0, 0]),  # it was noise: the better counts and is kept
    ],
)
def test_a_run_is_kept_until_one_is_not_worse(seconds, again, ended, tmp_path, monkeypatch, capsys):
    def write(value):
        (tmp_path / "startup.json").write_text(json.dumps(figures(**{"help, seconds": value})))

    monkeypatch.setattr(watch, "RESULTS", tmp_path)
    monkeypatch.setattr(watch, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(watch, "measure_again", lambda names, archive: write(again))
    monkeypatch.setattr("sys.argv", ["watch"])
    statuses = []
    for value in seconds:
        write(value)
        try:
            watch.main()
            statuses.append(0)
        except SystemExit as stop:
            assert isinstance(stop.code, str)  # which Python prints, and ends with 1
            statuses.append(1)
    assert statuses == ended
    assert ("startup: help, seconds: 50% worse" in capsys.readouterr().out) == (1 in ended)
