"""Fine-tuning: it learns, what it writes loads again, it goes on where it was cut off, and says what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from clipomaly_core.finetune import balanced_weights, dense_loss
from clipomaly_core.weights import find_checkpoint
from tasks.errors import UsageError, UserError
from tasks.evaluation.evaluate import EvaluationSettings, evaluate
from tasks.finetune import REPORT, STATE, WEIGHTS, Epoch, FinetuneSettings, finetune
from tasks.model_settings import ModelSettings

COLOURS = ((90, 140, 220), (110, 110, 110), (200, 40, 40))  # of sky, road and car
SHORT = (("logit_scale", 20.0), ("score", "entropy"), ("short_side", 64))


def make_data(root: Path, frames: int = 4) -> Path:
    """Skies over roads with a car, told by colour alone; a stripe is void."""
    rng = np.random.default_rng(0)
    for split, count in (("train", frames), ("val", 2)):
        for folder in (root / split, root / f"{split}annot"):
            folder.mkdir(parents=True)
        for index in range(count):
            label = np.where(np.arange(64)[:, None] < rng.integers(16, 40), 0, 1).repeat(128, 1).astype(np.uint8)
            left = int(rng.integers(0, 88))
            label[40:60, left : left + 40] = 2
            image = np.array(COLOURS, np.uint8)[label] + rng.integers(0, 20, (64, 128, 3), np.uint8)
            label[:, 60:64] = 255
            Image.fromarray(image).save(root / split / f"{index}.png")
            Image.fromarray(label).save(root / f"{split}annot" / f"{index}.png")
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    return root


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("words") / "words.yaml"
    path.write_text("known: [sky, road, car]\ndictionary: {cargo: [mattress]}\n")  # few words to embed
    return str(path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    find_checkpoint()  # makes open_clip know nano
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(open_clip.create_model("nano", load_weights=False).state_dict(), path)
    return str(path)


@pytest.fixture
def settings(tmp_path: Path, weights: str, words: str) -> FinetuneSettings:
    return FinetuneSettings(
        make_data(tmp_path / "data"),
        "camvid-like",
        tmp_path / "out",
        ModelSettings("nano", weights, words, "cpu", SHORT),
        epochs=4,
        batch=2,
        learning_rate=3e-3,
        blocks=5,
    )


def run(settings: FinetuneSettings) -> list[Epoch]:
    epochs: list[Epoch] = []
    finetune(settings, lambda done, total, loss: None, epochs.append)
    return epochs


@pytest.mark.whole
def test_it_learns_and_its_weights_load(settings: FinetuneSettings) -> None:
    epochs = run(replace(settings, epochs=8))
    assert [epoch.epoch for epoch in epochs] == list(range(9))
    assert epochs[0].loss is None and epochs[-1].loss and epochs[1].loss and epochs[-1].loss < 0.8 * epochs[1].loss
    assert epochs[-1].miou > epochs[0].miou + 0.1
    # "evaluate" finds what was reported, in the closed set.
    judged = evaluate(
        EvaluationSettings(
            settings.data,
            "camvid-like",
            settings.out.parent / "judged",
            replace(settings.model, weights=str(settings.out / WEIGHTS), method=(*SHORT, ("threshold", 1.0))),
        )
    )
    assert judged.known and judged.known.miou == pytest.approx(epochs[-1].miou, abs=1e-6)
    report = json.loads((settings.out / REPORT).read_text())
    assert report["epochs"][-1]["miou"] == epochs[-1].miou
    assert report["train_frames"] == 4 and report["held_out_frames"] == 2


def test_only_attention_and_position_change(settings: FinetuneSettings) -> None:
    run(replace(settings, epochs=1, blocks=2))
    assert settings.model.weights
    before, after = load_file(settings.model.weights), load_file(settings.out / WEIGHTS)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parts = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    attention = {f"visual.transformer.resblocks.{number}.attn.{part}" for number in (3, 4) for part in parts}
    assert changed == attention | {"visual.positional_embedding"}


@pytest.mark.whole
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
    settings: FinetuneSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, epochs=2)
    whole = run(replace(settings, out=settings.out.parent / "whole"))

    class Cut(Exception):
        pass

    def cut(done: int, total: int, loss: float) -> None:
        if done == 3 and total == 4:
            raise Cut

    monkeypatch.setattr("tasks.finetune._SAVE_SECONDS", 0.0)  # keep the state after every step
    told: list[Epoch] = []
    with pytest.raises(Cut):
        finetune(settings, cut, told.append)
    assert (settings.out / STATE).exists() and len(told) == 2
    resumed: list[int] = []
    epochs: list[Epoch] = []
    finetune(settings, lambda done, total, loss: resumed.append(done), epochs.append)
    assert resumed[0] in (3, 4)
    assert epochs == whole
    names = (settings.out / WEIGHTS, settings.out.parent / "whole" / WEIGHTS)
    one, other = map(load_file, names)
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)
    # A run that is done says so again without training.
    finetune(settings, lambda done, total, loss: pytest.fail("it trained again"), lambda epoch: None)


@pytest.mark.whole
def test_other_settings_do_not_go_on_with_a_run(settings: FinetuneSettings) -> None:
    run(replace(settings, epochs=1))
    with pytest.raises(UsageError, match="epochs"):
        run(replace(settings, epochs=2))
    (settings.out / STATE).write_bytes(b"cut short")
    with pytest.raises(UsageError, match="no state"):
        run(replace(settings, epochs=1))


def test_bad_input_is_told_and_nothing_is_written(settings: FinetuneSettings, tmp_path: Path) -> None:
    others = tmp_path / "others.yaml"
    others.write_text("known: [cow, hen]\n")
    (tmp_path / "empty").mkdir()
    bad: list[tuple[FinetuneSettings, str]] = [
        (replace(settings, format="smiyc"), "cityscapes or camvid-like"),
        (replace(settings, format="cityscapes"), "looks like camvid-like"),
        (replace(settings, data=tmp_path / "empty"), "holds no frames"),
        (replace(settings, data=tmp_path / "none"), "no such folder"),
        (replace(settings, blocks=6), "has 5 blocks"),
        (replace(settings, learning_rate=0.0), "learning-rate"),
        (replace(settings, model=replace(settings.model, vocabulary=str(others))), "covers no class"),
        (replace(settings, model=replace(settings.model, weights=str(others))), "does not hold weights"),
    ]
    for wrong, says in bad:
        with pytest.raises(UsageError, match=says):
            run(wrong)
    label = settings.data / "trainannot" / "0.png"
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(label)
    with pytest.raises(UsageError, match="the label map is 3x3"):
        run(settings)
    label.unlink()
    with pytest.raises(UsageError, match="has no label map"):
        run(settings)
    assert not settings.out.exists()
    settings.out.write_text("in the way")
    with pytest.raises(UserError, match="is a file"):
        run(settings)


def test_frames_of_several_sizes_make_one_batch(settings: FinetuneSettings) -> None:
    for folder in ("train", "trainannot"):
        path = settings.data / folder / "0.png"
        Image.open(path).resize((96, 64), Image.Resampling.NEAREST).save(path)
    epochs = run(replace(settings, epochs=1, batch=4))
    assert epochs[1].loss is not None and np.isfinite(epochs[1].loss)


def test_the_loss_is_weighted_and_void_counts_for_nothing() -> None:
    cosines = torch.tensor([0.9, 0.1]).reshape(1, 2, 1, 1).repeat(1, 1, 1, 3)
    weights = torch.tensor([1.0, 3.0])
    right, wrong = (-torch.log_softmax(10 * torch.tensor([0.9, 0.1]), 0)[c] for c in (0, 1))
    loss = dense_loss(cosines, torch.tensor([[[0, 1, 255]]], dtype=torch.uint8), weights, 10.0)
    torch.testing.assert_close(loss, (right + 3 * wrong) / 4)
    assert dense_loss(cosines, torch.full((1, 1, 3), 255, dtype=torch.uint8), weights, 10.0) == 0


def test_rare_classes_count_more_and_the_mean_pixel_counts_one() -> None:
    counts = np.array([9_900, 100, 0])
    weights = balanced_weights(counts)
    assert weights[1] / weights[0] == pytest.approx(np.sqrt(99), rel=1e-5)
    assert (weights @ counts) / counts.sum() == pytest.approx(1, rel=1e-5)
    assert weights[2] == 0
