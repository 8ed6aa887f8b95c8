"""One shard as a Prefect task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.records import ScanRecord, Shard, ShardResult
from tasks.model import get_model
from tasks.model_settings import ModelSettings
from tasks.scanning.shard import scan_shard
from tasks.tables import Tables


@task(name="scan-shard", cache_policy=NO_CACHE, persist_result=False, task_run_name="{shard.shard_id}")
def scan_shard_task(shard: Shard, record: ScanRecord, tables: str, settings: ModelSettings) -> ShardResult:
    """One shard on a worker; the commit record, not Prefect, knows whether it is done."""
    return scan_shard(shard, record, Tables.at(tables), get_model(settings))
