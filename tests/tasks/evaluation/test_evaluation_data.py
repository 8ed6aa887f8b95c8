"""Each dataset layout, made small, and what is wrong with folders and maps that people hand over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.errors import UsageError
from tasks.evaluation.data import read_dataset
from tasks.evaluation.formats import FORMATS
from tasks.evaluation.score_maps import check_score_maps, read_score_map

SIZE = (6, 8)  # height and width


def write_image(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 128, np.uint8)).save(path)


def write_map(path: Path, values: npt.ArrayLike) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values)).save(path)


def label_map(*values: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """The values in turn, over and over."""
    return np.resize(np.array(values, np.uint8), size)


def make_roadanomaly(root: Path) -> None:
    for name in ("b", "a"):
        write_image(root / "frames" / f"{name}.jpg")
        write_map(root / "frames" / f"{name}.labels" / "labels_semantic.png", label_map(0, 1, 2, 255))


def make_smiyc(root: Path) -> None:
    for name, suffix in (("validation0001", "jpg"), ("validation0000", "webp"), ("airplane0000", "jpg")):
        write_image(root / "images" / f"{name}.{suffix}")
        if name.startswith("validation"):
            write_map(root / "labels_masks" / f"{name}_labels_semantic.png", label_map(0, 0, 1, 255))
            write_map(root / "labels_masks" / f"{name}_labels_semantic_color.png", label_map(9))


def make_fishyscapes(root: Path) -> None:
    for number, name in enumerate(("04_Weg_8_000001_000030", "02_Hof_000002_000040")):
        write_image(root / "leftImg8bit" / "test" / name[:6] / f"{name}_leftImg8bit.png")
        write_map(root / "fishyscapes_lostandfound" / f"{number:04}_{name}_labels.png", label_map(0, 0, 1, 255))
    write_image(root / "leftImg8bit" / "test" / "02_Hof" / "02_Hof_000002_000050_leftImg8bit.png")


def make_bdd_anomaly(root: Path) -> None:
    for part, name, values in (
        ("train", "b", (0, 13, 17, 0)),
        ("val", "a", (0, 13, 18, 0)),
        ("val", "none", (0, 1, 15, 255)),
    ):
        write_image(root / "seg" / "images" / part / f"{name}.jpg")
        write_map(root / "seg" / "labels" / part / f"{name}_train_id.png", label_map(*values))


def make_cityscapes(root: Path) -> None:
    for name in ("munster_000001_000019", "frankfurt_000000_000294"):
        city = name.partition("_")[0]
        write_image(root / "leftImg8bit" / "val" / city / f"{name}_leftImg8bit.png")
        write_map(root / "gtFine" / "val" / city / f"{name}_gtFine_labelIds.png", label_map(7, 33, 4, 26))
        write_map(root / "gtFine" / "val" / city / f"{name}_gtFine_color.png", label_map(9))


def make_streethazards(root: Path) -> None:
    for name in ("t6/1", "t5/300"):
        write_image(root / "test" / "images" / "test" / f"{name}.png")
        write_map(root / "test" / "annotations" / "test" / f"{name}.png", label_map(8, 1, 14, 2))


def make_camvid_like(root: Path) -> None:
    for name in ("b", "a"):
        write_image(root / "val" / f"{name}.png")
        write_map(root / "valannot" / f"{name}.png", label_map(3, 8, 11, 0))


MAKERS: dict[str, Callable[[Path], None]] = {
    "roadanomaly": make_roadanomaly,
    "smiyc": make_smiyc,
    "fishyscapes": make_fishyscapes,
    "cityscapes": make_cityscapes,
    "bdd-anomaly": make_bdd_anomaly,
    "streethazards": make_streethazards,
    "camvid-like": make_camvid_like,
}


def test_every_format_is_tried() -> None:
    assert set(MAKERS) == set(FORMATS)


@pytest.mark.parametrize(
    ("format", "names", "anomaly"),
    [
        ("roadanomaly", ["a", "b"], [0, 0, 1, 255]),
        ("smiyc", ["validation0000", "validation0001"], [0, 0, 1, 255]),
        ("fishyscapes", ["02_Hof_000002_000040", "04_Weg_8_000001_000030"], [0, 0, 1, 255]),
        ("cityscapes", ["frankfurt_000000_000294", "munster_000001_000019"], [0, 0, 255, 0]),
        ("streethazards", ["t5/300", "t6/1"], [0, 0, 1, 0]),
        ("camvid-like", ["a", "b"], [0, 0, 255, 0]),
        ("bdd-anomaly", ["a", "b"], [0, 0, 1, 0]),
    ],
)
def test_frames_and_anomalies(tmp_path: Path, format: str, names: list[str], anomaly: list[int]) -> None:
    MAKERS[format](tmp_path)
    dataset = read_dataset(tmp_path, format)
    assert [frame.name for frame in dataset.frames] == names
    for frame in dataset.frames:
        assert (dataset.anomaly_map(frame) == label_map(*anomaly)).all()
    assert dataset.unlabelled == (format == "smiyc")
    assert len(read_dataset(tmp_path, format, limit=1).frames) == 1


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("cityscapes", ["road", "bicycle", None, "car"]),
        # "Unlabeled" is normal but no class; the anomaly is numbered after the classes.
        ("streethazards", ["road", None, "anomaly", "building"]),
        ("camvid-like", ["road", "car", None, "sky"]),
        ("bdd-anomaly", ["road", "car", "anomaly", "road"]),
    ],
)
def test_classes(tmp_path: Path, format: str, words: list[str | None]) -> None:
    MAKERS[format](tmp_path)
    dataset = read_dataset(tmp_path, format)
    names = [entry[0] for entry in dataset.classes] + ["anomaly"]
    expected = [255 if word is None else names.index(word) for word in words]
    assert (dataset.class_map(dataset.frames[0]) == label_map(*expected)).all()


def test_classes_of_ones_own(tmp_path: Path) -> None:
    make_camvid_like(tmp_path)
    (tmp_path / "classes.txt").write_text("sky\nvoid\nroad, tarmac\n")
    for name in ("a", "b"):
        write_map(tmp_path / "valannot" / f"{name}.png", label_map(2, 0, 1, 255))
    dataset = read_dataset(tmp_path, "camvid-like")
    assert dataset.classes == (("sky",), ("road", "tarmac"))
    assert (dataset.class_map(dataset.frames[0]) == label_map(1, 0, 255, 255)).all()


@pytest.mark.parametrize("line", ["", "road,,tarmac", " "])
def test_a_class_without_a_word(tmp_path: Path, line: str) -> None:
    make_camvid_like(tmp_path)
    (tmp_path / "classes.txt").write_text(f"sky\n{line}\nroad\n")
    with pytest.raises(UsageError, match="line 2"):
        read_dataset(tmp_path, "camvid-like")


def test_train_ids_are_preferred_and_read_as_such(tmp_path: Path) -> None:
    make_cityscapes(tmp_path)
    for path in list((tmp_path / "gtFine").rglob("*_labelIds.png")):
        write_map(path.with_name(path.name.replace("labelIds", "labelTrainIds")), label_map(0, 18, 255, 13))
    dataset = read_dataset(tmp_path, "cityscapes")
    assert (dataset.class_map(dataset.frames[0]) == label_map(0, 18, 255, 13)).all()


def test_palette_label_maps_are_read_by_index(tmp_path: Path) -> None:
    make_smiyc(tmp_path)
    path = tmp_path / "labels_masks" / "validation0000_labels_semantic.png"
    image = Image.fromarray(label_map(0, 1))
    image.putpalette([200, 10, 10, 10, 200, 10])
    image.save(path)
    dataset = read_dataset(tmp_path, "smiyc")
    assert (dataset.anomaly_map(dataset.frames[0]) == label_map(0, 1)).all()


def test_repackaged_fishyscapes(tmp_path: Path) -> None:
    write_image(tmp_path / "original" / "0.png")
    write_map(tmp_path / "labels" / "0.png", label_map(0, 1))
    dataset = read_dataset(tmp_path, "fishyscapes")
    assert (dataset.anomaly_map(dataset.frames[0]) == label_map(0, 1)).all()


def test_the_open_photos_are_read(shared_data: Path) -> None:
    for root in (shared_data / "roadanomaly-open", shared_data / "roadanomaly-open" / "frames"):
        dataset = read_dataset(root, "roadanomaly")
        assert len(dataset.frames) == 36
        assert set(np.unique(dataset.anomaly_map(dataset.frames[0]))) == {0, 1}


# Bad input


def message(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(UsageError) as error:
        call(*arguments, **keywords)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("made", sorted(MAKERS))
@pytest.mark.parametrize("asked", sorted(MAKERS))
def test_a_folder_of_another_format_is_recognised(tmp_path: Path, made: str, asked: str) -> None:
    MAKERS[made](tmp_path)
    if made != asked:
        assert f"it looks like {made}" in message(read_dataset, tmp_path, asked)


@pytest.mark.parametrize("format", sorted(MAKERS))
def test_an_empty_folder_holds_no_frames(tmp_path: Path, format: str) -> None:
    assert f"no frames of the format {format}" in message(read_dataset, tmp_path, format)


def test_folders_splits_and_formats_that_are_not_there(tmp_path: Path) -> None:
    assert "no such folder" in message(read_dataset, tmp_path / "absent", "smiyc")
    assert "use one of" in message(read_dataset, tmp_path, "coco")
    make_cityscapes(tmp_path)
    assert "no frames" in message(read_dataset, tmp_path, "cityscapes", split="train")
    make_smiyc(tmp_path)
    assert "has no splits" in message(read_dataset, tmp_path, "smiyc", split="val")


def test_a_missing_label_map(tmp_path: Path) -> None:
    make_smiyc(tmp_path)
    (tmp_path / "labels_masks" / "validation0001_labels_semantic.png").unlink()
    assert "validation0001 has no label map" in message(read_dataset, tmp_path, "smiyc")


def test_own_frames_need_label_maps_too(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    write_image(tmp_path / "images" / "b.png")
    write_map(tmp_path / "labels_masks" / "a_labels_semantic.png", label_map(0, 1))
    assert "b has no label map" in message(read_dataset, tmp_path, "smiyc")


def test_label_maps_without_their_photos(tmp_path: Path) -> None:
    make_fishyscapes(tmp_path)
    next((tmp_path / "leftImg8bit").rglob("04_Weg*.png")).unlink()
    assert "leftImg8bit" in message(read_dataset, tmp_path, "fishyscapes")


def test_a_label_map_of_another_size(tmp_path: Path) -> None:
    make_roadanomaly(tmp_path)
    write_map(tmp_path / "frames" / "b.labels" / "labels_semantic.png", label_map(0, size=(6, 9)))
    assert "9x6 and its frame 8x6" in message(read_dataset, tmp_path, "roadanomaly")


def test_a_photo_on_its_side_has_the_size_that_a_viewer_shows(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "images" / "a.jpg", exif=exif)
    write_map(tmp_path / "labels_masks" / "a_labels_semantic.png", label_map(0, 1, size=(8, 6)))
    assert len(read_dataset(tmp_path, "smiyc").frames) == 1


def test_frames_of_one_name(tmp_path: Path) -> None:
    make_smiyc(tmp_path)
    write_image(tmp_path / "images" / "validation0000.png")
    assert "have one name" in message(read_dataset, tmp_path, "smiyc")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (label_map(0, 1, 7), "holds the label 7; the format smiyc has 0, 1, 255"),
        (np.zeros((*SIZE, 3), np.uint8), "3 channels"),
        (np.zeros(SIZE, np.uint16), "8 bits"),
    ],
)
def test_label_maps_that_are_none(tmp_path: Path, values: npt.NDArray[Any], complaint: str) -> None:
    make_smiyc(tmp_path)
    write_map(tmp_path / "labels_masks" / "validation0000_labels_semantic.png", values)
    dataset = read_dataset(tmp_path, "smiyc")
    assert complaint in message(dataset.anomaly_map, dataset.frames[0])


def test_a_damaged_label_map(tmp_path: Path) -> None:
    make_smiyc(tmp_path)
    (tmp_path / "labels_masks" / "validation0000_labels_semantic.png").write_bytes(b"no image")
    assert "cannot be read as an image" in message(read_dataset, tmp_path, "smiyc")


# Score maps


def test_score_maps_are_read(tmp_path: Path) -> None:
    make_streethazards(tmp_path / "data")
    first, second = read_dataset(tmp_path / "data", "streethazards").frames
    levels = np.resize(np.array([0, 1, 65535], np.uint16), SIZE)
    write_map(tmp_path / "scores" / "t5" / "300.png", levels)
    (tmp_path / "scores" / "t6").mkdir()
    np.save(tmp_path / "scores" / "t6" / "1.npy", np.full(SIZE, -3.5))
    check_score_maps(tmp_path / "scores", (first, second))
    from_png, from_npy = read_score_map(tmp_path / "scores", first), read_score_map(tmp_path / "scores", second)
    assert from_png.dtype == from_npy.dtype == np.float32
    np.testing.assert_array_equal(from_png, levels.astype(np.float32) / np.float32(65535))
    assert (from_npy == -3.5).all()


def test_missing_score_maps_are_counted(tmp_path: Path) -> None:
    make_roadanomaly(tmp_path)
    frames = read_dataset(tmp_path, "roadanomaly").frames
    assert "no such folder" in message(check_score_maps, tmp_path / "absent", frames)
    np.save(tmp_path / "a.npy", np.zeros(SIZE))
    assert "1 of 2 frames, such as b" in message(check_score_maps, tmp_path, frames)


def test_files_that_are_no_score_maps(tmp_path: Path) -> None:
    make_roadanomaly(tmp_path)
    frame = read_dataset(tmp_path, "roadanomaly").frames[0]
    write_map(tmp_path / "a.png", label_map(0, 1))
    assert "16 bits" in message(read_score_map, tmp_path, frame)
    np.save(tmp_path / "a.npy", np.zeros((*SIZE, 1)))
    assert "shape (6, 8, 1)" in message(read_score_map, tmp_path, frame)
    np.save(tmp_path / "a.npy", np.zeros(SIZE, np.int64))
    assert "int64" in message(read_score_map, tmp_path, frame)
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "cannot be read" in message(read_score_map, tmp_path, frame)
    (tmp_path / "a.npy").write_bytes(b"")
    assert "cannot be read" in message(read_score_map, tmp_path, frame)


def test_an_empty_split_says_which_are_filled_and_how_to_build_again(tmp_path):
    write_image(tmp_path / "train" / "a.png")
    write_map(tmp_path / "trainannot" / "a.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(UsageError, match=r"no frames in its split val, only in train.*--split 70/30/0"):
        read_dataset(tmp_path, "camvid-like", "val")
