"""Judging score maps and a model: official values, what is written, and what goes wrong."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from clipomaly_core import Clipomaly, FrameResult, Instance, NameScore, Vocabulary
from clipomaly_core.metrics import pixel_metrics
from clipomaly_core.weights import find_checkpoint
from tasks.errors import UsageError, UserError
from tasks.evaluation.calibration import calibrate, config_text
from tasks.evaluation.data import read_dataset
from tasks.evaluation.evaluate import (
    CONFIG,
    CURVE_PR,
    CURVE_ROC,
    FRAMES,
    METRICS,
    OUTPUTS,
    EvaluationSettings,
    evaluate,
)
from tasks.evaluation.lexicon import AcceptedNames, Lexicon, Match, read_accepted_names
from tasks.evaluation.open_world import OpenWorld
from tasks.footage.images import read_image
from tasks.model_settings import ModelSettings
from tests.tasks.evaluation.test_evaluation_data import SIZE, label_map, make_streethazards, write_image, write_map

NAMES = Path(__file__).parents[2] / "data" / "roadanomaly_open_names.yaml"


def make_dataset(root: Path, labels: list[npt.NDArray[np.uint8]]) -> Path:
    """A dataset of the format smiyc with a frame for each label map."""
    for index, label in enumerate(labels):
        write_image(root / "images" / f"{index}.png", label.shape)
        write_map(root / "labels_masks" / f"{index}_labels_semantic.png", label)
    return root


def make_scores(folder: Path, scores: list[npt.NDArray[Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    for index, score in enumerate(scores):
        np.save(folder / f"{index}.npy", score)
    return folder


def by_maps(
    tmp_path: Path, labels: list[npt.NDArray[np.uint8]], scores: list[npt.NDArray[Any]], **keywords: Any
) -> EvaluationSettings:
    data = make_dataset(tmp_path / "data", labels)
    return EvaluationSettings(
        data, "smiyc", tmp_path / "out", scores=make_scores(tmp_path / "scores", scores), **keywords
    )


def random_case(seed: int = 0) -> tuple[list[npt.NDArray[np.uint8]], list[npt.NDArray[np.float32]]]:
    rng = np.random.default_rng(seed)
    labels = [rng.choice(np.array([0, 1, 255], np.uint8), (40, 60), p=[0.7, 0.25, 0.05]) for _ in range(3)]
    scores = [(rng.random(label.shape) * 0.7 + 0.3 * (label == 1)).astype(np.float32) for label in labels]
    return labels, scores


# Score maps


def test_the_official_values_are_met(shared_data: Path, tmp_path: Path) -> None:
    official = json.loads((shared_data / "scores" / "official.json").read_text())
    evaluation = evaluate(
        EvaluationSettings(
            shared_data / "roadanomaly-open",
            "roadanomaly",
            tmp_path / "out",
            scores=shared_data / "scores" / "espnetv2-entropy",
            limit=official["n"],
        )
    )
    assert evaluation.pixels and evaluation.segments and evaluation.segments.anomaly
    for name in ("auprc", "fpr95"):
        assert evaluation.pixels.exact[name] == pytest.approx(official["exact"][name], abs=1e-3)
    harness, pixels, segments = official["harness"], dict(evaluation.pixels.smiyc), dict(evaluation.segments.anomaly)
    for name in ("auprc", "fpr95", "best_f1", "best_f1_threshold"):
        assert pixels[name] == pytest.approx(harness[name], abs=1e-3)
    for name in ("siou_gt", "ppv", "f1_mean"):
        assert segments[name] == pytest.approx(harness[name], abs=2e-3)
    written = json.loads((tmp_path / "out" / METRICS).read_text())
    assert written["pixels"]["smiyc"] == evaluation.pixels.smiyc
    assert written["dataset"]["frames"] == len(written["frames"]) == 12


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    labels, scores = random_case()
    done: list[tuple[int, int | None]] = []
    evaluation = evaluate(by_maps(tmp_path, labels, scores), lambda count, total: done.append((count, total)))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {METRICS, CURVE_PR, CURVE_ROC, FRAMES}
    for name in (CURVE_PR, CURVE_ROC, FRAMES):
        image = cv2.imread(str(tmp_path / "out" / name))
        assert image is not None and image.std() > 5  # something is drawn
    assert evaluation.pixels and evaluation.pixels.exact == pixel_metrics(scores, labels)
    assert evaluation.frames[1].auprc == pixel_metrics(scores[1:2], labels[1:2])["auprc"]
    assert evaluation.dataset.void_pixels == sum(np.count_nonzero(label == 255) for label in labels)
    assert evaluation.model is None and evaluation.naming is None and evaluation.speed is None
    # At the threshold of the best F1 the two-class label map has IoU F1 / (2 - F1).
    f1 = evaluation.pixels.exact["best_f1"]
    assert evaluation.unknown_at_best_f1
    assert evaluation.unknown_at_best_f1["anomaly_iou"] == pytest.approx(f1 / (2 - f1))
    # No component of 100 pixels, but some of 10 for the obstacle track, in noise of 40 x 60.
    assert evaluation.segments and evaluation.segments.obstacle


def test_perfect_maps_and_no_large_component(tmp_path: Path) -> None:
    label = label_map(0, size=(40, 60))
    label[5:9, 5:9] = 1
    evaluation = evaluate(by_maps(tmp_path, [label], [label.astype(np.float32)]))
    assert evaluation.pixels
    assert (evaluation.pixels.exact["auprc"], evaluation.pixels.exact["fpr95"]) == (1, 0)
    assert evaluation.segments and evaluation.segments.anomaly is None
    assert evaluation.segments.obstacle


def test_a_second_report_replaces_the_first_and_leaves_other_files(tmp_path: Path) -> None:
    labels, scores = random_case()
    settings = by_maps(tmp_path, labels, scores)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / CONFIG).write_text("of an earlier calibration")
    evaluate(settings)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        METRICS, CURVE_PR, CURVE_ROC, FRAMES, "notes.txt",
    }  # fmt: skip


# Bad input: one line, and nothing half written


def refused(settings: EvaluationSettings) -> str:
    beside = sorted(settings.out.parent.iterdir())
    with pytest.raises(UsageError) as error:
        evaluate(settings)
    assert sorted(settings.out.parent.iterdir()) == beside
    assert "\n" not in str(error.value)
    return str(error.value)


def spoiled(value: float) -> list[npt.NDArray[np.float32]]:
    _, scores = random_case()
    scores[1][3, 4] = value
    return scores


@pytest.mark.parametrize(
    ("scores", "complaint"),
    [
        (spoiled(np.nan), "1: the scores hold NaN"),
        (spoiled(np.inf), "1: the scores hold NaN or infinity"),
        ([np.full((40, 60), 0.25, np.float32)] * 3, "Every score is 0.25"),
        ([np.zeros((40, 61), np.float32)] * 3, "0: the score map is 61x40 and the label map 60x40"),
    ],
)
def test_bad_score_maps(tmp_path: Path, scores: list[npt.NDArray[np.float32]], complaint: str) -> None:
    assert complaint in refused(by_maps(tmp_path, random_case()[0], scores))


def test_truth_that_allows_no_judgement(tmp_path: Path) -> None:
    scores = [np.random.default_rng(0).random(SIZE).astype(np.float32)]
    assert "No anomalous pixel" in refused(by_maps(tmp_path, [label_map(0, 255)], scores))
    assert "No normal pixel" in refused(by_maps(tmp_path, [label_map(1, 255)], scores))


def test_settings_that_contradict_each_other(tmp_path: Path) -> None:
    labels, scores = random_case()
    assert "--names needs a model" in refused(by_maps(tmp_path, labels, scores, names=NAMES))
    assert "--limit 0" in refused(by_maps(tmp_path, labels, scores, limit=0))
    assert "--calibrate 1" in refused(by_maps(tmp_path, labels, scores, calibrate=1.0))
    footage = EvaluationSettings(tmp_path, "footage", tmp_path / "out")
    assert "goes with --calibrate" in refused(footage)


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    labels, scores = random_case()
    assert "is a file" in refused(by_maps(tmp_path, labels, scores))
    assert (tmp_path / "out").read_text() == "mine"


# Calibration


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.013, 1e-5])
@pytest.mark.parametrize("levels", [0, 20])
def test_the_threshold_is_the_least_that_keeps_the_rate(rate: float, levels: int) -> None:
    rng = np.random.default_rng(7)
    parts = [rng.random(count).astype(np.float32) for count in (1000, 1, 2500)]
    if levels:
        parts = [np.round(part * levels) / np.float32(levels) for part in parts]
    pooled = np.concatenate(parts)
    found = calibrate(parts, pooled.size, 3, rate)
    assert np.mean(pooled > found.threshold) == pytest.approx(found.reached)
    assert found.reached <= rate
    lower = pooled[pooled < found.threshold].max()
    assert np.mean(pooled > lower) > rate
    assert (found.pixels, found.frames, found.wanted) == (3501, 3, rate)


def test_scores_that_no_option_can_hold() -> None:
    with pytest.raises(UsageError, match="scale the scores"):
        calibrate([np.arange(100, dtype=np.float32)], 100, 1, 0.1)
    with pytest.raises(UsageError, match="there are none"):
        calibrate([], 0, 0, 0.1)


def test_only_frames_without_anomalies_calibrate(tmp_path: Path) -> None:
    labels, scores = random_case()
    labels[1][labels[1] == 1] = 0
    evaluation = evaluate(by_maps(tmp_path, labels, scores, calibrate=0.05))
    clean = scores[1][labels[1] == 0]
    assert evaluation.calibration and evaluation.pixels
    assert evaluation.calibration.frames == 1
    assert evaluation.calibration.pixels == clean.size
    assert np.mean(clean > evaluation.calibration.threshold) == pytest.approx(0.05, abs=1 / clean.size)
    text = (tmp_path / "out" / CONFIG).read_text()
    assert f"threshold = {evaluation.calibration.threshold}" in text
    assert f"{clean.size} pixels" in text


def test_calibration_needs_frames_without_anomalies(tmp_path: Path) -> None:
    assert "needs frames without anomalies" in refused(by_maps(tmp_path, *random_case(), calibrate=0.05))


def test_the_config_is_toml_with_every_kind_of_value() -> None:
    import tomllib

    found = calibrate([np.linspace(0, 1, 1001, dtype=np.float32)], 1001, 1, 0.25)
    text = config_text(
        found,
        "two\nlines",
        {"model": 'a"b\\c', "fps": 2.0, "weights": None, "workers": 3},
        {"score": "msp", "threshold": 0.1, "window": None, "preselect": 9},
    )
    assert tomllib.loads(text) == {
        "model": 'a"b\\c',
        "fps": 2.0,
        "workers": 3,
        "method": {"score": "msp", "threshold": found.threshold, "preselect": 9},
    }


# Names


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon((Vocabulary.load(),), read_accepted_names(NAMES).kinds)


@pytest.mark.parametrize(
    ("name", "accepted", "match"),
    [
        ("cow", ["cow"], Match.EXACT),
        ("Cows", ["cow"], Match.EXACT),
        ("hog", ["pig"], Match.SYNONYM),
        ("calf", ["cow"], Match.HYPONYM),
        ("mountain goat", ["goat"], Match.HYPONYM),
        ("teddy bear", ["bear"], None),
        ("polar bear", ["bear"], Match.HYPONYM),
        ("cow", ["calf"], None),
        ("horse", ["zebra"], None),
        ("horse", ["zebra", "horse"], Match.EXACT),
        ("scarecrow", ["crow"], None),
    ],
)
def test_matches(lexicon: Lexicon, name: str, accepted: list[str], match: Match | None) -> None:
    assert lexicon.match(name, accepted) is match


def test_every_open_photo_has_words_and_all_are_in_the_vocabulary(shared_data: Path, lexicon: Lexicon) -> None:
    accepted = read_accepted_names(NAMES)
    frames = read_dataset(shared_data / "roadanomaly-open", "roadanomaly").frames
    assert {frame.name for frame in frames} == set(accepted.frames)
    chief = {words[0] for words in accepted.frames.values()}
    assert not {word for word in chief if lexicon.category(word) == "other"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("frames: [", "not valid YAML"),
        ("- a", "give 'frames'"),
        ("frames: {}", "give 'frames'"),
        ("frames: {a: [cow]}\nextra: 1", "nothing else"),
        ("frames: {a: cow}", "a list of words"),
        ("frames: {a: []}", "a list of words"),
        ("frames: {a: ['']}", "a list of words"),
        ("frames: {a: [no]}", "a list of words"),
        ("frames: {a: [cow]}\nkinds: [calf]", "names with a list"),
    ],
)
def test_bad_files_of_words(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "names.yaml").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        read_accepted_names(tmp_path / "names.yaml")


def instance(mask: npt.NDArray[np.bool_], name: str, *names: str) -> Instance:
    ranked = tuple(NameScore(word, 0.5 / (place + 1)) for place, word in enumerate(names))
    return Instance(
        name, 0.5, ranked, "dictionary", mask, (0, 0, 1, 1), int(mask.sum()), 0.9, 0.9, np.zeros(4, np.float32)
    )


def test_names_are_judged_where_instances_overlap_the_truth(tmp_path: Path) -> None:
    label = label_map(0, size=(10, 10))
    label[:, :4] = 1
    label[:, 4] = 255
    dataset = read_dataset(make_dataset(tmp_path, [label, label_map(0, 1, size=(10, 10))]), "smiyc")
    vocabulary = Vocabulary.load()
    accepted = AcceptedNames({"0": ("cow",), "1": ("traffic cone",)}, {"cow": ("calf",)})
    world = OpenWorld(vocabulary, dataset, accepted)
    columns = np.broadcast_to(np.arange(10), (10, 10))
    known = len(vocabulary.known)
    result = FrameResult(
        np.zeros((10, 10), np.float32),
        np.where(columns < 6, known, 0).astype(np.int16),
        (*(entry.name for entry in vocabulary.known), "calf"),
        known,
        0.5,
        (
            instance(columns < 4, "calf", "calf", "dog"),
            instance(columns < 2, "dog", "dog", "horse", "cow"),
            instance(columns < 1, "unknown object", "cow", "dog"),
            instance((columns >= 2) & (columns < 6), "bicycle trailer", "ox", "horse"),  # 2 of 3 judged columns
            instance(columns >= 3, "cow", "cow"),  # mostly beside the truth
            instance(columns == 4, "cow", "cow"),  # void only
        ),
    )
    world.add(dataset.frames[0], dataset.anomaly_map(dataset.frames[0]), result)
    naming = world.naming()
    assert naming
    score = naming.overall
    assert (naming.instances, naming.frames_judged, score.judged) == (6, 1, 4)
    assert (score.hit1, score.hit5) == (2 / 4, 3 / 4)
    assert (score.exact, score.synonym, score.hyponym) == (1, 0, 1)
    assert (score.said_unknown, score.said_wrong) == (1, 2)
    assert [entry.category for entry in naming.categories] == ["animals"]
    # Columns 0 to 3 are found, 5 is a false alarm, 4 is void.
    unknown = world.unknown()
    assert unknown["anomaly_iou"] == pytest.approx(4 / 5)
    assert unknown["normal_iou"] == pytest.approx(4 / 5)


def test_known_classes_of_another_list_are_judged_by_what_covers_them(tmp_path: Path) -> None:
    make_streethazards(tmp_path)  # road, unlabeled, anomaly, building
    dataset = read_dataset(tmp_path, "streethazards", limit=1)
    vocabulary = Vocabulary.load()
    world = OpenWorld(vocabulary, dataset, None)
    names = [entry.name for entry in vocabulary.known]
    unknown = len(names)
    # The road is found, the unlabeled is sky to the model, the anomaly is found, half the building is unknown.
    labels = label_map(0, 10, unknown, 2).astype(np.int16)
    labels.flat[3::8] = unknown
    frame = dataset.frames[0]
    result = FrameResult(np.zeros(SIZE, np.float32), labels, (*names, "unknown object"), unknown, 0.5, ())
    world.add(frame, dataset.anomaly_map(frame), result)
    known = world.known()
    iou = {entry.name: entry.iou for entry in known.classes}
    assert iou["road"] == 1
    assert iou["building"] == pytest.approx(0.5)
    assert "sky" not in iou and iou["person"] is None
    assert known.miou == pytest.approx(0.75)
    # Lane markings are a kind of road to the built-in vocabulary; "other" is no class.
    assert known.not_covered == ()


# A model


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    """A network of random weights and a small vocabulary: what it finds means nothing, but it runs."""
    folder = tmp_path_factory.mktemp("model")
    patch = pytest.MonkeyPatch()
    patch.setenv("CLIPOMALY_CACHE", str(folder / "cache"))
    torch.manual_seed(0)
    (folder / "untrained").touch()
    find_checkpoint("nano", str(folder / "untrained"))  # makes the architecture known to open_clip
    network = open_clip.create_model("nano", load_weights=False)
    floats = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    save_file({name: value.contiguous() for name, value in floats.items()}, folder / "weights.safetensors")
    (folder / "vocabulary.yaml").write_text(
        "known: [road, sky, car, tree]\ndictionary: {animals: [cow, horse], things: [tire, ladder]}\n"
    )
    method = (("min_area", 0.001), ("short_side", 64), ("threshold", 0.3))
    return ModelSettings("nano", str(folder / "weights.safetensors"), str(folder / "vocabulary.yaml"), "cpu", method)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    labels = [label_map(0, size=(64, 96)) for _ in range(5)]
    for index, label in enumerate(labels[:4]):
        label[10 + index : 40, 20:50] = 1
    root = make_dataset(tmp_path / "data", labels)
    for path in (root / "images").iterdir():
        cv2.imwrite(str(path), rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))
    return root


@pytest.mark.whole
def test_a_model_is_judged_as_its_maps_are(settings: ModelSettings, photos: Path, tmp_path: Path) -> None:
    words = "".join(f"  '{index}': [cow]\n" for index in range(5))
    (tmp_path / "names.yaml").write_text(f"frames:\n{words}")
    evaluation = evaluate(
        EvaluationSettings(photos, "smiyc", tmp_path / "out", settings, names=tmp_path / "names.yaml")
    )
    assert evaluation.model and evaluation.speed and evaluation.naming and evaluation.unknown
    assert evaluation.model.name == "nano"
    assert dict(evaluation.model.options)["threshold"] == 0.3
    assert evaluation.speed.frames_per_second > 0
    assert evaluation.speed.peak_memory_bytes > 100e6
    assert evaluation.known is None
    from tasks.model import get_model

    model: Clipomaly = get_model(settings)
    images = [read_image(str(photos / "images" / f"{index}.png")) for index in range(5)]
    results = model(images)
    again = evaluate(
        EvaluationSettings(
            photos,
            "smiyc",
            tmp_path / "again",
            scores=make_scores(tmp_path / "maps", [result.anomaly_score for result in results]),
        )
    )
    assert again.pixels and evaluation.pixels
    assert again.pixels.exact == pytest.approx(evaluation.pixels.exact, abs=1e-6)
    assert again.segments == evaluation.segments
    found = sum(len(result.instances) for result in results)
    assert evaluation.naming.instances == found
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(set(OUTPUTS) - {CONFIG})


def test_known_classes_of_a_model_without_anomalies(settings: ModelSettings, tmp_path: Path) -> None:
    name = "frankfurt_000000_000294"
    write_image(tmp_path / "data" / "leftImg8bit" / "val" / "frankfurt" / f"{name}_leftImg8bit.png", (64, 96))
    label = label_map(7, 23, 26, 33, 0, size=(64, 96))  # road, sky, car, bicycle, void
    write_map(tmp_path / "data" / "gtFine" / "val" / "frankfurt" / f"{name}_gtFine_labelIds.png", label)
    evaluation = evaluate(EvaluationSettings(tmp_path / "data", "cityscapes", tmp_path / "out", settings))
    assert evaluation.pixels is None and evaluation.segments is None and evaluation.unknown is None
    assert evaluation.known and evaluation.flagged is not None
    assert [entry.name for entry in evaluation.known.classes] == ["road", "sky", "car"]
    assert {"bicycle", "person"} < set(evaluation.known.not_covered)
    from tasks.model import get_model

    [result] = get_model(settings)([np.full((64, 96, 3), 128, np.uint8)])
    called_unknown = (result.labels >= 4)[label != 0]
    assert evaluation.flagged == pytest.approx(called_unknown.mean())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {METRICS, FRAMES}


def test_calibration_on_footage(settings: ModelSettings, photos: Path, tmp_path: Path) -> None:
    evaluation = evaluate(
        EvaluationSettings(
            photos / "images", "footage", tmp_path / "out", settings, calibrate=0.02, config=(("fps", 3.0),)
        )
    )
    assert evaluation.calibration
    assert evaluation.calibration.pixels == 5 * 64 * 96
    assert evaluation.calibration.reached <= 0.02
    assert {path.name for path in (tmp_path / "out").iterdir()} == {METRICS, CONFIG}
    # The threshold does to the same footage what was asked of it: about the wanted share lies above it.
    calibrated = ModelSettings(
        settings.model,
        settings.weights,
        settings.vocabulary,
        settings.device,
        tuple(sorted({**dict(settings.method), "threshold": evaluation.calibration.threshold}.items())),
    )
    from tasks.model import get_model

    model = get_model(calibrated)
    images = [read_image(str(path)) for path in sorted((photos / "images").iterdir())]
    above = np.mean([np.mean(result.anomaly_score > result.threshold) for result in model(images)])
    assert above == pytest.approx(evaluation.calibration.reached, abs=1e-3)


def test_frames_without_words(settings: ModelSettings, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("frames: {'0': [cow]}")
    asked = EvaluationSettings(photos, "smiyc", tmp_path / "out", settings, names=tmp_path / "names.yaml")
    assert "4 of 5 frames, such as 1" in refused(asked)


def test_weights_of_another_architecture(settings: ModelSettings, photos: Path, tmp_path: Path) -> None:
    save_file({"visual.proj": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    other = ModelSettings("nano", str(tmp_path / "other.safetensors"), settings.vocabulary, "cpu")
    with pytest.raises(UserError, match="does not hold weights of nano") as error:
        evaluate(EvaluationSettings(photos, "smiyc", tmp_path / "out", other))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_vocabulary_that_covers_no_class_of_the_dataset(settings: ModelSettings, tmp_path: Path) -> None:
    make_streethazards(tmp_path / "data")
    (tmp_path / "vocabulary.yaml").write_text("known: [sofa, lamp]\ndictionary: {animals: [cow]}\n")
    other = ModelSettings("nano", settings.weights, str(tmp_path / "vocabulary.yaml"), "cpu", settings.method)
    asked = EvaluationSettings(tmp_path / "data", "streethazards", tmp_path / "out", other)
    assert "covers no class of streethazards" in refused(asked)


@pytest.mark.slow
def test_a_hundred_large_frames_are_judged_in_four_gigabytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels, scores = (tmp_path / name for name in ("images", "labels_masks", "scores"))
    write_image(images / "0.png", (1024, 2048))
    label = label_map(0, size=(1024, 2048))
    label[500:800, 400:900] = 1
    write_map(labels / "0_labels_semantic.png", label)
    scores.mkdir()
    for index in range(4):
        np.save(scores / f"{index}.npy", rng.random(label.shape, np.float32) + label * np.float32(0.3))
    for index in range(1, 100):  # the same files again: what counts is what is read
        (images / f"{index}.png").hardlink_to(images / "0.png")
        (labels / f"{index}_labels_semantic.png").hardlink_to(labels / "0_labels_semantic.png")
        if index >= 4:
            (scores / f"{index}.npy").hardlink_to(scores / f"{index % 4}.npy")
    # A process of its own, because the peak is that of a process's life.
    program = (
        "import resource, sys; from pathlib import Path; from tasks.evaluation.evaluate import *;"
        "root = Path(sys.argv[1]);"
        "found = evaluate(EvaluationSettings(root, 'smiyc', root / 'out', scores=root / 'scores'));"
        "assert found.dataset.frames == 100; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=580
    )
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(run.stdout) * unit < 4 * 2**30, f"{int(run.stdout) * unit / 2**30:.2f} GiB"
    print(f"peak {int(run.stdout) * unit / 2**30:.2f} GiB")
