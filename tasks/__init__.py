"""The work of a night, one folder a step; plain functions, no workflow engine."""

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

# Old module names: scripts and settings of users may still hold them.
MOVED = {
    "tasks.archive": "tasks.footage.archive",
    "tasks.compact": "tasks.tables.compact",
    "tasks.dataset": "tasks.datasets.build",
    "tasks.embeddings": "tasks.tables.embeddings",
    "tasks.evaluate": "tasks.evaluation.evaluate",
    "tasks.frames": "tasks.footage.frames",
    "tasks.images": "tasks.footage.images",
    "tasks.inventory": "tasks.footage.inventory",
    "tasks.mine": "tasks.mining.mine",
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
    "tasks.tracks": "tasks.scanning.object_tracks",
    "tasks.vocabulary": "tasks.vocabularies.edit",
    "tasks.records.commits": "tasks.tables.commits",
}


class _Moved(MetaPathFinder, Loader):
    """Import a module of ``MOVED`` by its old name: the same module object, and a warning that names the new one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED or fullname == "tasks.records" else None

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual empty module: what stands for it is decided when it runs."""

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        if old not in MOVED:
            module.__path__ = []  # a folder that is gone: only its modules are looked for
            return
        warnings.warn(f"{old} is now {MOVED[old]}; the old name will go.", DeprecationWarning, stacklevel=2)
        sys.modules[old] = importlib.import_module(MOVED[old])


sys.meta_path.append(_Moved())
