"""What an item must be to enter the queue. Whatever passes can be shown, exported and searched."""

import io
import math

from PIL import Image

from review.errors import BadInputError
from review.names import LONGEST, check_item_id, clean_name
from schemas.masks import mask_area
from schemas.review import ReviewItem

LARGEST_CROP = 512 * 1024
LARGEST_MASK = 256 * 1024
LARGEST_EMBEDDING = 2 * 8192
MOST_NAMES = 20
MOST_TRACK_FRAMES = 1000
LONGEST_TEXT = 4096
MOST_PIXELS = 8192 * 8192


def check_item(item: ReviewItem) -> None:
    """Raises BadInputError, naming the item and what is wrong with it."""
    check_item_id(item.item_id)
    problem = _problem(item)
    if problem:
        raise BadInputError(f"Item {item.item_id} cannot enter the queue: {problem}.")


def _problem(item: ReviewItem) -> str | None:
    if not (item.frame_height > 0 and item.frame_width > 0 and item.frame_height * item.frame_width <= MOST_PIXELS):
        return f"its frame is {item.frame_width} by {item.frame_height} pixels"
    if not all(box.is_inside(item.frame_height, item.frame_width) for box in (item.box, item.crop_box)):
        return "a box of it is empty or reaches outside the frame"
    if not (math.isfinite(item.rank) and 0 <= item.score <= 1):
        return "its rank is not a number, or its score not between 0 and 1"
    if len(item.names) > MOST_NAMES or any(not 0 <= name.score <= 1 for name in item.names):
        return f"it has more than {MOST_NAMES} names, or a score that is not between 0 and 1"
    for name in (item.name, *(name.name for name in item.names)):
        if len(name) > LONGEST or clean_name(name) != name:
            return f"the name {name[:LONGEST]!r} is not in one line of at most {LONGEST} characters"
    moments = [item.timestamp, *(frame.timestamp for frame in item.track)]
    if any(moment.tzinfo is None for moment in moments):
        return "a time of it has no time zone"
    if item.frame_index < 0 or any(frame.frame_index < 0 or frame.box.width < 0 for frame in item.track):
        return "a frame index of it is negative"
    if len(item.track) > MOST_TRACK_FRAMES:
        return f"its track has more than {MOST_TRACK_FRAMES:,} frames"
    if item.latitude is not None and not -90 <= item.latitude <= 90:
        return f"its latitude is {item.latitude}"
    if item.longitude is not None and not -180 <= item.longitude <= 180:
        return f"its longitude is {item.longitude}"
    texts = (item.scan_id, item.source_uri, item.drive, item.track_id, item.cluster)
    if any(text is not None and (len(text) > LONGEST_TEXT or "\0" in text) for text in texts):
        return f"a text of it is longer than {LONGEST_TEXT:,} characters or holds a zero byte"
    if item.duplicate_of == item.item_id or item.item_id in item.supersedes:
        return "it stands for itself"
    if item.embedding is not None and (len(item.embedding) % 2 or len(item.embedding) > LARGEST_EMBEDDING):
        return "its embedding is no vector of up to 8,192 float16"
    if not 0 < len(item.mask_rle) <= LARGEST_MASK:
        return f"its mask has {len(item.mask_rle):,} bytes (up to {LARGEST_MASK:,} are kept)"
    try:
        if not mask_area(item.mask_rle, item.frame_height, item.frame_width):
            return "its mask is empty"
    except ValueError as error:
        return f"its mask is damaged: {error}"
    if not 0 < len(item.crop_jpeg) <= LARGEST_CROP:
        return f"its crop has {len(item.crop_jpeg):,} bytes (up to {LARGEST_CROP:,} are kept)"
    return None if _is_jpeg(item.crop_jpeg) else "its crop is not a JPEG picture"


def _is_jpeg(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            return picture.width * picture.height <= MOST_PIXELS
    except (OSError, Image.DecompressionBombError):
        return False
