"""The kinds of source that an archive may hold, by how the names of their files end; a folder's ends in a slash."""

from clipomaly_core.plugins import plugins
from schemas.records import Source
from tasks.addresses import place_in_chain
from tasks.errors import SourceError
from tasks.footage.leftovers import PROXY_SUFFIXES
from tasks.footage.source_folder import FOLDER
from tasks.footage.source_kind import SourceKind
from tasks.footage.source_recording import RECORDING, RECORDING_SUFFIXES
from tasks.footage.source_tar import TAR, TAR_SUFFIXES
from tasks.footage.source_video import VIDEO, VIDEO_SUFFIXES
from tasks.storage import locate

KINDS: dict[str, SourceKind] = {
    **dict.fromkeys((*VIDEO_SUFFIXES, *PROXY_SUFFIXES), VIDEO),
    **dict.fromkeys(RECORDING_SUFFIXES, RECORDING),
    "/": FOLDER,
    **dict.fromkeys(TAR_SUFFIXES, TAR),
}
PLUGINS = "clipomaly.sources"
"""Entry points of other packages: the name is how a file ends, without the dot, the object a ``SourceKind``."""


def kinds() -> dict[str, SourceKind]:
    """All kinds by how a name ends, in lower case: those that plugins add come after the built-in ones."""
    return KINDS | {
        suffix: kind
        for suffix, kind in ((f".{name.lower()}", kind) for name, kind in plugins(PLUGINS, SourceKind).items())
        if suffix not in KINDS
    }


def is_source(name: str) -> bool:
    """Whether a file or a folder of this name is a source."""
    return name.lower().endswith(tuple(kinds()))


def kind_of(uri: str) -> SourceKind:
    """The kind of a source. Raises SourceError if its name is of no known kind."""
    name = place_in_chain(uri).lower()
    for suffix, kind in kinds().items():
        if name.endswith(suffix):
            return kind
    raise SourceError("of an unknown kind")


def current_etag(source: Source) -> str:
    """The etag that a listing made now would give. Raises OSError when the source cannot be looked at."""
    return kind_of(source.uri).etag(locate(source.uri))
