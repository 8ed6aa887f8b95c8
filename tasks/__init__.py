"""The work of a night, one folder a step; plain functions, no workflow engine."""

import importlib
import logging
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

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
    "tasks.sources": "tasks.footage.sources",
    "tasks.status": "tasks.scanning.status",
    "tasks.tracks": "clipomaly_core.object_tracks",
    "tasks.vocabulary": "tasks.vocabularies.edit",
    "tasks.merge": "tasks.tables.merge",
    "tasks.datasets.pictures": "tasks.datasets.image_store",
    "tasks.datasets.rows": "tasks.datasets.label_tables",
    "tasks.datasets.wanted": "tasks.datasets.judged_items",
    "tasks.evaluation.report": "tasks.evaluation.results",
    "tasks.footage.length": "tasks.scanning.footage_length",
    "tasks.footage.time_in_name": "tasks.footage.capture_time",
    "tasks.footage.video": "tasks.footage.source_video",
    "tasks.mining.past": "tasks.mining.queue_index",
    "tasks.promotion.change": "tasks.vocabularies.change",
    "tasks.promotion.suppressions": "tasks.vocabularies.suppressions",
    "tasks.promotion.verdicts": "tasks.vocabularies.verdicts",
    "tasks.records.commits": "tasks.tables.commits",
    "tasks.records.compaction": "tasks.tables.compaction_record",
    "tasks.records.plan": "tasks.scanning.plan_record",
    "tasks.records.scan": "tasks.scanning.scan_record",
}
_GONE_FOLDERS = ("tasks.promotion", "tasks.records")

logger = logging.getLogger(__name__)


class _Moved(MetaPathFinder, Loader):
    """Import a module of ``MOVED`` by its old name: the same module object, and one line that names the new one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED or fullname in _GONE_FOLDERS else None

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual empty module: what stands for it is decided when it runs."""

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        if old not in MOVED:
            module.__path__ = []  # a folder that is gone: only its modules are looked for
            return
        logger.warning("%s is now %s; the old name will go.", old, MOVED[old])
        sys.modules[old] = importlib.import_module(MOVED[old])


sys.meta_path.append(_Moved())
