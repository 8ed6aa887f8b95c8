"""Shared by all formats of a dataset: the numbers of the classes, and the record of a written file."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from schemas.dataset import DatasetFrame, Label, Role
from tasks.datasets.image_store import Content, ImageForm, Picture


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a dataset: names that people gave or accepted, the known ones that are in it as hard
    negatives, and the whole known vocabulary V of the newest scan."""

    objects: tuple[str, ...]
    known: tuple[str, ...]
    vocabulary: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every class that has an instance, in the order of their numbers."""
        return (*self.objects, *self.known)


@dataclass(frozen=True, slots=True)
class Losses:
    """The parts of masks that a format could not hold: ``holes`` counts masks whose holes were filled (and
    ``hole_pixels`` their pixels), ``divided`` masks of several parts that became an instance each, and
    ``hidden_pixels`` pixels of masks that another mask of the frame covers."""

    holes: int = 0
    hole_pixels: int = 0
    divided: int = 0
    hidden_pixels: int = 0

    def __add__(self, other: "Losses") -> "Losses":
        return Losses(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file to write: its path below the dataset, and the frames whose pictures are in it."""

    path: str
    data: bytes
    pictures: tuple[tuple[str, Picture], ...] = ()
    losses: Losses = Losses()


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame whose picture is in the dataset, at ``path``."""

    frame: DatasetFrame
    path: str


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is written.

    ``part`` turns a run of frames with their pictures into files; ``closing`` makes the files that can only be written
    when all frames are there. ``limits`` says in words what the format cannot hold, ``load`` is a line of Python that
    reads the dataset. ``images``: the kinds of image files that readers of the format expect. ``hub`` is the pattern of
    the files of a ``{split}`` for Hugging Face datasets, which then open the folder; None where they cannot.
    """

    part: Callable[[str, Iterable[Content], Classes], Iterator[OutputFile]]
    closing: Callable[[Sequence[Kept], Classes], Iterator[OutputFile]]
    limits: tuple[str, ...]
    load: str
    images: ImageForm = ImageForm.ANY
    hub: str | None = None


def annotated(labels: Iterable[Label]) -> list[Label]:
    """The labels that are instances of a class: not the background."""
    return [label for label in labels if label.role is not Role.BACKGROUND]


def instance_fields(label: Label, numbers: dict[str, int]) -> dict[str, object]:
    """What Parquet and WebDataset say of an instance, all but its mask; ``bbox`` is x, y, width, height in pixels."""
    assert label.name is not None
    return {
        "class": numbers[label.name],
        "name": label.name,
        "role": label.role.value,
        "bbox": [label.box.x, label.box.y, label.box.width, label.box.height],
        "item_id": label.item_id,
        "track_id": label.track_id,
    }


def class_list(names: Iterable[str]) -> OutputFile:
    """classes.txt: a name a line, in the order of their numbers."""
    return OutputFile("classes.txt", "".join(f"{name}\n" for name in names).encode())


def class_list_alone(kept: Sequence[Kept], classes: Classes) -> Iterator[OutputFile]:
    """The closing of a format that needs nothing but the names of its classes when all frames are there."""
    yield class_list(classes.names)
