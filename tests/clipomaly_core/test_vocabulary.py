import pickle
import re
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipomaly_core.errors import UsageError
from clipomaly_core.names import Candidate, KnownClass, NameSource, lemma
from clipomaly_core.vocabulary import Vocabulary

# Plain words that no rule of English touches, so that what happens to them is known.
WORDS = st.text(alphabet="bdgklmprtvz", min_size=3, max_size=8)
NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


@pytest.fixture(scope="module")
def builtin() -> Vocabulary:
    return Vocabulary.load()


def write(folder: Path, text: str) -> str:
    path = folder / "vocabulary.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def reasons(vocabulary: Vocabulary) -> dict[str, str]:
    return {left.name: left.reason for left in vocabulary.left_out}


# ------------------------------------------------------------------------------------------ what is built in


def test_the_known_classes_are_cityscapes_in_train_id_order(builtin: Vocabulary) -> None:
    assert builtin.names[:19] == (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle",
        "bicycle",
    )  # fmt: skip
    assert len(builtin.known) == 19


def test_the_dictionary_has_its_size_and_categories(builtin: Vocabulary) -> None:
    assert len(builtin.candidates) >= 1_500
    assert {candidate.source for candidate in builtin.candidates} == {NameSource.DICTIONARY}
    assert {candidate.category for candidate in builtin.candidates} >= {
        "animals", "cargo-and-debris", "road-works", "furniture-and-household", "vehicles-and-parts",
        "people-and-unusual-riders", "nature", "litter", "containers", "sport-and-toys",
    }  # fmt: skip


def test_the_dictionary_has_what_is_met_on_roads(builtin: Vocabulary) -> None:
    met = """dog, wild boar, peccary, rhinoceros, cardboard box, wooden pallet, tire, suitcase, garbage bag,
        mattress, bathtub, jerrycan, traffic cone, warning beacon, wheelbarrow, tree trunk, boulder, hay bale,
        bundle of hay, snow pile, caravan, shopping cart, baby stroller, kick scooter, horse carriage,
        skid loader, drone"""
    assert {" ".join(name.split()) for name in met.split(",")} - set(builtin.names) == set()


def test_no_name_stands_twice_not_even_as_a_synonym(builtin: Vocabulary) -> None:
    terms = [lemma(t) for candidate in builtin.candidates for t in (candidate.name, *candidate.synonyms)]
    assert len(set(terms)) == len(terms)


def test_every_entry_is_singular(builtin: Vocabulary) -> None:
    terms = [t for candidate in builtin.candidates for t in (candidate.name, *candidate.synonyms)]
    assert [t for t in terms if lemma(t) != t.casefold().replace("-", " ")] == []


def test_no_entry_shares_a_lemma_with_the_known_classes(builtin: Vocabulary) -> None:
    known = {lemma(t) for entry in builtin.known for t in (entry.name, *entry.synonyms, *entry.kinds)}
    words = {lemma(t) for candidate in builtin.candidates for t in (candidate.name, *candidate.synonyms)}
    assert known & words == set()
    assert builtin.left_out == ()


def test_every_exception_is_one(builtin: Vocabulary) -> None:
    bare = Vocabulary(builtin.known).extend(sorted(builtin.never_known), NameSource.TAGGER)
    assert set(reasons(bare)) == builtin.never_known
    kept = Vocabulary(builtin.known, never_known=builtin.never_known)
    assert kept.extend(sorted(builtin.never_known), NameSource.TAGGER).left_out == ()


# ---------------------------------------------------------------------------------------------------- lemmas


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("dogs", "dog"), ("boxes", "box"), ("branches", "branch"), ("bushes", "bush"),
        ("mattresses", "mattress"),
        ("buses", "bus"), ("horses", "horse"), ("houses", "house"), ("hoses", "hose"), ("vases", "vase"),
        ("geese", "goose"), ("mice", "mouse"), ("oxen", "ox"), ("wolves", "wolf"), ("calves", "calf"),
        ("leaves", "leaf"), ("scarves", "scarf"), ("gloves", "glove"), ("stoves", "stove"),
        ("sleeves", "sleeve"),
        ("ponies", "pony"), ("buggies", "buggy"), ("dollies", "dolly"), ("trolleys", "trolley"),
        ("ties", "tie"),
        ("magpies", "magpie"), ("potatoes", "potato"), ("shoes", "shoe"), ("canoes", "canoe"),
        ("pianos", "piano"),
        ("policemen", "policeman"), ("women", "woman"), ("people", "person"), ("children", "child"),
        ("skis", "ski"), ("taxis", "taxi"), ("emus", "emu"), ("hippopotamuses", "hippopotamus"),
        ("coaches", "coach"), ("peaches", "peach"), ("parties", "party"), ("tornadoes", "tornado"),
        ("Traffic-Cones", "traffic cone"), ("shopping_carts", "shopping cart"),
        ("stacks of tires", "stack of tires"),
        ("bales", "bale"), ("axes", "axe"), ("knives", "knife"), ("lenses", "lens"), ("quizzes", "quiz"),
    ],
)  # fmt: skip
def test_plurals_have_the_lemma_of_their_singular(plural: str, singular: str) -> None:
    assert lemma(plural) == singular == lemma(singular.title())


@pytest.mark.parametrize(
    "word",
    [
        "glass",
        "grass",
        "bus",
        "debris",
        "chassis",
        "walrus",
        "scissors",
        "canvas",
        "gas",
        "ox",
        "specimen",
        "rhinoceros",
    ],
)
def test_singulars_that_look_like_plurals_stay(word: str) -> None:
    assert lemma(word) == word


@given(st.text(max_size=30))
def test_a_lemma_is_its_own_lemma(text: str) -> None:
    assert lemma(lemma(text)) == lemma(text)


def test_the_regular_plural_of_every_dictionary_name_leads_back(builtin: Vocabulary) -> None:
    def plural(word: str) -> str:
        if word.endswith(("s", "x", "z", "ch", "sh")):
            return word + "es"
        if word.endswith("y") and word[-2] not in "aeiou":
            return word[:-1] + "ies"
        return word + "s"

    # Nouns that form their plural in another way, or none at all.
    other = """leaf, ox, mouse, goose, wolf, calf, chamois, debris, confetti, broccoli, claus, binoculars,
        scissors, pliers, secateurs, overalls, pajamas, trousers, jeans, shorts, leggings, tights, dungarees,
        sunglasses, goggles"""
    lost = []
    for name in (candidate.name for candidate in builtin.candidates):
        *words, head = name.split()
        if {"of", "on"}.isdisjoint(words) and head not in re.findall(r"\w+", other):
            lost += [name] if lemma(" ".join([*words, plural(head)])) != lemma(name) else []
    assert lost == []


# ---------------------------------------------------------------------------------------------------- extend


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truck", "is the known class 'truck'"),
        ("Trucks", "shares the lemma 'truck' with the known class 'truck'"),
        ("automobiles", "is another word for the known class 'car'"),
        ("taxi", "is a kind of car"),
        ("police car", "is a kind of car"),
        ("old yellow taxis", "is a kind of car"),
        ("traffic sign pole", "is a kind of pole"),
        ("person on a horse", "is a kind of person"),
    ],
)
def test_what_the_known_classes_cover_is_left_out(builtin: Vocabulary, name: str, reason: str) -> None:
    extended = builtin.extend([name], NameSource.TAGGER)
    assert reasons(extended) == {name: reason}
    assert extended.names == builtin.names


@pytest.mark.parametrize("name", ["car tire", "toy cars", "shopping cart", "fallen trees", "photo of a car", "cargo"])
def test_what_only_contains_a_known_word_stays(builtin: Vocabulary, name: str) -> None:
    empty = Vocabulary(builtin.known, never_known=builtin.never_known)
    assert empty.extend([name], NameSource.TAGGER).names[19:] == (name,)


@pytest.mark.parametrize("source", [NameSource.USER, NameSource.PROMOTED])
def test_who_asks_for_a_kind_of_a_known_class_gets_it(builtin: Vocabulary, source: NameSource) -> None:
    refused = builtin.extend(["taxi", "police car"], NameSource.TAGGER)
    asked = refused.extend(["taxi", "police car", "cars"], source)
    assert asked.candidates[-2:] == tuple(Candidate(name, (), source, source) for name in ("taxi", "police car"))
    assert reasons(asked) == {"cars": "shares the lemma 'car' with the known class 'car'"}


def test_a_name_already_there_changes_nothing(builtin: Vocabulary) -> None:
    assert builtin.extend(["dog", "Dogs", "tyres", "garbage-bag"]) == builtin


def test_extending_leaves_the_old_vocabulary_as_it_was(builtin: Vocabulary) -> None:
    before, digest = builtin.names, builtin.sha256
    extended = builtin.extend(["parade dragon"])
    assert extended.names == (*before, "parade dragon")
    assert builtin.names == before
    assert builtin.sha256 == digest != extended.sha256


@pytest.mark.parametrize("name", ["", "  ", "\t\n"])
def test_an_empty_name_is_refused(builtin: Vocabulary, name: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        builtin.extend(["parade dragon", name])


def test_one_string_is_not_a_list_of_letters(builtin: Vocabulary) -> None:
    with pytest.raises(UsageError, match="list"):
        builtin.extend("cone")


@given(st.lists(NAMES, max_size=8), st.lists(NAMES, max_size=8))
def test_extending_twice_is_extending_once(first: list[str], second: list[str]) -> None:
    empty = Vocabulary((KnownClass("road"), KnownClass("car")))
    assert empty.extend(first).extend(second) == empty.extend([*first, *second])
    extended = empty.extend(first)
    assert extended.extend(first) == extended
    assert len({lemma(name) for name in extended.names}) == len(extended.names)
    assert (extended.sha256 == empty.sha256) == (not first)


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.data())
def test_leaving_out_moves_names(names: list[str], data: st.DataObject) -> None:
    vocabulary = Vocabulary((KnownClass("road"), KnownClass("car"))).extend(names, NameSource.DICTIONARY)
    gone = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    less = vocabulary.leave_out(dict.fromkeys(gone, "is too near to road"))
    assert set(less.names) | set(reasons(less)) == set(vocabulary.names)
    assert set(less.names) & set(gone) == set()
    assert less.sha256 != vocabulary.sha256
    assert less.extend(gone, NameSource.TAGGER) == less
    assert set(less.extend(gone, NameSource.USER).names) == set(vocabulary.names)


def test_leaving_out_a_stranger_is_an_error(builtin: Vocabulary) -> None:
    with pytest.raises(UsageError, match="flux capacitor"):
        builtin.leave_out({"flux capacitor": "does not exist"})


def test_the_digest_sees_all_that_matters() -> None:
    known = (KnownClass("road"), KnownClass("car", ("auto",), ("taxi",)))
    cone = Candidate("cone", (), NameSource.DICTIONARY, "works")
    digests = {
        Vocabulary(*parts).sha256
        for parts in (
            (known,),
            (known[::-1],),
            ((known[0], KnownClass("car", ("auto",))),),
            ((known[0], KnownClass("car", (), ("auto", "taxi"))),),
            (known, (cone,)),
            (known, (Candidate("cone", ("pylon",), NameSource.DICTIONARY, "works"),)),
            (known, (Candidate("cone", (), NameSource.USER, "works"),)),
            (known, (), (), frozenset({"toy car"})),
        )
    }
    assert len(digests) == 8
    assert all(len(digest) == 64 for digest in digests)


def test_a_vocabulary_travels_to_another_process(builtin: Vocabulary) -> None:
    there = pickle.loads(pickle.dumps(builtin))  # noqa: S301
    assert there == builtin
    assert there.sha256 == builtin.sha256


# ----------------------------------------------------------------------------------------------------- files

KNOWN = "known:\n  - road\n  - name: animal\n    synonyms: [beast]\n    kinds: [dog, cat]\n"


def test_a_file_replaces_the_known_classes(tmp_path: Path, builtin: Vocabulary) -> None:
    vocabulary = Vocabulary.load(write(tmp_path, KNOWN))
    assert vocabulary.known == (KnownClass("road"), KnownClass("animal", ("beast",), ("dog", "cat")))
    assert reasons(vocabulary)["dog"] == "is a kind of animal"
    assert reasons(vocabulary)["wild dog"] == "is a kind of animal"
    assert {"mattress", "horse"} < set(vocabulary.names)
    assert vocabulary.sha256 != builtin.sha256


def test_a_file_replaces_the_dictionary(tmp_path: Path, builtin: Vocabulary) -> None:
    text = "dictionary:\n  mine: [gnome, [tire, tyre], police car, toy car]\n"
    vocabulary = Vocabulary.load(write(tmp_path, text))
    assert vocabulary.known == builtin.known
    assert vocabulary.candidates == (
        Candidate("gnome", (), NameSource.DICTIONARY, "mine"),
        Candidate("tire", ("tyre",), NameSource.DICTIONARY, "mine"),
        Candidate("toy car", (), NameSource.DICTIONARY, "mine"),
    )
    assert reasons(vocabulary) == {"police car": "is a kind of car"}


def test_a_file_adds_to_the_dictionary(tmp_path: Path, builtin: Vocabulary) -> None:
    text = "extends: builtin\ndictionary:\n  mine: [garden ogre, [mattress, mattress topper]]\n  user: [taxi]\n"
    vocabulary = Vocabulary.load(write(tmp_path, text))
    assert set(vocabulary.names) == set(builtin.names) | {"garden ogre", "taxi"}
    assert vocabulary.candidates[:3] == (
        Candidate("garden ogre", (), NameSource.DICTIONARY, "mine"),
        Candidate("mattress", ("mattress topper",), NameSource.DICTIONARY, "mine"),
        Candidate("taxi", (), NameSource.USER, "user"),
    )


def test_a_file_names_exceptions(tmp_path: Path) -> None:
    text = "never_known: [slot machine bus]\ndictionary:\n  mine: [slot machine bus, party bus]\n"
    vocabulary = Vocabulary.load(write(tmp_path, text))
    assert vocabulary.names[19:] == ("slot machine bus",)


def test_a_file_comes_from_any_filesystem(builtin: Vocabulary) -> None:
    with fsspec.open("memory://vocabulary/mine.yaml", "wt", encoding="utf-8") as file:
        file.write("dictionary:\n  mine: [piñata]\n")
    assert Vocabulary.load("memory://vocabulary/mine.yaml").names == (*builtin.names[:19], "piñata")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("dictionary:\n  mine:\n    - gnome\n    - gnomes\n", 4, "'gnomes' is given twice (first in line 3)"),
        ("dictionary:\n  a: [gnome]\n  b: [[elf, gnome]]\n", 3, "'gnome' is given twice (first in line 2)"),
        ("known:\n  - road\n  - name: street\n    synonyms: [Roads]\n", 4, "'Roads' is given twice"),
        ("dictionary:\n  mine:\n    - gnome\n    - '  '\n", 4, "empty name"),
        ("dictionary:\n  mine:\n    - gnome\n    -\n", 4, "empty name"),
        ("dictionary:\n  mine:\n    - gnome\n    - []\n", 4, "without a name"),
        ("dictionary:\n  mine:\n    - gnome\n    - 7\n", 4, "'7' is not read as text"),
        ("dictionary:\n  mine:\n    - gnome\n    - no\n", 4, "in quotes"),
        ("dictionary:\n  mine:\n    - gnome\n    - {elf: green}\n", 4, "a name is expected"),
        ("dictionary:\n  mine:\n    - [gnome, [elf]]\n", 3, "a name is expected"),
        ("dictionary:\n  mine: gnome\n", 2, "a list is expected"),
        ("dictionary:\n  - gnome\n", 2, "category"),
        ("dictionary:\n  mine: [gnome]\n  mine: [elf]\n", 3, "'mine' is given twice"),
        ("dictionary:\n  mine: [gnome]\nclasses: [road]\n", 3, "unknown key 'classes'"),
        ("known:\n  - road\n  - name: car\n    colour: red\n", 4, "unknown key 'colour'"),
        ("known:\n  - road\n  - synonyms: [auto]\n", 3, "without a 'name'"),
        ("known:\n  - road\n", 2, "two classes"),
        ("known: []\n", 1, "two classes"),
        ("extends: builtin\n", 1, "neither 'known' nor 'dictionary'"),
        ("extends: other\ndictionary:\n  mine: [gnome]\n", 1, "'builtin'"),
        ("- gnome\n", 1, "keys are expected"),
        ("dictionary:\n  mine: [gnome\n", 3, "not valid YAML"),
        ("dictionary:\n  mine: &loop\n    - [*loop]\n", 2, "a name is expected"),
        ("dictionary:\n  mine: [!!python/object/apply:os.getcwd {}]\n", 2, "a name is expected"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    url = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        Vocabulary.load(url)
    message = str(caught.value)
    assert message.startswith(f"{url}, line {line}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"\xff\xfe\x00", "cannot read"),
        (b"a: \x07", "not valid YAML"),
    ],
)
def test_a_file_without_lines_to_point_at(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "vocabulary.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        Vocabulary.load(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nowhere/vocabulary.yaml", "there is no such"),
        ("memory://nowhere.yaml", "there is no such"),
        ("no-such-protocol://a", "cannot read"),
    ],
)
def test_a_file_that_cannot_be_read(url: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Vocabulary.load(url)
    assert url in str(caught.value)


def test_a_folder_is_no_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        Vocabulary.load(str(tmp_path))
