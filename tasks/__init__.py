"""The work of a night, one folder a step; plain functions, no workflow engine."""

import sys

from clipomaly_core.moved import Moved

# Old module names: scripts and settings of users may still hold them.
MOVED = {
    "tasks.archive": "tasks.footage.archive",
    "tasks.chained_urls": "tasks.addresses",
    "tasks.compact": "tasks.tables.compact",
    "tasks.dataset": "tasks.datasets.build",
    "tasks.embeddings": "tasks.tables.embeddings",
    "tasks.evaluate": "tasks.evaluation.evaluate",
    "tasks.frames": "tasks.footage.frames",
    "tasks.images": "tasks.footage.images",
    "tasks.inventory": "tasks.footage.inventory",
    "tasks.method_options": "tasks.model_settings",
    "tasks.mine": "tasks.mining.mine",
    "tasks.names": "tasks.addresses",
    "tasks.pictures": "tasks.drawing",
    "tasks.plan": "tasks.scanning.plan",
    "tasks.precision": "tasks.evaluation.precision",
    "tasks.promote": "tasks.vocabularies.promote",
    "tasks.query": "tasks.tables.query",
    "tasks.report": "tasks.reporting.report",
    "tasks.rows": "tasks.scanning.rows",
    "tasks.scan": "tasks.scanning.shard",
    "tasks.search": "tasks.tables.search",
    "tasks.sources": "tasks.footage.archive",
    "tasks.status": "tasks.scanning.status",
    "tasks.tracks": "clipomaly_core.object_tracks",
    "tasks.vocabulary": "tasks.vocabularies.edit",
    "tasks.merge": "tasks.tables.merge",
    "tasks.datasets.pictures": "tasks.datasets.image_store",
    "tasks.datasets.rows": "tasks.datasets.manifest",
    "tasks.datasets.wanted": "tasks.datasets.judged_items",
    "tasks.evaluation.report": "tasks.evaluation.results",
    "tasks.footage.kinds": "tasks.footage.frames",
    "tasks.footage.length": "tasks.scanning.plan",
    "tasks.footage.opening": "tasks.footage.frames",
    "tasks.footage.positions": "tasks.footage.frames",
    "tasks.footage.time_in_name": "tasks.footage.capture_time",
    "tasks.footage.video": "tasks.footage.source_video",
    "tasks.mining.past": "tasks.mining.queue_index",
    "tasks.promotion.change": "tasks.vocabularies.change",
    "tasks.promotion.suppressions": "tasks.vocabularies.suppressions",
    "tasks.promotion.verdicts": "tasks.vocabularies.verdicts",
    "tasks.records.commits": "tasks.tables.commits",
    "tasks.records.compaction": "tasks.tables.records",
    "tasks.records.plan": "tasks.scanning.scan_record",
    "tasks.records.scan": "tasks.scanning.scan_record",
}

sys.meta_path.append(Moved(__name__, MOVED, ("tasks.promotion", "tasks.records")))
