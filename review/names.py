"""Names that people type: for things, and their own."""

import re
import unicodedata

from review.errors import BadInputError

LONGEST = 100

_REVIEWER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?")
_ITEM = re.compile(r"[A-Za-z0-9_-]{1,64}")


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


def check_reviewer(name: str) -> str:
    """The name of a reviewer, unchanged. Raises BadInputError when it is none."""
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
