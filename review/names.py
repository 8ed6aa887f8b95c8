"""What may enter the queue: names that people type, of things and of reviewers, and items.

Whatever passes can be shown, exported and searched.
"""

import getpass
import io
import math
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from PIL import Image
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from review.errors import BadInputError, ReviewError
from schemas.masks import mask_area
from schemas.review import UNKNOWN_NAME, ReviewItem, Unclear, Verdict

LONGEST = 100

MOST_OFFERED = 12

_ALIKE = 0.7  # similarity of two spellings above which one may be a misspelling: one letter in four

NO_NAMES = frozenset({UNKNOWN_NAME, f"{UNKNOWN_NAME}s", "unknown", "unnamed"})
VERDICTS = frozenset({Verdict.NOT_AN_OBJECT.value, Verdict.UNSURE.value})

_REVIEWER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?")
_ITEM = re.compile(r"[A-Za-z0-9_-]{1,64}")
LARGEST_CROP = 512 * 1024
LARGEST_MASK = 256 * 1024
LARGEST_EMBEDDING = 2 * 8192
MOST_NAMES = 20
MOST_TRACK_FRAMES = 1000
LONGEST_TEXT = 4096
MOST_PIXELS = 8192 * 8192


@dataclass(frozen=True, slots=True)
class KnownName:
    """A name offered while typing; ``known`` when it is a class of the known vocabulary."""

    name: str
    known: bool


def complete_name(
    names: Iterable[KnownName], typed: str, known: bool = False, suggested: Collection[str] = ()
) -> list[KnownName]:
    """Names that begin with what was typed, then those with a word that does, those that hold it, and those that are
    spelt nearly so, the nearest first. Among equals the ``suggested`` ones of the item come first.

    At most 12; with ``known`` only, and all, the classes of the known vocabulary that fit.
    """
    wanted = " ".join(typed.lower().split())
    ranked = []
    for offered in names:
        name = offered.name.lower()
        if known and not offered.known:
            continue
        if wanted in name:
            place = 0.0 if name.startswith(wanted) else 1.0 if f" {wanted}" in name else 2.0
        elif (likeness := _likeness(wanted, name)) >= _ALIKE:
            place = 3.0 + 1 - likeness
        else:
            continue
        ranked.append((place, offered.name not in suggested, name, offered))
    return [offered for *_, offered in sorted(ranked, key=lambda one: one[:3])[: None if known else MOST_OFFERED]]


def nearest_names(names: Iterable[str], typed: str, count: int = 3) -> list[str]:
    """The names that are spelt nearly like what was typed, nearest first: what a misspelling may have meant."""
    wanted = " ".join(typed.lower().split())
    others = {name: _bare(name.lower()) for name in sorted(names) if name.lower() != wanted}
    found = process.extract(
        _bare(wanted), others, scorer=Levenshtein.normalized_similarity, score_cutoff=_ALIKE, limit=count
    )
    return [name for *_, name in found]


def same_name(one: str, other: str) -> bool:
    """Whether two names differ only in capitals and spaces."""
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def _likeness(one: str, other: str) -> float:
    """The similarity of two spellings in [0, 1], without spaces and hyphens."""
    return Levenshtein.normalized_similarity(_bare(one), _bare(other), score_cutoff=_ALIKE) if one and other else 0.0


def _bare(name: str) -> str:
    return name.replace(" ", "").replace("-", "")


def clean_name(name: str) -> str:
    """The name of a thing as it is stored: one line, one space between words, at most 100 characters.

    Raises BadInputError when nothing is left, when it is too long, or holds characters that cannot be seen.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if not cleaned:
        raise BadInputError("The name is empty. Type what the object is.")
    if len(cleaned) > LONGEST:
        raise BadInputError(f"The name has {len(cleaned):,} characters; at most {LONGEST} are kept. Shorten it.")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in cleaned):
        raise BadInputError("The name holds characters that cannot be seen. Type it by hand.")
    return cleaned


def check_class_name(name: str) -> str:
    """The name that a person gave to a thing, cleaned as ``clean_name`` does.

    Also raises BadInputError for words that are not a name ("unknown object") and for verdicts ("unsure"): each would
    become a class of a dataset.
    """
    cleaned = clean_name(name)
    plain = " ".join(cleaned.casefold().replace("-", " ").split())
    if plain in NO_NAMES:
        raise BadInputError(f"{cleaned!r} is not the name of a thing. Say what it is, or choose 'unsure'.")
    if plain in VERDICTS:
        raise BadInputError(f"{cleaned!r} is a verdict, not a name. Choose it as the verdict.")
    return cleaned


def unclear_reason(item: ReviewItem) -> str | None:
    """Why an item has no clear name, in words; None where it has one."""
    if item.is_clear:
        return None
    best = f"The likeliest is “{item.suggestion}”" if item.suggestion else "There is none to suggest"
    match item.unclear:
        case Unclear.MARGIN:
            return f"{best}, but the next is nearly as likely."
        case Unclear.DISTANCE:
            return f"{best}, but the object does not look like any name of the vocabulary."
    return f"{best}, but the model was not sure of any name."


def check_reviewer(name: str) -> str:
    """The name of a reviewer, unchanged. Raises BadInputError if it cannot be a name."""
    if not _REVIEWER.fullmatch(name):
        raise BadInputError(
            "A reviewer's name has up to 64 letters, digits and . _ @ + - and begins and ends with a letter or digit."
        )
    return name


def check_item_id(item_id: str) -> str:
    """The id of an item, unchanged. Raises BadInputError when it cannot be one."""
    if not _ITEM.fullmatch(item_id):
        raise BadInputError("An item's id has 1 to 64 of the characters A-Z a-z 0-9 _ -.")
    return item_id


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


def local_user() -> str:
    """The name of a reviewer who did not sign in: the account on this machine."""
    try:
        return check_reviewer(getpass.getuser())
    except (OSError, KeyError, ReviewError):
        return "local"
