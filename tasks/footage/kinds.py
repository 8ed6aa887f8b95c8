"""The kinds of source that an archive may hold, by how the names of their files end; a folder's ends in a slash."""

from schemas.records import Source
from tasks.errors import SourceError
from tasks.footage.source_folder import FOLDER
from tasks.footage.source_kind import SourceKind
from tasks.footage.source_recording import RECORDING
from tasks.footage.source_tar import TAR
from tasks.footage.source_video import VIDEO
from tasks.storage import locate

KINDS: dict[str, SourceKind] = {
    ".mp4": VIDEO,
    ".mov": VIDEO,
    ".mkv": VIDEO,
    ".avi": VIDEO,
    ".mcap": RECORDING,
    "/": FOLDER,
    ".tar": TAR,
}


def is_source(name: str) -> bool:
    """Whether a file or a folder of this name is a source."""
    return name.lower().endswith(tuple(KINDS))


def kind_of(uri: str) -> SourceKind:
    """Which kind a source is. Raises SourceError when it is none."""
    for suffix, kind in KINDS.items():
        if uri.lower().endswith(suffix):
            return kind
    raise SourceError("of no kind that is read")


def current_etag(source: Source) -> str:
    """The etag that a listing made now would give. Raises OSError when the source cannot be looked at."""
    return kind_of(source.uri).etag(locate(source.uri))
