"""The best finds of a scan, as pictures cut from the archive."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from schemas.geometry import ASPECT, window
from schemas.review import NameScore
from schemas.tables import Table
from tasks.drawing import Picture, contact_sheet, label, outline
from tasks.errors import UserError
from tasks.footage.frames import read_frame
from tasks.masks import decode_mask
from tasks.tables import Tables
from tasks.tables.late import Connection
from tasks.tables.query import connect

_WIDTH = 768


@dataclass(frozen=True, slots=True)
class Find:
    """One instance worth looking at; ``bbox`` is (x, y, width, height) in pixels of its frame, ``names`` the five
    names that fit best. ``anomaly_percentile`` is the share of the ``anomaly_of`` instances that it was chosen from,
    itself included, with no greater anomaly score, in (0, 1]."""

    source_uri: str
    drive: str
    frame_index: int
    timestamp: str
    name: str
    anomaly_score: float
    bbox: tuple[int, int, int, int]
    mask: npt.NDArray[np.bool_]
    names: tuple[NameScore, ...] = ()
    anomaly_percentile: float | None = None
    anomaly_of: int | None = None

    @property
    def probability(self) -> float | None:
        """The probability of its name, in [0, 1]; None if no name is clear."""
        return next((scored.score for scored in self.names if scored.name == self.name), None)


def best_finds(tables: Tables, count: int) -> list[Find]:
    """The best instances, one for each name of each source; among equals, large ones first.

    Raises:
        UserError: no tables there.
    """
    with connect(tables, [Table.INSTANCES]) as connection:
        return select_finds(connection, "instances", count)


def select_finds(connection: Connection, view: str, count: int) -> list[Find]:
    """The same from a view of instances in the connection."""
    rows = connection.execute(
        f"""
        SELECT source_uri, drive, frame_index, strftime(timestamp, '%Y-%m-%d %H:%M:%S'), name, names,
               anomaly_score, bbox_x, bbox_y, bbox_width, bbox_height, mask_rle, frame_height, frame_width,
               cume_dist() OVER (ORDER BY anomaly_score), count(*) OVER ()
        FROM {view}
        QUALIFY row_number() OVER (
            PARTITION BY source_uri, name ORDER BY anomaly_score * sqrt(area) DESC, frame_index
        ) = 1
        ORDER BY name = 'unknown object', anomaly_score * sqrt(area) DESC, source_uri, name
        LIMIT ?
        """,
        [count],
    ).fetchall()
    return [
        Find(
            source_uri=row[0],
            drive=row[1],
            frame_index=row[2],
            timestamp=row[3],
            name=row[4],
            names=tuple(NameScore(name["name"], name["score"]) for name in row[5] or ()),
            anomaly_score=row[6],
            bbox=(row[7], row[8], row[9], row[10]),
            mask=decode_mask(row[11], row[12], row[13]),
            anomaly_percentile=row[14],
            anomaly_of=row[15],
        )
        for row in rows
    ]


def find_picture(find: Find, change: Callable[[Picture], Picture] | None = None) -> Picture:
    """The object in its surroundings, outlined and named: (432, 768, 3) uint8 RGB.

    ``change`` gets the whole frame first, (H, W, 3) uint8 RGB, and gives one of its size.

    Raises:
        UserError: the frame can no longer be read.
    """
    frame = read_frame(find.source_uri, find.frame_index)
    if change is not None:
        frame = change(frame)
    left, top, right, bottom = window(find.bbox, frame.shape[0], frame.shape[1])
    part, mask = frame[top:bottom, left:right], find.mask[top:bottom, left:right]
    # Enlarged before drawing, so that lines and letters are equally sharp in every picture.
    picture = cv2.resize(part, (_WIDTH, round(_WIDTH / ASPECT)), interpolation=cv2.INTER_CUBIC)
    outlined = cv2.resize(mask.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return outline(np.asarray(picture, np.uint8), outlined, find.name, find.probability)


def write_finds(tables: Tables, folder: Path, count: int) -> None:
    """Write a picture of each of the best finds, and ``best.png`` with all of them, into ``folder``.

    Raises:
        UserError: no tables there, or a folder that cannot be written.
    """
    pictures: dict[str, Picture] = {}
    tiles = []
    for number, find in enumerate(best_finds(tables, count), start=1):
        picture = find_picture(find)
        tiles.append((picture, f"{label(find.name, find.probability)}  {find.drive}  {find.timestamp}"))
        pictures[f"{number:02d}-{find.name.replace(' ', '-')}.png"] = picture
    if tiles:
        pictures["best.png"] = contact_sheet(tiles, columns=4)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            _, png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            (folder / name).write_bytes(png.tobytes())
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); give another folder.") from error
