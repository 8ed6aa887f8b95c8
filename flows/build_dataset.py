"""The flow that builds a dataset, for a schedule. What it does is in ``dataset_request``, without Prefect."""

from prefect import flow

from flows.dataset_request import DatasetRequest, build_from_queue
from tasks.datasets.build import Built


@flow(name="build-dataset", persist_result=False, validate_parameters=False)
def build_dataset_flow(request: DatasetRequest) -> Built:
    """Build a dataset of the judged items of a queue."""
    return build_from_queue(request)
