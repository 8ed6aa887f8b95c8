"""Names by pictures: what exemplars say of regions whose cosines to them are known, and the file that holds them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clipomaly_core import Clipomaly, Vocabulary
from clipomaly_core.errors import UsageError
from clipomaly_core.exemplar_file import exemplar_bytes, exemplar_file_name, make_exemplars
from clipomaly_core.exemplars import Recall, make_recaller, nothing_recalled
from clipomaly_core.names import Candidate, Exemplars, NameSource
from clipomaly_core.naming import RegionName, name_regions
from clipomaly_core.options import Options
from clipomaly_core.text import arrange

MODEL = "f" * 64
OPTIONS = Options(margin=0.05)
NAMES = ("boar", "sofa", "tent")
WORDS = torch.eye(8)[:4]  # road, then the names
LOOK, OTHER = torch.eye(8)[5], torch.eye(8)[6]
CANDIDATES = tuple(Candidate(name, (), NameSource.DICTIONARY, "things") for name in NAMES)


def exemplars(name: str | None, *looks: torch.Tensor, weight: float = 0.9, width: float = 0.4) -> Exemplars:
    count = len(looks)
    return make_exemplars(
        "given 3 times",
        MODEL,
        name,
        f"{name} ffffffff",
        np.stack([look.numpy() for look in looks]).astype("<f2").tobytes(),
        np.full(count, weight, "<f4").tobytes(),
        np.full(count, width, "<f4").tobytes(),
    )


def recalled(region: torch.Tensor, *of: Exemplars) -> Recall | None:
    return make_recaller(of, CANDIDATES, MODEL, 8, torch.device("cpu"))(region[None])


def named(region: torch.Tensor, *of: Exemplars, options: Options = OPTIONS, unknown: bool = False) -> RegionName:
    words = arrange(WORDS, [[row] for row in range(4)])
    known, candidates = arrange(words.embeddings[:1], [[0]]), arrange(words.embeddings[1:], [[0], [1], [2]])
    recall = recalled(region, *of)
    certain = torch.tensor([unknown])
    [found] = name_regions(region[None], region[None], known, candidates, NAMES, options, None, recall, certain)
    return found


def beside(look: torch.Tensor, word: int, share: float) -> torch.Tensor:
    """A region that its text calls ``word`` (0 road, 1 boar, …), near to a look."""
    return torch.nn.functional.normalize(look + share * WORDS[word], dim=0)


def test_what_looks_like_exemplars_gets_their_name_whatever_its_text_says():
    region = beside(LOOK, 1, 0.3)
    assert named(region).name == "boar"
    found = named(region, exemplars("Sofas", LOOK))
    assert found.name == "sofa" and found.score > 0.7 and [name.name for name in found.names][1] == "boar"


def test_what_looks_like_nothing_that_was_judged_keeps_its_name_and_its_probabilities():
    region = beside(OTHER, 1, 0.3)
    alone, beside_exemplars = named(region).names, named(region, exemplars("sofa", LOOK)).names
    assert [name.name for name in beside_exemplars] == [name.name for name in alone]
    assert [name.score for name in beside_exemplars] == pytest.approx([name.score for name in alone], abs=1e-6)


def test_less_trust_decides_less():
    region = beside(LOOK, 1, 0.3)
    scores = [named(region, exemplars("sofa", LOOK, weight=weight)).names[0] for weight in (0.9, 0.7, 0.2)]
    assert [score.name for score in scores] == ["sofa", "sofa", "boar"]
    assert scores[0].score > scores[1].score


def test_names_whose_exemplars_are_as_near_share_the_probability():
    region = torch.nn.functional.normalize(LOOK + OTHER, dim=0)
    found = named(region, exemplars("sofa", LOOK, width=1.0), exemplars("tent", OTHER, width=1.0))
    assert found.candidate is None and {name.name for name in found.names[:2]} == {"sofa", "tent"}


def test_the_nearer_of_two_names_gets_what_lies_near_both():
    region = torch.nn.functional.normalize(LOOK + 0.8 * OTHER, dim=0)
    found = named(region, exemplars("sofa", LOOK, width=1.0), exemplars("tent", OTHER, width=1.0))
    assert found.name == "sofa" and found.judged


def test_what_was_judged_otherwise_limits_exemplars_and_takes_nothing_itself():
    region = beside(LOOK, 1, 0.3)
    between = torch.nn.functional.normalize(LOOK + 0.2 * WORDS[1], dim=0)
    limit = exemplars(None, between, weight=0)
    found = named(region, exemplars("sofa", LOOK), limit)
    assert (found.name, found.judged, found.reassigned_known) == ("boar", None, False)
    assert named(region, exemplars("sofa", LOOK)).judged


def test_exemplars_reach_farther_where_no_text_is_clear():
    region, of = beside(LOOK, 1, 0.7), exemplars("sofa", LOOK)
    assert named(region, of).name == "boar"
    assert named(region, of, options=replace(OPTIONS, name_cosine=0.7)).name == "sofa"
    far = beside(LOOK, 1, 2.0)
    assert named(far, of, options=replace(OPTIONS, name_cosine=0.95)).reason == "distance"


def test_a_clear_name_that_people_replaced_by_that_of_the_exemplars_does_not_hold_them_back():
    region, of = beside(LOOK, 1, 0.7), exemplars("sofa", LOOK)
    assert named(region, replace(of, instead_of=("tent",))).name == "boar"
    assert named(region, replace(of, instead_of=("Boars", "no candidate"))).name == "sofa"


def test_exemplars_reach_farther_where_an_unknown_object_would_be_delivered():
    region, of = beside(LOOK, 0, 0.7), exemplars("sofa", LOOK)
    assert named(region, of).reassigned_known
    assert named(region, of, unknown=True).name == "sofa"


def test_a_limit_that_is_empty_limits_nothing():
    region = beside(LOOK, 1, 0.3)
    empty = replace(exemplars(None, LOOK), embeddings=b"", weights=b"", widths=b"")
    assert named(region, exemplars("sofa", LOOK), empty).name == "sofa"


def test_a_name_far_down_the_preselection_is_found_by_its_exemplars():
    region = beside(LOOK, 1, 0.3)
    assert named(region, exemplars("tent", LOOK), options=Options(preselect=1)).name == "tent"


def test_exemplars_keep_a_thing_that_its_text_calls_known_and_without_a_name_take_one_away():
    region = beside(LOOK, 0, 0.3)
    assert named(region).reassigned_known
    assert not named(region, exemplars("sofa", LOOK)).reassigned_known
    thing = beside(LOOK, 1, 0.3)
    assert not named(thing).reassigned_known
    assert named(thing, exemplars(None, LOOK)).reassigned_known


def test_exemplars_of_other_weights_and_of_no_candidate_are_left_alone():
    others = [replace(exemplars("sofa", LOOK), model="0" * 64), exemplars("ladder", LOOK)]
    assert make_recaller(others, CANDIDATES, MODEL, 8, torch.device("cpu"))(LOOK[None]) is None


def test_exemplars_that_do_not_fit_the_model_are_one_line():
    for wrong in (exemplars("sofa", torch.ones(4)), replace(exemplars("sofa", LOOK), embeddings=b"", weights=b"")):
        with pytest.raises(UsageError, match="bring back the file"):
            make_recaller([wrong], CANDIDATES, MODEL, 8, torch.device("cpu"))


def test_nothing_recalled_leaves_all_to_the_texts():
    assert nothing_recalled(2, 3, torch.device("cpu")).rest.tolist() == [1, 1]


def write(folder: Path, *of: Exemplars, says: str | None = None) -> Path:
    """A vocabulary file with exemplars, and their file beside it."""
    name = exemplar_file_name(of)
    (folder / name).write_bytes(exemplar_bytes(of))
    lines = ["extends: builtin", "dictionary: {}", f"exemplar_file: {says or name}", "exemplars:"]
    for one in of:
        lines += [f"- reason: {one.reason}", *([f"  name: {one.name}"] if one.name else []),
                  f"  model: {one.model}", f"  tensors: {one.tensors}", f"  sha256: {one.sha256}"]  # fmt: skip
    path = folder / "words.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_vocabulary_file_brings_its_exemplars(tmp_path):
    both = (exemplars("sofa", LOOK, OTHER), exemplars(None, OTHER))
    read = Vocabulary.load(str(write(tmp_path, *both)))
    assert read.exemplars == both
    assert Vocabulary.load(write(tmp_path, *both).as_uri()).exemplars == both


def test_exemplars_are_part_of_what_a_vocabulary_is(tmp_path):
    plain = Vocabulary.load()
    one, other = (Vocabulary.load(str(write(tmp_path, exemplars("sofa", look)))) for look in (LOOK, OTHER))
    assert len({plain.sha256, one.sha256, other.sha256}) == 3
    assert replace(one, exemplars=()).sha256 == plain.sha256
    assert one.extend(["zeppelin"]).exemplars == one.exemplars


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda file: file.unlink(), "copy both files together"),
        (lambda file: file.write_bytes(b"no safetensors"), "copy both files together"),
        (lambda file: file.write_bytes(exemplar_bytes([exemplars("tent", LOOK)])), "copy both files together"),
        (lambda file: file.write_bytes(exemplar_bytes([exemplars("sofa", OTHER)])), "other exemplars of sofa"),
    ],
)
def test_an_exemplar_file_that_is_gone_broken_or_another_is_one_line(tmp_path, break_it, says):
    path = write(tmp_path, exemplars("sofa", LOOK))
    [file] = tmp_path.glob("*.safetensors")
    break_it(file)
    with pytest.raises(UsageError, match=says) as error:
        Vocabulary.load(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "s3://bucket/file", "a\\\\b"])
def test_an_exemplar_file_lies_beside_the_vocabulary(tmp_path, name):
    with pytest.raises(UsageError, match=r"line 3: .*beside this one"):
        Vocabulary.load(str(write(tmp_path, exemplars("sofa", LOOK), says=f'"{name}"')))


@pytest.mark.whole
def test_a_find_gets_the_name_that_was_given_to_what_looks_the_same(tmp_path):
    from demo_fleet import Scene

    frame = Scene(10_000_025, (360, 640), objects=["deer", "traffic cone", "teddy bear"], night=False).frame(3.0).image
    model = Clipomaly.load("nano", device="cpu")
    before = model([frame])[0].instances
    assert before, "nothing found: the test shows nothing"
    again = torch.from_numpy(before[0].embedding)
    own = replace(exemplars("zeppelin", again), model=model.weights_sha256)
    model = Clipomaly.load("nano", device="cpu", vocabulary=replace(
        Vocabulary.load().extend(["zeppelin"]), exemplars=(own,)
    ))  # fmt: skip
    names = {one.bbox: one.name for one in model([frame])[0].instances}
    assert names[before[0].bbox] == "zeppelin"
    others = [one for one in before[1:] if float(one.embedding @ before[0].embedding) < 0.5]
    assert [names[one.bbox] for one in others] == [one.name for one in others]


@pytest.mark.whole
def test_what_people_rejected_is_no_find_however_high_its_score_is():
    from demo_fleet import Scene

    frame = Scene(10_000_025, (360, 640), objects=["deer", "traffic cone", "teddy bear"], night=False).frame(3.0).image
    model = Clipomaly.load("nano", device="cpu")
    certain = replace(model.options, certain_threshold=model.options.threshold)
    before = Clipomaly.load("nano", device="cpu", options=certain)([frame])[0].instances
    rejected = replace(exemplars(None, torch.from_numpy(before[0].embedding)), model=model.weights_sha256)
    vocabulary = replace(Vocabulary.load(), exemplars=(rejected,))
    after = Clipomaly.load("nano", device="cpu", vocabulary=vocabulary, options=certain)([frame])[0].instances
    assert before[0].bbox not in {one.bbox for one in after}
