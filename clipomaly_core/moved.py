"""Old names of modules: scripts and settings of users may still hold them."""

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Moved(MetaPathFinder, Loader):
    """Import a module by its old name: the same module object, and one line that names the new one."""

    def __init__(self, room: str, moved: Mapping[str, str], gone_folders: Sequence[str] = ()) -> None:
        """
        Args:
            room: name of the package whose modules were moved, which is being imported.
            moved: new names by old ones.
            gone_folders: packages of which only moved modules are left.
        """
        # Holding the package holds its modules, and Python empties at exit what is held. Else what a daemon thread
        # still uses of a module would keep DuckDB alive, which then tells of leaks on the terminal.
        self._room = sys.modules[room]
        self._moved, self._gone_folders = moved, gone_folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self._moved or fullname in self._gone_folders else None

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual empty module: what stands for it is decided when it runs."""

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        if old not in self._moved:
            module.__path__ = []  # a folder that is gone: only its modules are looked for
            return
        new = self._moved[old]
        logging.getLogger(self._room.__name__).warning("%s is now %s; the old name will go.", old, new)
        sys.modules[old] = importlib.import_module(new)
