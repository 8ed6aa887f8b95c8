"""What a Delta Lake log says of a Parquet file beside its path: its rows, and per column least, greatest and nulls.

Engines read these and leave out files that cannot hold a wanted row.
"""

import json
import math
from datetime import UTC, datetime

import pyarrow.parquet as pq

Bound = str | int | float


def statistics(footer: pq.FileMetaData) -> str:
    """The statistics of a file, from its footer, as JSON of the Delta protocol.

    Nested columns, and columns whose footer has no statistics, are not in it: engines then read the file.
    """
    least: dict[str, Bound] = {}
    greatest: dict[str, Bound] = {}
    nulls: dict[str, int] = {}
    for number in range(footer.num_columns):
        groups = [footer.row_group(group).column(number) for group in range(footer.num_row_groups)]
        found = [group.statistics for group in groups if group.is_stats_set]
        if "." in footer.schema.column(number).path or len(found) < max(len(groups), 1):
            continue
        name = footer.schema.column(number).path
        if all(item.has_null_count for item in found):
            nulls[name] = sum(item.null_count for item in found)
        if any(not item.has_min_max and item.num_values for item in found):
            continue
        bounds = [(_told(item.min), _told(item.max)) for item in found if item.has_min_max]
        low, high = [low for low, _ in bounds if low is not None], [high for _, high in bounds if high is not None]
        if bounds and len(low) == len(high) == len(bounds):
            least[name], greatest[name] = min(low), max(high)
    return json.dumps({"numRecords": footer.num_rows, "minValues": least, "maxValues": greatest, "nullCount": nulls})


def _told(value: object) -> Bound | None:
    """A bound as it is written; None for one of another kind, such as bytes and a float that is no number."""
    match value:
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
            return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case bool():
            return None
        case float():
            return value if math.isfinite(value) else None
        case str() | int():
            return value
    return None
