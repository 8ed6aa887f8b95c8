"""One run at a time of each archive: a hold that dies with its holder, and with nothing else."""

import pytest

from flows import one_at_a_time as module
from flows.one_at_a_time import Busy, one_at_a_time
from flows.parameters import ScanParameters
from flows.server import prefect_server
from tests.conftest import prefect_at_home

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with prefect_at_home(tmp_path_factory.mktemp("prefect")), prefect_server(of("", "")):
        yield


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.2)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(module, "_DEAD_SECONDS", 4.0)


def of(archive, tables="T", *prefixes):
    return ScanParameters(archive=archive, tables=tables, prefixes=prefixes)


@pytest.mark.slow
def test_a_second_run_of_an_archive_is_refused_until_the_first_has_ended(server):
    with one_at_a_time(of("a")):
        with pytest.raises(Busy, match="another run scans a into T"), one_at_a_time(of("a")):
            pass
        with one_at_a_time(of("b")), one_at_a_time(of("a", "U")), one_at_a_time(of("a", "T", "drive-1")):
            pass  # others
    with one_at_a_time(of("a")):
        pass


@pytest.mark.slow
def test_the_hold_of_a_dead_run_is_taken_over(server):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import VariableCreate

    with get_client(sync_client=True) as client:
        with one_at_a_time(of("c")):
            [held] = client.read_variables()
        client.create_variable(VariableCreate(name=held.name, value="of a run that was killed"))
        with one_at_a_time(of("c")):
            [taken] = client.read_variables()
            assert taken.name == held.name and taken.value != "of a run that was killed"
        assert client.read_variables() == []


def test_without_a_server_nobody_is_refused(monkeypatch):
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    away = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(away), one_at_a_time(of("d")), one_at_a_time(of("d")):
        pass
