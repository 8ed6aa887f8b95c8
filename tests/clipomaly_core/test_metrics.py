"""Metrics against the official harness, scikit-learn, the formulas read literally, and their own laws."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from clipomaly_core.errors import UserError
from clipomaly_core.metrics import (
    ConfusionMatrix,
    Mode,
    Track,
    known_class_iou,
    pixel_curve,
    pixel_metrics,
    segment_metrics,
    unknown_iou,
)

Array = npt.NDArray[Any]
relaxed = settings(deadline=None, max_examples=50)
Split = tuple[list[Array], list[Array]]


def reference() -> Any:
    """The metrics of scikit-learn, whose import takes seconds."""
    import sklearn.metrics

    return sklearn.metrics


def random_split(seed: int, frames: int = 3, levels: int = 0, dtype: str = "float64") -> Split:
    """Scores that know something of the labels, with void; ``levels`` > 0 makes ties."""
    rng = np.random.default_rng(seed)
    labels = [rng.choice([0, 1, 255], (40, 60), p=[0.8, 0.15, 0.05]).astype(np.uint8) for _ in range(frames)]
    scores = [rng.random(label.shape) + 0.3 * (label == 1) for label in labels]
    if levels:
        scores = [np.round(score * levels) for score in scores]
    return [score.astype(dtype) for score in scores], labels


def pooled(scores: list[Array], labels: list[Array]) -> tuple[Array, Array]:
    judged = [label != 255 for label in labels]
    return (
        np.concatenate([score[use] for score, use in zip(scores, judged, strict=True)]),
        np.concatenate([label[use] for label, use in zip(labels, judged, strict=True)]),
    )


# The official harness


@pytest.fixture(scope="module")
def official(shared_data: Path) -> tuple[dict[str, dict[str, float]], list[Array], list[Array]]:
    files = sorted((shared_data / "scores" / "espnetv2-entropy").glob("*.png"))
    frames = shared_data / "roadanomaly-open" / "frames"
    raw = [np.asarray(Image.open(file)) for file in files]
    maps = [frames / f"{file.stem}.labels" / "labels_semantic.png" for file in files]
    truth = [np.asarray(Image.open(file)) for file in maps]
    values = json.loads((shared_data / "scores" / "official.json").read_text())
    assert len(files) == values["n"] == 12
    return values, raw, [(label == 2).astype(np.uint8) for label in truth]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_harness_values_are_met(official: Any, dtype: Any) -> None:
    values, raw, labels = official
    scores = [image.astype(dtype) / dtype(65535) for image in raw]
    pixels = pixel_metrics(scores, labels, mode="smiyc")
    segments = segment_metrics(scores, labels, track="anomaly")
    for name, value in {**pixels, **segments}.items():
        assert value == pytest.approx(values["harness"][name], abs=1e-7), name


def test_exact_values_are_met(official: Any) -> None:
    values, raw, labels = official
    exact = pixel_metrics(raw, labels, mode="exact")  # any scale of the scores will do
    assert exact["auprc"] == pytest.approx(values["exact"]["auprc"], abs=1e-9)
    # The reference value stops within a run of equal scores; here those are taken together.
    assert exact["fpr95"] == pytest.approx(values["exact"]["fpr95"], abs=5e-5)


# scikit-learn


@pytest.mark.parametrize("levels", [0, 7, 300])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
def test_exact_agrees_with_scikit_learn(seed: int, dtype: str, levels: int) -> None:
    scores, labels = random_split(seed, levels=levels, dtype=dtype)
    score, label = pooled(scores, labels)
    got = pixel_metrics(scores, labels)
    assert got["auprc"] == pytest.approx(reference().average_precision_score(label, score), abs=1e-9)
    fpr, tpr, _ = reference().roc_curve(label, score, drop_intermediate=False)
    assert got["fpr95"] == pytest.approx(fpr[tpr >= 0.95][0], abs=1e-9)
    precision, recall, thresholds = reference().precision_recall_curve(label, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert got["best_f1"] == pytest.approx(f1.max(), abs=1e-9)
    assert got["best_f1_threshold"] in thresholds[f1[:-1] > f1.max() - 1e-12]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16"])
def test_scores_of_any_real_type(dtype: str) -> None:
    scores, labels = random_split(5, levels=100)
    assert pixel_metrics([score.astype(dtype) for score in scores], labels) == pixel_metrics(scores, labels)


# Laws of the pixel metrics

small_frame = st.tuples(st.integers(2, 6), st.integers(2, 6))


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """One to three small frames of whole-number scores with both kinds of pixel and two values at least."""
    scores, labels = [], []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(small_frame)
        scores.append(draw(hnp.arrays(np.float32, shape, elements=st.integers(0, 9))))
        labels.append(draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 255]))))
    scores[0][0, :2], labels[0][0, :2] = (3, 7), (0, 1)
    return scores, labels


@relaxed
@given(splits(), st.lists(st.floats(0.5, 1e3), min_size=10, max_size=10))
def test_strictly_increasing_transforms_change_nothing(split: Split, steps: list[float]) -> None:
    scores, labels = split
    table = np.cumsum(steps) - 1e3
    before = pixel_metrics(scores, labels)
    after = pixel_metrics([table[score.astype(int)] for score in scores], labels)
    for name in ("auprc", "fpr95", "best_f1"):
        assert after[name] == before[name]
    assert after["best_f1_threshold"] == table[int(before["best_f1_threshold"])]


@relaxed
@given(splits(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_changes_no_binned_metric(split: Split, factor: float) -> None:
    scores, labels = split
    before = pixel_metrics(scores, labels, "smiyc")
    after = pixel_metrics([score * np.float32(factor) for score in scores], labels, "smiyc")
    assert {**before, "best_f1_threshold": before["best_f1_threshold"] * factor} == after


@relaxed
@given(splits())
def test_bins_of_small_frames_are_exact(split: Split) -> None:
    """With a quantile for every pixel nothing is lost by binning."""
    assert pixel_metrics(*split, "smiyc") == pytest.approx(pixel_metrics(*split, "exact"), abs=1e-12)


@relaxed
@given(splits(), st.sampled_from(["exact", "smiyc"]))
def test_bounds_and_curve(split: Split, mode: Mode) -> None:
    curve = pixel_curve(*split, mode)
    got = curve.metrics
    assert 0 < got["auprc"] <= 1 and 0 <= got["fpr95"] <= 1 and 0 < got["best_f1"] <= 1
    assert (np.diff(curve.thresholds) < 0).all()
    assert (np.diff(curve.recall) >= 0).all() and (np.diff(curve.false_positive_rate) >= 0).all()
    assert curve.recall[-1] == 1 and (curve.precision >= 0).all() and (curve.precision <= 1).all()
    share = curve.positives / (curve.positives + curve.negatives)
    assert got["best_f1"] >= 2 * share / (1 + share) - 1e-12  # as good as calling everything anomalous


@relaxed
@given(splits(), st.sampled_from(["exact", "smiyc"]))
def test_perfect_map(split: Split, mode: Mode) -> None:
    labels = split[1]
    got = pixel_metrics([np.where(label == 255, 9, label).astype(np.float32) for label in labels], labels, mode)
    assert got == {"auprc": 1.0, "fpr95": 0.0, "best_f1": 1.0, "best_f1_threshold": 1.0}


@relaxed
@given(splits())
def test_inverted_map_has_every_false_alarm(split: Split) -> None:
    labels = split[1]
    assert pixel_metrics([-(label == 1).astype(np.float32) for label in labels], labels)["fpr95"] == 1


@relaxed
@given(splits(), st.integers(0, 9), st.sampled_from(["exact", "smiyc"]))
def test_void_pixels_count_nowhere(split: Split, filler: int, mode: Mode) -> None:
    scores, labels = split
    other = [np.where(label == 255, filler, score) for score, label in zip(scores, labels, strict=True)]
    unreadable = [np.where(label == 255, np.nan, score) for score, label in zip(scores, labels, strict=True)]
    assert pixel_metrics(scores, labels, mode) == pixel_metrics(other, labels, mode)
    assert pixel_metrics(scores, labels, mode) == pixel_metrics(unreadable, labels, mode)


@relaxed
@given(splits())
def test_exact_does_not_depend_on_frames(split: Split) -> None:
    scores, labels = split
    joined = [np.concatenate([x.ravel() for x in part])[None] for part in (scores, labels)]
    assert pixel_metrics(*split) == pixel_metrics([joined[0]], [joined[1]])


def test_frames_of_one_kind_and_void_frames_are_binned() -> None:
    scores, labels = random_split(1, frames=4, levels=50)
    labels[1][labels[1] == 1] = 0
    labels[2][labels[2] == 0] = 1
    labels[3][:] = 255
    binned, exact = (pixel_metrics(scores, labels, mode) for mode in ("smiyc", "exact"))
    assert binned == pytest.approx(exact, abs=5e-3)
    assert binned == pixel_metrics(scores[:3], labels[:3], "smiyc")


@pytest.mark.parametrize("block", [1, 7, 100, 1 << 20])
def test_curve_for_plots(block: int) -> None:
    scores, labels = random_split(2, levels=1000)
    whole = pixel_curve(scores, labels, points=50)
    curve = pixel_curve(scores, labels, points=50, block=block)
    assert curve.metrics == pytest.approx(whole.metrics, abs=1e-12)
    np.testing.assert_array_equal(curve.thresholds, whole.thresholds)

    score, label = pooled(scores, labels)
    assert 50 <= len(curve.thresholds) <= 100 and curve.recall[-1] == 1
    assert curve.thresholds[0] == score[label == 1].max()
    assert np.diff(curve.recall).max() < 0.05  # even enough to draw a line through
    assert (curve.positives, curve.negatives) == ((label == 1).sum(), (label == 0).sum())
    for index in range(0, len(curve.thresholds), 7):
        called = score >= curve.thresholds[index]
        assert curve.recall[index] == called[label == 1].mean()
        assert curve.false_positive_rate[index] == called[label == 0].mean()
        assert curve.precision[index] == pytest.approx((label == 1)[called].mean())


# Memory and laziness


class Lazy:
    """Frames made when asked for, as many times as asked for."""

    def __init__(self, make: Callable[[int], Array], frames: int) -> None:
        self.make, self.frames = make, frames

    def __iter__(self) -> Iterator[Array]:
        return (self.make(index) for index in range(self.frames))


@pytest.mark.parametrize(("mode", "bytes_a_pixel"), [("exact", 6), ("smiyc", 3)])
def test_memory_of_a_lazy_split(mode: Mode, bytes_a_pixel: float) -> None:
    block = 1 << 15  # as small for this split as the default is for a real one
    frames, shape = 40, (256, 512)

    def label(index: int) -> Array:
        return (np.random.default_rng(index).random(shape) < 0.1).astype(np.uint8)

    def score(index: int) -> Array:
        noise = np.random.default_rng(1000 + index).random(shape, np.float32)
        return noise + label(index) * np.float32(0.2)

    pixel_metrics(Lazy(score, 1), Lazy(label, 1), mode)  # what is loaded once is not the split's
    tracemalloc.start()
    pixel_curve(Lazy(score, frames), Lazy(label, frames), mode, block=block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < bytes_a_pixel * frames * shape[0] * shape[1]


def test_generators_are_read_once() -> None:
    scores, labels = random_split(3)
    assert pixel_metrics(iter(scores), iter(labels)) == pixel_metrics(scores, labels)
    smooth = [cv2.GaussianBlur(score, (9, 9), 0) for score in scores]
    mended = [np.where(label == 255, 0, label) for label in labels]
    mended[0][:12, :12] = 1
    assert segment_metrics(iter(smooth), iter(mended), threshold=0.5) == segment_metrics(smooth, mended, threshold=0.5)
    with pytest.raises(UserError, match="read only once"):
        segment_metrics(iter(smooth), mended)


# Segments


def literal_segment_metrics(
    scores: list[Array], labels: list[Array], threshold: float, min_predicted: int, min_true: int
) -> dict[str, float]:
    """The protocol as it is written, component by component."""
    eight = np.ones((3, 3))
    sious, ppvs = [], []
    for score, label in zip(scores, labels, strict=True):
        true, trues = ndimage.label(label == 1, eight)
        guess, guesses = ndimage.label((score > threshold) & (label != 255), eight)
        judged = label != 255
        truths = []
        for k in range(1, trues + 1):
            if (true == k).sum() < min_true:
                judged &= true != k
            else:
                truths.append(true == k)
        kept = [guess == k for k in range(1, guesses + 1) if (guess == k).sum() >= min_predicted]
        kept = [mask & judged for mask in kept if (mask & judged).any()]
        any_truth = np.any(truths, axis=0) if truths else np.zeros_like(judged)
        for truth in truths:
            touching = [mask for mask in kept if (mask & truth).any()]
            union = np.any(touching, axis=0) if touching else np.zeros_like(judged)
            adjust = (union & any_truth & ~truth).sum()
            both = (union & truth).sum()
            sious.append(both / (union.sum() + truth.sum() - both - adjust))
        ppvs += [(mask & any_truth).sum() / mask.sum() for mask in kept]
    f1 = []
    for t in np.linspace(0.25, 0.75, 11):
        tp, fn, fp = (np.array(sious) >= t).sum(), (np.array(sious) < t).sum(), (np.array(ppvs) < t).sum()
        f1.append(2 * tp / (2 * tp + fn + fp))
    return {"siou_gt": np.mean(sious), "ppv": np.mean(ppvs) if ppvs else 0.0, "f1_mean": np.mean(f1)}


@pytest.mark.parametrize(("track", "sizes"), [("anomaly", (500, 100)), ("obstacle", (50, 10))])
@pytest.mark.parametrize("seed", range(4))
def test_segments_are_as_the_protocol_says(seed: int, track: Track, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    blur = 12 if track == "anomaly" else 4

    def blobs() -> Array:
        field = ndimage.gaussian_filter(rng.normal(size=(160, 240)), blur)
        return field / field.std()

    truths = [blobs() for _ in range(3)]
    labels = [np.where(blobs() > 1.3, 255, truth > 0.8).astype(np.uint8) for truth in truths]
    scores = [truth + 0.7 * blobs() for truth in truths]
    for threshold in (0.4, 0.9):
        want = literal_segment_metrics(scores, labels, threshold, *sizes)
        assert 0 < want["siou_gt"] < 1 and 0 < want["ppv"] < 1
        assert segment_metrics(scores, labels, track, threshold) == pytest.approx(want, abs=1e-12)


def canvas(*boxes: tuple[int, int, int, int], value: int = 1) -> Array:
    """(100, 100) zeros with boxes of (top, left, bottom, right)."""
    image = np.zeros((100, 100), np.uint8)
    for top, left, bottom, right in boxes:
        image[top:bottom, left:right] = value
    return image


def test_one_prediction_over_two_truths_is_charged_for_neither_other() -> None:
    label = canvas((10, 10, 40, 30), (10, 40, 40, 60))  # two of 600 pixels, 300 between them
    got = segment_metrics([canvas((10, 10, 40, 60))], [label], threshold=0.5)
    assert got["siou_gt"] == pytest.approx(600 / 900)
    assert got["ppv"] == pytest.approx(1200 / 1500)
    assert got["f1_mean"] == pytest.approx(9 / 11)  # both found up to 0.65, and 0.8 is never below


def test_corners_touch() -> None:
    label = canvas((0, 0, 20, 20), (20, 20, 40, 40))
    got = segment_metrics([canvas((0, 0, 20, 20))], [label], "obstacle", threshold=0.5)
    assert got["siou_gt"] == pytest.approx(0.5)  # one truth of 800 pixels, not two of 400


def test_sizes_that_count() -> None:
    label = canvas((10, 10, 40, 40), (60, 60, 69, 71))  # 900 and 99 pixels
    speck, blob = (60, 10, 82, 32), (60, 10, 80, 35)  # 484 and 500 pixels
    with_speck = segment_metrics([canvas((10, 10, 40, 40), speck, (60, 60, 69, 71))], [label], threshold=0.5)
    assert with_speck == {"siou_gt": 1.0, "ppv": 1.0, "f1_mean": 1.0}
    with_blob = segment_metrics([canvas((10, 10, 40, 40), blob)], [label], threshold=0.5)
    assert with_blob == pytest.approx({"siou_gt": 1.0, "ppv": 0.5, "f1_mean": 2 / 3})
    in_small_truth = segment_metrics([canvas((10, 10, 40, 40), (50, 50, 80, 80))], [label], threshold=0.5)
    assert in_small_truth["ppv"] == 0.5  # what is left of it once the small truth is void lies on nothing


def test_perfect_segments_and_threshold_from_the_scores() -> None:
    label = canvas((10, 10, 40, 40), (60, 60, 90, 90))
    label[:5] = 255
    score = cv2.GaussianBlur((label == 1).astype(np.float32), (5, 5), 0) + (label == 1)
    perfect = {"siou_gt": 1.0, "ppv": 1.0, "f1_mean": 1.0}
    assert segment_metrics([score], [label]) == pytest.approx(perfect, abs=0.05)
    assert segment_metrics([score], [label], threshold=1.0) == perfect


@pytest.mark.parametrize("scores", [np.zeros((100, 100)), canvas((0, 0, 5, 5)), canvas((0, 0, 30, 30))])
def test_nothing_predicted(scores: Array) -> None:
    label = canvas((10, 50, 40, 80))
    label[:30, :30] = 255
    got = segment_metrics([scores], [label], threshold=0.5)
    assert got == {"siou_gt": 0.0, "ppv": 0.0, "f1_mean": 0.0}


# Label maps

CLASSES = 5


@relaxed
@given(
    hnp.arrays(np.int16, (7, 9), elements=st.integers(-1, CLASSES + 3)),
    hnp.arrays(np.uint8, (7, 9), elements=st.sampled_from([*range(CLASSES + 1), 255])),
)
def test_iou_agrees_with_scikit_learn(prediction: Array, target: Array) -> None:
    target[0, 0], target[0, 1] = 0, CLASSES
    matrix = ConfusionMatrix(CLASSES)
    matrix.update(prediction[:3], target[:3])
    matrix.update(prediction[3:], target[3:])
    judged = target != 255
    truth = target[judged].astype(int)
    guess = np.where((prediction < 0) | (prediction >= CLASSES), CLASSES, prediction)[judged]
    want = reference().jaccard_score(truth, guess, labels=range(CLASSES + 1), average=None, zero_division=0)
    occurs = np.isin(range(CLASSES + 1), np.concatenate([truth, guess]))
    np.testing.assert_allclose(matrix.iou(), np.where(occurs, want, np.nan))
    known = known_class_iou([prediction[:3], prediction[3:]], [target[:3], target[3:]], CLASSES)
    assert known["miou"] == pytest.approx(want[:-1][occurs[:-1]].mean())
    unknown = matrix.unknown()
    assert unknown["anomaly_iou"] == pytest.approx(want[-1])
    anomaly = (prediction < 0) | (prediction >= CLASSES)
    assert unknown == unknown_iou([anomaly], [np.where(judged, target // CLASSES, 255)])


def test_unknown_iou_by_hand() -> None:
    label = np.array([[1, 1, 1, 0], [0, 0, 0, 255]], np.uint8)
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 1]], bool)
    assert unknown_iou([mask], [label]) == pytest.approx(
        {"anomaly_iou": 2 / 4, "normal_iou": 3 / 5, "two_class_miou": 0.55}
    )
    everything = unknown_iou([np.ones((2, 2), bool)], [np.ones((2, 2), np.uint8)])
    assert everything["anomaly_iou"] == everything["two_class_miou"] == 1 and np.isnan(everything["normal_iou"])


# Bad input

GOOD = np.array([[0.1, 0.9], [0.2, 0.8]])
TRUTH = np.array([[0, 1], [255, 1]], np.uint8)


@pytest.mark.parametrize("mode", ["exact", "smiyc"])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "no frame"),
        ([GOOD], [], "no label map"),
        ([GOOD], [TRUTH, TRUTH], "no prediction"),
        ([GOOD], [TRUTH[:1]], r"Frame 0: .*\(2, 2\).*\(1, 2\)"),
        ([GOOD], [TRUTH * 2], "holds 2"),
        ([GOOD, GOOD * np.array([[1, np.nan]])], [TRUTH, TRUTH], "Frame 1: .*NaN"),
        ([GOOD + np.array([[np.inf, 0]])], [TRUTH], "infinity"),
        ([np.full((2, 2), 0.5)] * 3, [TRUTH] * 3, "is 0.5"),
        ([GOOD], [TRUTH // 2 * 2], "holds 254"),
        ([GOOD], [np.zeros((2, 2), np.uint8)], "No anomalous pixel"),
        ([GOOD], [np.ones((2, 2), np.uint8)], "No normal pixel"),
        ([GOOD], [np.full((2, 2), 255, np.uint8)], "No anomalous pixel"),
        (GOOD, TRUTH, "list of arrays"),
    ],
)
def test_bad_splits_are_named(scores: Any, labels: Any, message: str, mode: Mode) -> None:
    with pytest.raises(UserError, match=message) as raised:
        pixel_metrics(scores, labels, mode)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pixel_metrics([GOOD], [TRUTH], "binned"), "exact, smiyc"),  # type: ignore[arg-type]
        (lambda: segment_metrics([GOOD], [TRUTH], "road"), "anomaly, obstacle"),  # type: ignore[arg-type]
        (lambda: segment_metrics([GOOD], [TRUTH], threshold=float("nan")), "finite"),
        (lambda: segment_metrics([GOOD], [TRUTH], threshold=0.5), "at least 100 pixels"),
        (lambda: segment_metrics([GOOD[0]], [TRUTH[0]], threshold=0.5), "two dimensions"),
        (lambda: segment_metrics([], [], threshold=0.5), "no frame"),
        (lambda: known_class_iou([TRUTH], [np.array([[0, 1], [3, 255]])], 2), "holds 0 to 3; use 0 to 2"),
        (lambda: known_class_iou([TRUTH[:1]], [TRUTH], 2), "resize"),
        (lambda: known_class_iou([TRUTH], [np.full((2, 2), 255)], 2), "No known class"),
        (lambda: unknown_iou([TRUTH], [np.zeros((2, 2), int)]), "No anomalous pixel"),
        (lambda: unknown_iou([], []), "no frame"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


any_float = st.floats(-1e30, 1e30) | st.sampled_from([np.nan, np.inf])


@relaxed
@given(
    hnp.arrays(np.float64, (4, 6), elements=any_float),
    hnp.arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 1, 255])),
)
def test_any_array_gives_metrics_or_a_clear_line(score: Array, label: Array) -> None:
    for mode in ("exact", "smiyc"):
        try:
            got = pixel_metrics([score], [label], mode)
        except UserError as error:
            assert str(error)
        else:
            assert all(isinstance(value, float) and np.isfinite(value) for value in got.values())
