"""The machinery of the benchmarks, on so little work that it says nothing of speed."""

import json
import sys

import numpy as np
import open_clip
import pytest
import torch
from torch.nn.functional import interpolate, normalize

from benchmarks import __main__ as command
from benchmarks import forward, growth, overhead, results
from benchmarks.reference import WINDOW, windows_one_by_one
from clipomaly_core.dense import dense_features
from clipomaly_core.weights import find_checkpoint


@pytest.fixture
def results_here(tmp_path, monkeypatch):
    """Results of tests do not replace those of a measurement."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def architecture():
    return find_checkpoint("nano").architecture


def test_the_reference_gives_what_we_give(architecture):
    """Where one window is the whole frame, both ways are the same arithmetic."""
    visual = open_clip.create_model(architecture, load_weights=False, force_image_size=WINDOW).visual.eval()
    frame = torch.randn(1, 3, WINDOW, WINDOW, generator=torch.manual_seed(0))
    texts = normalize(torch.randn(5, visual.output_dim), dim=-1)
    with torch.inference_mode():
        ours = (dense_features(visual, frame) @ texts.T).permute(0, 3, 1, 2)
        ours = interpolate(ours, size=(WINDOW, WINDOW), mode="bilinear")
        assert (windows_one_by_one(visual, frame, texts) - ours).abs().max() < 2e-5


@pytest.mark.slow
def test_forward_and_overhead_measure(architecture):
    figures = forward.measure(None, 1, model=architecture, size=(224, 336), batch=1)
    assert all(isinstance(value, int | float) and value > 0 for value in figures.values())
    assert set(forward.GOALS) <= set(figures)
    figures = overhead.measure(None, 1, model="nano", fps=0.25)
    assert figures["frames"] == 2
    assert all(isinstance(value, int | float) and value > 0 for value in figures.values())
    assert set(overhead.GOALS) <= set(figures)


@pytest.mark.slow
def test_growth_of_names_and_regions(tmp_path):
    import time

    by_names = growth.grow_names((3, 7), 1, time.process_time)
    assert set(by_names) == {3, 7}
    by_regions = growth.grow_regions((0, 1, 4), 1, time.process_time)
    assert by_regions[0] < by_regions[4]
    ran = {count: results.Ran(1.0 + 2 * count, 100.0) for count in (1, 10, 100)}
    assert growth._rise(ran, (1, 10, 100)) == pytest.approx(1)
    figures = {
        "by clips": {count: {"seconds": one.seconds, "peak_mib": one.peak_mib} for count, one in ran.items()},
        "by names, seconds a frame": by_names,
        "by regions, seconds a frame": by_regions,
        "by rows, seconds a query": growth.grow_rows((100, 1_000), 1, time.process_time),
        "by workers, seconds": {1: 8.0, 2: 4.5},
    }
    growth.draw(figures, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000


def test_the_exponent_is_that_of_the_last_hundredfold():
    assert growth.exponent({count: 5 + 0.001 * count**2 for count in (1, 10, 1_000, 100_000)}) == pytest.approx(
        2, abs=0.01
    )
    assert growth.exponent({0: 1.0, 1: 3.0, 10: 3.0, 100: 3.0}) == pytest.approx(0)


@pytest.mark.whole
def test_memory_is_that_of_the_command_alone():
    held = np.ones(60_000_000)  # 460 MiB here, which the system counts as the child's, too
    # On a busy machine a short command may end before it is looked at.
    peak = max(results.run_command(["--help"]).peak_mib for _ in range(3))
    assert 10 < peak < held.nbytes / 2**20 / 2


def test_a_command_that_fails_says_why():
    with pytest.raises(SystemExit, match="no-such-command"):
        results.run_command(["no-such-command"])


def test_one_table_and_a_file_each(results_here, capsys):
    measured = command.run({"forward": lambda: {"whole frame, times as fast as the loop": 0.5, "curve": {1: 2.0}}})
    results.print_table(measured, command.GOALS)
    told = capsys.readouterr().out
    assert "missed" in told and "≥" in told and "curve" not in told
    written = json.loads((results_here / "forward.json").read_text("utf-8"))
    assert written["curve"] == {"1": 2.0}
    assert {"date", "cpu", "threads", "torch"} <= set(written["measured"])


def test_a_figure_with_a_goal_takes_one_line_of_80_columns(capsys):
    measured = {name: dict.fromkeys(goals, 1.0) for name, goals in command.GOALS.items()}
    results.print_table(measured, command.GOALS)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + sum(map(len, measured.values()))
    assert max(map(len, lines)) <= 80


def test_an_unknown_benchmark_is_bad_usage(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "magic"])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    assert "no benchmark magic" in capsys.readouterr().err
