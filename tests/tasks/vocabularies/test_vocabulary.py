"""Vocabulary files: what is listed of them, and that adding names keeps what a person wrote."""

from pathlib import Path

import fsspec
import pytest

from clipomaly_core import Vocabulary
from clipomaly_core.names import NameSource
from tasks.errors import UsageError
from tasks.model_settings import ModelSettings
from tasks.vocabularies.edit import extend_file, list_names


def sources(url: str) -> dict[str, NameSource]:
    return {candidate.name: candidate.source for candidate in Vocabulary.load(url).candidates}


def test_a_new_file_extends_the_built_in_dictionary(tmp_path: Path) -> None:
    file = str(tmp_path / "words.yaml")
    extension = extend_file(file, ["parade dragon", "tyres", "cars", "taxi"])
    assert extension.added == ("parade dragon", "taxi")  # a person may ask for a kind of a known class
    assert extension.present == ("tyres",)
    [refused] = extension.refused
    assert (refused.name, refused.left_out) == ("cars", "shares the lemma 'car' with the known class 'car'")
    found = sources(file)
    assert found["parade dragon"] is found["taxi"] is NameSource.USER
    assert found["tire"] is NameSource.DICTIONARY


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text(
        "# Ours since spring.\nknown:\n  - 'lane' # inner\n  - name: kerb\n    synonyms: [curb]\n"
        "dictionary:\n  cargo: [mattress, [tire, tyre]] # as met\n  user:\n    - pram\n"
    )
    extend_file(str(file), ["sofa"])
    extend_file(str(file), ["wheel clamp"], NameSource.PROMOTED)
    assert file.read_text() == (
        "# Ours since spring.\nknown:\n  - 'lane' # inner\n  - name: kerb\n    synonyms: [curb]\n"
        "dictionary:\n  cargo: [mattress, [tire, tyre]] # as met\n  user:\n    - pram\n    - sofa\n"
        "  promoted:\n    - wheel clamp\n"
    )
    assert sources(str(file))["wheel clamp"] is NameSource.PROMOTED


def test_a_file_of_known_classes_keeps_the_built_in_dictionary(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("known: [lane, kerb]\n")
    before = set(Vocabulary.load(str(file)).names)
    extend_file(str(file), ["parade dragon"])
    assert set(Vocabulary.load(str(file)).names) == before | {"parade dragon"}


def test_adding_again_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    extend_file(str(file), ["parade dragon"])
    written = file.stat().st_mtime_ns, file.read_bytes()
    assert extend_file(str(file), ["parade dragons"]).added == ()
    assert (file.stat().st_mtime_ns, file.read_bytes()) == written


def test_any_filesystem() -> None:
    extend_file("memory://words/ours.yaml", ["parade dragon"])
    assert "parade dragon" in fsspec.filesystem("memory").cat_file("/words/ours.yaml").decode()


@pytest.mark.parametrize(
    ("text", "names", "says"),
    [
        ("dictionary: {cargo: [mattress, mattress]}", ["sofa"], "line 1: 'mattress' is given twice"),
        ("a picture", ["sofa"], "keys are expected"),
        ("dictionary: {cargo: [mattress]}", ["sofa", " "], "A name is empty"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(tmp_path: Path, text: str, names: list[str], says: str) -> None:
    file = tmp_path / "words.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        extend_file(str(file), names)
    assert file.read_text() == text


def test_every_name_has_a_source(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("extends: builtin\ndictionary: {user: [pram shop], promoted: [wheel clamp]}\n")
    listed = {entry.name: entry.source for entry in list_names(ModelSettings("nano", vocabulary=str(file)))}
    wanted = {"road": "known", "mattress": "dictionary", "pram shop": "user", "wheel clamp": "promoted"}
    assert wanted.items() <= listed.items()


def test_names_are_looked_up_by_any_of_their_words(tmp_path: Path) -> None:
    found = list_names(ModelSettings("nano"), ["Tyres", "automobile", "space rocket"])
    assert [(entry.name, entry.source) for entry in found] == [("tire", "dictionary"), ("car", "known"),
                                                               ("space rocket", "")]  # fmt: skip


def test_an_explanation_says_why_a_name_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("dictionary: {cargo: [mattress, delivery van, wall clock]}\n")
    settings = ModelSettings("nano", vocabulary=str(file), method=(("known_cosine", -1.0),))
    entries = {entry.name: entry for entry in list_names(settings, explain=True)}
    assert entries["delivery van"].left_out == "is a kind of car"
    assert "cosine" in entries["mattress"].left_out and "known class" in entries["mattress"].left_out
    settings = ModelSettings("nano", vocabulary=str(file), method=(("known_cosine", 1.0),))
    asked = list_names(settings, ["police car", "mattress", "moon buggy"], explain=True)
    assert [(entry.source, entry.left_out) for entry in asked] == [
        ("", "is a kind of car"),
        ("dictionary", ""),
        ("", "nobody gave this name; nothing is against it"),
    ]
