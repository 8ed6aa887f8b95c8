"""What ``clipomaly segment`` prints: a line a picture."""

import sys

from schemas.safe_text import printable
from tasks.segmentation import SegmentedImage

_MOST_NAMES = 5


def print_segmented(segmented: SegmentedImage) -> None:
    """Where the picture is and what was found in it, or why there is no picture."""
    if segmented.error is not None:
        print(printable(f"{segmented.image}: {segmented.error}"), file=sys.stderr)
        return
    found = segmented.instances[:_MOST_NAMES]
    names = ", ".join(f"{instance.name} {instance.score:.2f}" for instance in found) or "nothing unknown"
    print(printable(f"{segmented.written}: {names}"))
