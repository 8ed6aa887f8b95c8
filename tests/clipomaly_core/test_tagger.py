"""Candidates by tagger: each frame has names of its own, from whoever gives them."""

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from clipomaly_core import Clipomaly, NameScore, UserError, default_options
from clipomaly_core.errors import UsageError
from clipomaly_core.names import NameSource
from clipomaly_core.tagger import RecognizeAnything, ram_trouble, squares
from clipomaly_core.vocabulary import Vocabulary
from tests.clipomaly_core.test_clipomaly import WORDS, frame_of, random_weights  # noqa: F401

pytestmark = pytest.mark.whole


class ByBrightness:
    """Calls bright frames one thing and dark ones another."""

    def __call__(self, frames, /):
        bright = (NameScore("mirror ball", 0.9), NameScore("cars", 0.8), NameScore("road", 0.7))
        return [bright if frame.mean() > 127 else (NameScore("dogs", 0.6),) for frame in frames]


def model_with(random_weights, tagger=None, **options):  # noqa: F811
    everything = replace(default_options("nano"), threshold=0.0, peak_threshold=None, margin=0.0, name_cosine=-1.0)
    base = replace(everything, min_area=0.0, **options)
    return Clipomaly.load("nano", weights=random_weights, vocabulary=WORDS, device="cpu", options=base, tagger=tagger)


def names_of(result):
    return {name.name for instance in result.instances for name in instance.names}


def test_a_frame_has_the_names_of_its_tagger(random_weights):  # noqa: F811
    model = model_with(random_weights, ByBrightness())
    bright, dark = np.full((90, 160, 3), 250, np.uint8), np.full((90, 160, 3), 5, np.uint8)
    results = model([bright, dark])
    # "road" is a known class; the dictionary of these tests has neither cars as a class nor "mirror ball".
    assert names_of(results[0]) <= {"mirror ball", "cars"}
    assert names_of(results[1]) <= {"dog", "dogs"}
    given = {candidate.name: candidate.source for candidate in model.vocabulary.candidates}
    assert given["mirror ball"] is NameSource.TAGGER
    assert {left.name for left in model.vocabulary.left_out} >= {"road"}
    assert {i.name_source for i in results[0].instances} <= {"tagger", "none"}


def test_what_was_seen_before_changes_nothing(random_weights):  # noqa: F811
    first, second = frame_of(1), np.full((180, 320, 3), 250, np.uint8)
    fresh = model_with(random_weights, ByBrightness())([first])[0]
    used = model_with(random_weights, ByBrightness())
    used([second])
    again = used([first])[0]
    np.testing.assert_array_equal(fresh.anomaly_score, again.anomaly_score)
    assert [i.names for i in fresh.instances] == [i.names for i in again.instances]


def test_names_that_people_asked_for_are_always_looked_for(random_weights):  # noqa: F811
    model = model_with(random_weights, ByBrightness(), reassign_known="region")
    model.extend(["parade dragon"])
    [names] = model.candidates_of([np.zeros((90, 160, 3), np.uint8)])
    assert set(names) == {"parade dragon", next(name for name in model.words.names if name in ("dog", "dogs"))}


def test_a_tagger_that_knows_nothing_leaves_unknown_objects(random_weights):  # noqa: F811
    model = model_with(random_weights, lambda frames: [()] * len(frames), score="entropy")
    [result] = model([frame_of(1)])
    assert {instance.name for instance in result.instances} <= {"unknown object"}
    assert np.isfinite(result.anomaly_score).all()


def test_the_clip_tagger_picks_from_the_dictionary(random_weights):  # noqa: F811
    model = model_with(random_weights, candidates="clip-tagger", tags=3, reassign_known="region")
    before = model.vocabulary
    first, second = model.candidates_of([frame_of(1), frame_of(2)])
    assert len(first) == len(second) == 3
    [result] = model([frame_of(1)])
    assert names_of(result) <= set(first)
    assert model.vocabulary == before  # this tagger brings no names of its own


def test_the_clip_tagger_of_every_name_is_the_dictionary(random_weights):  # noqa: F811
    by_dictionary = model_with(random_weights)([frame_of(1)])[0]
    by_tagger = model_with(random_weights, candidates="clip-tagger", tags=5000)([frame_of(1)])[0]
    np.testing.assert_array_equal(by_dictionary.anomaly_score, by_tagger.anomaly_score)
    assert [i.names for i in by_dictionary.instances] == [i.names for i in by_tagger.instances]


def test_nano_sees_what_fills_a_square():
    from demo_fleet import sample_scene

    model = Clipomaly.load("nano", device="cpu", options=replace(default_options("nano"), candidates="clip-tagger"))
    scene = sample_scene(9_600_000)
    [names] = model.candidates_of([scene.image])
    assert len(names) == model.options.tags


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (227, 320), (1, 9), (64, 64)])
def test_squares_cover_the_frame(height, width):
    seen = np.zeros((height, width), int)
    for left, top, side in squares(height, width):
        assert 0 <= left <= width - side and 0 <= top <= height - side
        seen[top : top + side, left : left + side] += 1
    assert seen.min() >= 2


# Recognize Anything: its package cannot be had here, so one with the same names and forms stands in for it.


class Ram(torch.nn.Module):
    """What the adapter relies on of the package's network: ``fc``, ``tag_list``, ``class_threshold``,
    ``generate_tag``."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(2, 1)
        torch.nn.init.ones_(self.fc.weight)
        torch.nn.init.zeros_(self.fc.bias)
        self.tag_list = np.array(["cow", "street", "tire"])
        self.class_threshold = torch.tensor([0.6, 0.6, 0.99])

    def generate_tag(self, images):
        evidence = images.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 4.0, 2.0])
        self.fc(torch.stack([evidence, 0 * evidence], dim=-1))
        return ["not read"], ["not read"]


@pytest.fixture
def ram_package(monkeypatch, tmp_path):
    from torchvision.transforms.functional import to_tensor

    def load(pretrained, image_size, vit):
        assert image_size == 384 and vit == "swin_l"
        torch.load(pretrained)  # as the package does
        return Ram()

    package, models = ModuleType("ram"), ModuleType("ram.models")
    monkeypatch.setattr(
        package,
        "get_transform",
        lambda image_size: lambda image: to_tensor(image.resize((image_size, image_size))),
        raising=False,
    )
    monkeypatch.setattr(models, "ram_plus", load, raising=False)
    monkeypatch.setitem(sys.modules, "ram", package)
    monkeypatch.setitem(sys.modules, "ram.models", models)
    weights = tmp_path / "ram.pth"
    torch.save({"model": {}}, weights)
    return str(weights)


def test_ram_gives_its_tags_best_first(ram_package):
    tagger = RecognizeAnything(ram_package, torch.device("cpu"))
    white, black = np.full((50, 80, 3), 255, np.uint8), np.zeros((50, 80, 3), np.uint8)
    bright, dark = tagger([white, black])
    assert [tag.name for tag in bright] == ["street", "cow"]
    assert bright[0].score == pytest.approx(torch.sigmoid(torch.tensor(4.0)).item())
    assert dark == ()


def test_ram_is_a_choice_of_the_method(ram_package, random_weights):  # noqa: F811
    model = model_with(random_weights, candidates="ram", tagger_weights=ram_package)
    [result] = model([np.full((90, 160, 3), 255, np.uint8)])
    assert names_of(result) <= {"cow", "street"}


def test_ram_says_how_to_install_it(random_weights):  # noqa: F811
    if "ram" in sys.modules:
        pytest.skip("the package is installed")
    with pytest.raises(UsageError, match="pip install"):
        model_with(random_weights, candidates="ram")


def test_ram_with_wrong_weights_is_one_line(ram_package, tmp_path):
    with pytest.raises(UsageError, match="tagger_weights"):
        RecognizeAnything(None, torch.device("cpu"))
    with pytest.raises(UserError, match="not found"):
        RecognizeAnything(str(tmp_path / "none.pth"), torch.device("cpu"))
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(UsageError, match=r"does not load as RAM\+\+"):
        RecognizeAnything(str(tmp_path / "bad.pth"), torch.device("cpu"))


def test_ram_weights_that_would_run_code_are_refused(ram_package, tmp_path):
    torch.save(SimpleNamespace(a=1), tmp_path / "object.pth")
    with pytest.raises(UsageError, match=r"does not load as RAM\+\+"):
        RecognizeAnything(str(tmp_path / "object.pth"), torch.device("cpu"))


def test_the_vocabulary_says_what_a_tagger_may_not_add():
    vocabulary = Vocabulary.load().extend(["police car", "fog machine"], NameSource.TAGGER)
    assert vocabulary.candidates[-1].name == "fog machine"
    assert "police car" in {left.name for left in vocabulary.left_out}


@pytest.mark.parametrize(
    ("installed", "says"),
    [("4.55.4", None), ("4.30", None), ("4.56.0", "4.56.0"), ("5.24.0", "-c constraints-ram.txt")],
)
def test_ram_says_which_transformers_it_needs(tmp_path, monkeypatch, installed, says):
    (tmp_path / "ram").mkdir()
    (tmp_path / "ram" / "__init__.py").touch()
    info = tmp_path / f"transformers-{installed}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: transformers\nVersion: {installed}\n")
    monkeypatch.syspath_prepend(tmp_path)
    trouble = ram_trouble()
    assert trouble is None if says is None else trouble and says in trouble and "\n" not in trouble
