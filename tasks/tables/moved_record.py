"""Which footage was moved from where to where, as scans found it: ``_moved/<archive>.json``, an object of strings."""

from pydantic import TypeAdapter, ValidationError

from clipomaly_core.errors import UserError
from tasks.storage import Location, exists, file_names, read_file

_MOVES = TypeAdapter(dict[str, str])


def read_moved(root: Location) -> dict[str, str]:
    """From the old address to the new one, of all archives. Raises UserError when a record cannot be read."""
    folder = root.child("_moved")
    moves: dict[str, str] = {}
    for name in file_names(folder, ".json"):
        moves |= read_moves_of(folder.child(name))
    return moves


def read_moves_of(place: Location) -> dict[str, str]:
    """Those of one archive; none where there is no record. Raises UserError when it cannot be read."""
    if not exists(place):
        return {}
    try:
        return _MOVES.validate_json(read_file(place))
    except ValidationError as error:
        raise UserError(f"{place.url} is damaged. Remove it: the next scan writes it again.") from error
