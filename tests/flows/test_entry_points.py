"""The flows that deployments of users name, in their ``prefect.yaml`` and on servers."""

from pathlib import Path

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

ROOT = Path(__file__).parents[2]
OURS = [deployment["entrypoint"] for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]


@pytest.mark.parametrize(
    "entry_point",
    [*OURS, "flows/nightly_scan.py:nightly_scan", "flows.build_dataset.build_dataset_flow"],
)
def test_entry_points_of_deployments_are_where_they_were(entry_point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert isinstance(load_flow_from_entrypoint(entry_point), Flow)
