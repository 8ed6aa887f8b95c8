"""Names that people type: for things, and their own."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from review.errors import BadInputError

LONGEST = 100

MOST_OFFERED = 12

_REVIEWER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?")
_ITEM = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class KnownName:
    """A name offered while typing; ``known`` when it is a class of the known vocabulary."""

    name: str
    known: bool


def complete_name(names: Iterable[KnownName], typed: str, known: bool = False) -> list[KnownName]:
    """Names that begin with what was typed, then those with a word that does, then those that hold it.

    At most 12; with ``known`` only, and all, the classes of the known vocabulary that fit.
    """
    wanted = " ".join(typed.lower().split())
    ranked = []
    for offered in names:
        name = offered.name.lower()
        if wanted in name and (offered.known or not known):
            place = 0 if name.startswith(wanted) else 1 if f" {wanted}" in name else 2
            ranked.append((place, name, offered))
    return [offered for *_, offered in sorted(ranked, key=lambda one: one[:2])[: None if known else MOST_OFFERED]]


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
