"""The method: pixels in, named anomalies out. No storage, no database, no workflow engine.

Names are imported when they are first used: what lists a million files needs an error of this room, and no PyTorch.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from clipomaly_core.moved import Moved

if TYPE_CHECKING:
    from clipomaly_core.clipomaly import Clipomaly
    from clipomaly_core.errors import UserError
    from clipomaly_core.options import Options, default_options
    from clipomaly_core.types import FrameResult, Instance, NameScore
    from clipomaly_core.vocabulary import Vocabulary

__all__ = ["Clipomaly", "FrameResult", "Instance", "NameScore", "Options", "UserError", "Vocabulary", "default_options"]

# Old module names: scripts and settings of users may still hold them.
MOVED = {
    "clipomaly_core.lemma": "clipomaly_core.names",
    "clipomaly_core.prompts": "clipomaly_core.text",
    "clipomaly_core.ram": "clipomaly_core.tagger",
    "clipomaly_core.steps": "clipomaly_core.timing",
    "clipomaly_core.suppression": "clipomaly_core.prompted_vocabulary",
}
sys.meta_path.append(Moved(__name__, MOVED))

_ROOMS = {
    "Clipomaly": "clipomaly",
    "FrameResult": "types",
    "Instance": "types",
    "NameScore": "types",
    "Options": "options",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "default_options": "options",
}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
