"""Whether a worker can scan: what it must find, and what is told of one that cannot."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.parameters import ScanParameters
from flows.worker_check import look, unfit, wanted_for


@pytest.fixture
def parameters(tmp_path: Path) -> ScanParameters:
    (tmp_path / "archive").mkdir()
    return ScanParameters(archive=str(tmp_path / "archive"), tables=str(tmp_path / "new" / "tables"))


def test_tables_that_are_not_there_yet_are_no_fault(parameters, tmp_path):
    with wanted_for(parameters) as wanted:
        state = look(wanted)
    assert state.missing == () and unfit({"one": state}) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]  # nothing is left behind


def test_a_folder_of_the_same_name_on_another_disk_is_not_taken_for_the_tables(parameters):
    with wanted_for(parameters) as wanted:
        pass  # the mark lies on this machine's disk only, as on a worker with a disk of its own
    [missing] = look(wanted).missing
    assert missing == f"does not find the tables at {parameters.tables} (is this disk shared?)"


def test_each_thing_that_is_missing_is_named(parameters, tmp_path):
    gone = parameters.model_copy(update={"archive": str(tmp_path / "gone"), "weights": str(tmp_path / "w.safetensors")})
    with wanted_for(gone) as wanted:
        told = unfit({"one": look(wanted)})["one"]
    assert f"the archive at {gone.archive}" in told and f"the weights at {gone.weights}" in told


def test_another_version_is_named(parameters):
    with wanted_for(parameters) as wanted:
        state = look(wanted)
    assert "has clipomaly 0.0.1, this machine" in unfit({"one": replace(state, version="0.0.1")})["one"]


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'flows'"),
        Exception("ModuleNotFoundError(\"No module named 'flows'\")"),  # Dask: the function could not be unpickled
        RuntimeError("a trace\nModuleNotFoundError: No module named 'flows'"),  # Ray
    ],
)
def test_a_worker_without_the_package_is_told_what_to_install(error):
    assert "lacks a package (No module named 'flows'): install clipomaly" in unfit({"one": error})["one"]


def test_a_worker_that_does_not_answer():
    assert unfit({"one": TimeoutError("no answer")}) == {"one": "does not answer: TimeoutError: no answer"}
