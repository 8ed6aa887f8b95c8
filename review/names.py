"""Names that people type: names of things, and of reviewers."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from review.errors import BadInputError
from schemas.review import UNKNOWN_NAME, ReviewItem, Unclear, Verdict

LONGEST = 100

MOST_OFFERED = 12

_ALIKE = 0.7  # similarity of two spellings above which one may be a misspelling: one letter in four

NO_NAMES = frozenset({UNKNOWN_NAME, f"{UNKNOWN_NAME}s", "unknown", "unnamed"})
VERDICTS = frozenset({Verdict.NOT_AN_OBJECT.value, Verdict.UNSURE.value})

_REVIEWER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?")
_ITEM = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
