"""The method: pixels in, named anomalies out. No storage, no database, no workflow engine."""

from clipomaly_core.clipomaly import Clipomaly
from clipomaly_core.errors import UserError
from clipomaly_core.options import Options, default_options
from clipomaly_core.types import FrameResult, Instance, NameScore
from clipomaly_core.vocabulary import Vocabulary

__all__ = ["Clipomaly", "FrameResult", "Instance", "NameScore", "Options", "UserError", "Vocabulary", "default_options"]
