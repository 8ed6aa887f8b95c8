"""The training of nano: what it learns from is right, and it learns."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch

from clipomaly_core import Clipomaly
from clipomaly_core.dense import dense_features
from clipomaly_core.towers.text import encode_texts
from clipomaly_core.weights import find_checkpoint
from training.nano.augment import nameless, photometric
from training.nano.concepts import load_concepts
from training.nano.data import (
    CLASSES,
    HELD_OUT_SEED,
    NAMELESS,
    UNKNOWN,
    Batches,
    Scenes,
    Truth,
    make_batch,
)
from training.nano.fleet import fleet_looks
from training.nano.losses import dense_loss, masses, naming_loss, prior
from training.nano.model import (
    create_nano,
    plain_weights,
    read_checkpoint,
    window_features,
    write_checkpoint,
)
from training.nano.text import strangers, train_text, vocabulary_words
from training.nano.train import Run, Settings, train

KINDS = 3


def coloured_scene(seed: int) -> Truth:
    """A grey road under a blue sky, and squares whose colour is their kind."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((360, 640), np.uint8)
    labels[:150] = 10
    image = np.where(labels[..., None] == 10, (90, 140, 220), (110, 110, 110)).astype(np.uint8)
    image += rng.integers(0, 20, image.shape, np.uint8)
    instances, kinds = np.zeros((360, 640), np.uint8), {}
    for instance in (1, 2, 3):
        y, x, kind = (
            int(rng.integers(160, 290)),
            200 * (instance - 1) + int(rng.integers(120)),
            int(rng.integers(KINDS)),
        )
        place = slice(y, y + 60), slice(x, x + 60)
        image[place] = ((250, 20, 20), (20, 230, 20), (240, 220, 0))[kind]
        labels[place], instances[place], kinds[instance] = UNKNOWN, instance, kind
    return Truth(image, labels, instances, kinds)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine take many times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def concepts():
    return load_concepts()


def test_window_of_the_whole_frame_is_dense_features():
    torch.manual_seed(0)
    model = create_nano().eval()
    images = torch.randn(2, 3, 352, 640)
    whole = torch.tensor([[0.0, 0, 1, 1]]).expand(2, -1)
    with torch.no_grad():
        ours = window_features(model.visual, images, whole)
        theirs = dense_features(model.visual, images, attention="naclip")
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_a_window_knows_its_place():
    model = create_nano().eval()
    images = torch.randn(1, 3, 176, 320).expand(2, -1, -1, -1)
    with torch.no_grad():
        features = window_features(model.visual, images, torch.tensor([[0, 0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]))
    assert (features[0] - features[1]).abs().max() > 1e-4


def test_checkpoint_comes_back_and_is_small(tmp_path: Path):
    torch.manual_seed(1)
    model = create_nano().eval()
    path = tmp_path / "nano.safetensors"
    write_checkpoint(model.state_dict(), path)
    assert path.stat().st_size <= 15_000_000
    assert not list(tmp_path.glob("*.partial"))
    loaded = read_checkpoint(path)
    tokens = open_clip.get_tokenizer("nano")(["dog"])
    with torch.no_grad():
        same = loaded.encode_text(tokens, normalize=True) @ model.encode_text(tokens, normalize=True).T
    assert same.item() > 0.9999


def test_batch_truth():
    batch = make_batch([coloured_scene(seed) for seed in range(6)], False, np.random.default_rng(0))
    assert batch.windows.shape == (6, 3, 176, 320) and batch.windows.dtype == torch.uint8
    torch.testing.assert_close(batch.shares.sum(-1), torch.ones(6, 11, 20))  # no void in these scenes
    assert len(batch.regions) == len(batch.region_windows) == len(batch.region_kinds) > 0
    # An instance covers no more of a patch than what is planted there.
    planted = batch.shares[batch.region_windows][..., CLASSES]
    assert (batch.regions <= planted + 1e-6).all()
    assert batch.crops.shape[1:] == (3, 96, 96) and len(batch.crops) == len(batch.crop_labels)
    assert set(batch.crop_labels.tolist()) <= {NAMELESS, *range(CLASSES + KINDS)}
    assert (batch.places >= 0).all() and (batch.places[:, :2] + batch.places[:, 2:] <= 1).all()


def test_void_counts_for_nothing():
    scene = coloured_scene(0)
    scene.labels[:] = 255
    batch = make_batch(
        [Truth(scene.image, scene.labels, np.zeros_like(scene.instances), {})], True, _without_nameless()
    )
    assert batch.windows.shape == (1, 3, 448, 800)
    assert batch.shares.sum() == 0


def _without_nameless() -> np.random.Generator:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rng.random()
        if rng.random() >= 0.35:
            return np.random.default_rng(seed)
    raise AssertionError("no seed without a nameless shape")


def test_batches_repeat_with_their_seed():
    first, second = (make_batch([coloured_scene(0)] * 3, False, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(first.windows, second.windows) and torch.equal(first.crops, second.crops)


def test_workers_take_turns_and_draw_scenes_of_their_own(monkeypatch):
    stream = Batches(coloured_scene, 3, 0, size=1, reuse=1, whole_from=4)
    alone = list(islice(stream, 6))
    by_turn = []
    for turn in range(3):
        worker = SimpleNamespace(id=turn, num_workers=3)
        monkeypatch.setattr("training.nano.data.get_worker_info", lambda worker=worker: worker)
        by_turn.append(list(islice(stream, 2)))
    assert torch.equal(by_turn[0][0].windows, alone[0].windows)  # one worker alone draws what none would
    together = [by_turn[number % 3][number // 3] for number in range(6)]
    assert len({batch.windows.numpy().tobytes() for batch in together}) == 6
    for batches in (alone, together):  # all know from which batch on frames are whole
        assert [batch.windows.shape[2] for batch in batches] == [176, 176, 176, 176, 448, 448]


def test_held_out_seeds_cannot_be_trained_on():
    scenes = Scenes(coloured_scene, HELD_OUT_SEED - 1, 1, np.random.default_rng(0))
    scenes.draw()
    with pytest.raises(ValueError, match="held out"):
        scenes.draw()


def test_augmentations_keep_the_shape():
    image = coloured_scene(0).image
    for seed in range(30):
        rng = np.random.default_rng(seed)
        changed = photometric(image, rng)
        assert changed.shape == image.shape and changed.dtype == np.uint8
        pasted, mask = nameless(image, rng)
        outside = ~np.pad(mask, 8, mode="edge")[8:-8, 8:-8]
        outside &= np.array(np.abs(pasted.astype(int) - image).sum(-1) == 0) | ~mask
        assert pasted.shape == image.shape and mask.shape == image.shape[:2]
        assert (np.abs(pasted.astype(int) - image).sum(-1)[~mask] > 0).mean() < 0.02  # soft rim only


@pytest.mark.whole
def test_concepts_of_v_and_drawn_kinds_lie_apart(concepts):
    drawn = torch.cat([concepts.known, concepts.kinds])
    cosines = drawn @ drawn.T - torch.eye(len(drawn))
    assert cosines.max() < 0.25  # what kinds of one category share
    assert (concepts.known @ concepts.others.T).abs().max() < 1e-4
    again = load_concepts()
    torch.testing.assert_close(again.others, concepts.others, atol=1e-5, rtol=0)  # sums depend on the threads


def test_held_out_kinds_are_words_only(concepts):
    drawn = {words[0] for words in concepts.kind_words}
    spoken = {word for words in concepts.other_words for word in words}
    for name in ("kangaroo", "suitcase", "wheelchair"):
        assert name not in drawn
        assert name in spoken


def test_strangers_are_words_of_no_concept(concepts):
    words, rows, weights = vocabulary_words(concepts)
    assert len(words) == len(rows) == len(weights)
    assert not set(strangers({word.lower() for word in words})) & {word.lower() for word in words}


def test_losses_fall_where_the_answer_is_right(concepts):
    shares = torch.zeros(1, 1, 2, CLASSES + 1)
    shares[0, 0, 0, 4] = shares[0, 0, 1, CLASSES] = 1
    frequency = prior(shares)
    right = torch.stack([concepts.known[4], concepts.kinds[1]])[None, None]
    wrong = right.flip(2)
    words = len(concepts.kinds) + len(concepts.others)
    assert dense_loss(*masses(right, concepts), shares, words, frequency, 0.0) < 0.2
    assert dense_loss(*masses(wrong, concepts), shares, words, frequency, 0.0) > 5
    label = torch.tensor([CLASSES + 1])
    assert naming_loss(concepts.kinds[1:2], label, concepts) < naming_loss(concepts.kinds[2:3], label, concepts)
    nameless_label = torch.tensor([NAMELESS])
    far = naming_loss(concepts.known[:1], nameless_label, concepts)
    assert far < naming_loss(concepts.kinds[:1], nameless_label, concepts)


@pytest.mark.whole
@pytest.mark.slow
def test_the_text_tower_learns_where_words_lie(concepts):
    before, after = (train_text(0, steps) for steps in (1, 30))
    words = [words[0] for words in concepts.known_words]
    tokens = open_clip.get_tokenizer("nano")(words)
    right = []
    for weights in (before, after):
        model = create_nano().eval()
        model.load_state_dict(weights, strict=False)
        with torch.no_grad():
            right.append((encode_texts(model, tokens) * concepts.known).sum(-1).mean().item())
    assert right[1] > right[0] + 0.2


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A checkpoint with random weights."""
    torch.manual_seed(3)
    write_checkpoint(create_nano().state_dict(), tmp_path / "start.safetensors")
    return tmp_path / "start.safetensors"


@pytest.mark.slow
def test_training_learns_and_resumes(tmp_path: Path, start: Path):
    # From a checkpoint, so that what is told does not change on the way: see ``dense_loss``.
    run = train(Settings(seed=0, steps=28, out=tmp_path, start=start), coloured_scene)
    crop, dense = ([getattr(entry, name) for entry in run.log] for name in ("crop", "dense"))
    assert len(crop) == 28 and np.mean(crop[-4:]) < 0.75 * np.mean(crop[:4])
    assert np.mean(dense[-4:]) < np.mean(dense[:4])
    assert {"state.pt", "curves.png"} <= {file.name for file in tmp_path.iterdir()}
    resumed = train(Settings(seed=0, steps=29, out=tmp_path, start=start), coloured_scene)
    assert resumed.step == len(resumed.log) == 29
    assert [entry.dense for entry in resumed.log[:28]] == dense


@pytest.mark.whole
def test_training_goes_on_from_a_checkpoint(tmp_path: Path, start: Path):
    run = Run(Settings(seed=0, steps=1, out=tmp_path, start=start))
    first = read_checkpoint(start).visual.state_dict()
    for name, value in plain_weights(run.visual).items():
        torch.testing.assert_close(value, first[name], msg=name)


def test_looks_of_a_road_are_pure_and_keep_to_their_kinds():
    looks = fleet_looks(["dog", "sofa"])
    first = [looks(seed) for seed in (16, 17, 40)]
    again = fleet_looks(["dog", "sofa"])(17)
    assert np.array_equal(first[1].image, again.image) and np.array_equal(first[1].instances, again.instances)
    assert not np.array_equal(first[0].image, first[1].image)
    for truth in first:
        assert np.array_equal(truth.labels == UNKNOWN, truth.instances > 0)
        assert set(np.unique(truth.instances)) - {0} == set(truth.kinds) and set(truth.kinds.values()) <= {0, 1}


def test_names_near_a_kind_leave_it_a_margin(concepts):
    kinds = dict(zip([words[0] for words in concepts.kind_words], concepts.kinds, strict=True))
    near = dict(zip([words[0] for words in concepts.near_words], concepts.near, strict=True))
    assert abs(float(near["puppy"] @ kinds["dog"]) - 0.7) < 1e-4
    taken = [word for words in (*concepts.kind_words, *concepts.other_words, *concepts.near_words) for word in words]
    assert taken.count("puppy") == 1


@pytest.mark.slow
def test_one_command_makes_a_checkpoint_that_scans_take(tmp_path: Path):
    command = [sys.executable, "-m", "training.nano", "--seed", "5", "--steps", "1", "--text-steps", "1"]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, timeout=300)
    model = Clipomaly.load("nano", weights=str(tmp_path / "nano.safetensors"), device="cpu")
    [result] = model([np.zeros((90, 160, 3), np.uint8)])
    assert np.isfinite(result.anomaly_score).all()
    assert model.weights_sha256 != find_checkpoint("nano").sha256
