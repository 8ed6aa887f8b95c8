"""The pictures of an item: its stored crop and mask, and what the archive still has of its frames."""

import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from review.errors import UnknownItemError
from review.queue import Queue
from schemas.geometry import Box
from schemas.images import encode_jpeg, encode_png, shrink_to_width
from schemas.masks import decode_mask
from schemas.review import ReviewItem

Rgb = npt.NDArray[np.uint8]

_CACHE_BYTES = 192 * 1024 * 1024
_FRAME_WIDTH = 1600
_MOTION_WIDTH = 960
_LATER = 15.0  # seconds until a frame that could not be read is tried again
_TINT = (0, 229, 255)  # hardly anything on a road is cyan


class FrameGoneError(Exception):
    """The archive does not have the frame any more, or cannot be reached. One line that says which."""


class FrameSource(Protocol):
    """Whoever can read frames of the archive."""

    def read(self, source_uri: str, frame_index: int) -> Rgb:
        """The frame as (H, W, 3) uint8 RGB. Raises FrameGoneError."""


class Pictures:
    """Pictures by item id, cached. Without ``frames`` there is only what the queue stores."""

    def __init__(self, queue: Queue, frames: FrameSource | None = None) -> None:
        self._queue = queue
        self._frames = frames
        self._cache = _ByteCache(_CACHE_BYTES)
        self._gone: OrderedDict[tuple[str, int], tuple[float, str]] = OrderedDict()

    @property
    def has_frames(self) -> bool:
        """Whether there is an archive to ask at all."""
        return self._frames is not None

    def crop(self, item_id: str) -> bytes:
        """The stored crop: JPEG. Raises UnknownItemError."""
        return self._cache.get(f"crop {item_id}", lambda: self._queue.item(item_id).item.crop_jpeg)

    def mask(self, item_id: str) -> bytes:
        """A transparent PNG that fits over the crop: the object tinted and rimmed. Raises UnknownItemError."""

        def make() -> bytes:
            queued = self._queue.item(item_id)
            return self.overlay(queued.item, queued.mask_rle)

        return self._cache.get(f"mask {item_id}", make)

    def overlay(self, item: ReviewItem, mask_rle: bytes) -> bytes:
        """Any mask of the item's frame as ``mask`` shows it, not cached."""
        height, width = crop_size(item)
        return _overlay(item, mask_rle, item.crop_box, width, height)

    def forget_mask(self, item_id: str) -> None:
        """The mask was repaired: show the new one."""
        for kind in ("mask", "outline"):
            self._cache.drop(f"{kind} {item_id}")

    def frame(self, item_id: str) -> bytes:
        """The whole frame, at most 1600 wide: JPEG. Raises UnknownItemError and FrameGoneError."""

        def make() -> bytes:
            item = self._queue.item(item_id).item
            return encode_jpeg(shrink_to_width(self._read(item, item.frame_index), _FRAME_WIDTH))

        return self._cache.get(f"frame {item_id}", make)

    def outline(self, item_id: str) -> bytes:
        """A transparent PNG that fits over the whole frame: the object tinted and rimmed. Raises UnknownItemError."""

        def make() -> bytes:
            queued = self._queue.item(item_id)
            item = queued.item
            width = min(item.frame_width, _FRAME_WIDTH)
            whole = Box(0, 0, item.frame_width, item.frame_height)
            return _overlay(
                item, queued.mask_rle, whole, width, max(1, round(item.frame_height * width / item.frame_width))
            )

        return self._cache.get(f"outline {item_id}", make)

    def full_frame(self, item: ReviewItem) -> bytes:
        """The whole frame at its own size, for handing over: JPEG, not cached. Raises FrameGoneError."""
        frame = self._read(item, item.frame_index)
        if frame.shape[:2] != (item.frame_height, item.frame_width):
            raise FrameGoneError("The archive now has another picture there.")
        return encode_jpeg(frame)

    def track_frame(self, item_id: str, number: int) -> bytes:
        """The surroundings of the object on frame ``number`` of its track: JPEG.

        Raises UnknownItemError, also when the track is shorter, and FrameGoneError.
        """

        def make() -> bytes:
            item = self._queue.item(item_id).item
            if not 0 <= number < len(item.track):
                raise UnknownItemError(f"The track of item {item_id} has {len(item.track)} frames.")
            seen = item.track[number]
            frame = self._read(item, seen.frame_index)
            view = item.crop_box.centred_on(seen.box, *frame.shape[:2])
            cut = frame[view.y : view.y + view.height, view.x : view.x + view.width]
            return encode_jpeg(shrink_to_width(cut, 640))

        return self._cache.get(f"track {number} {item_id}", make)

    def motion_frame(self, item_id: str, step: int) -> bytes:
        """The whole frame ``step`` half-seconds after the one shown (before it: negative), 960 wide: JPEG.

        Also frames without finds. Raises UnknownItemError, and FrameGoneError where the footage ends before.
        """

        def make() -> bytes:
            item = self._queue.item(item_id).item
            rate = item.frames_per_second
            if rate is None:
                raise FrameGoneError("The item was seen on one frame only, so the speed of its footage is not known.")
            index = item.frame_index + round(step * rate / 2)
            if index < 0:
                raise FrameGoneError("The footage begins here.")
            return encode_jpeg(shrink_to_width(self._read(item, index), _MOTION_WIDTH))

        return self._cache.get(f"motion {step} {item_id}", make)

    def _read(self, item: ReviewItem, index: int) -> Rgb:
        if self._frames is None:
            raise FrameGoneError("No archive is connected. What is stored with the item is shown.")
        key = (item.source_uri, index)
        until, reason = self._gone.get(key, (0.0, ""))
        if until > time.monotonic():
            raise FrameGoneError(reason)
        try:
            return self._frames.read(item.source_uri, index)
        except FrameGoneError as error:
            self._gone[key] = (time.monotonic() + _LATER, str(error))
            if len(self._gone) > 10_000:
                self._gone.popitem(last=False)
            raise


class _ByteCache:
    """The pictures asked for last, up to a number of bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def drop(self, key: str) -> None:
        """Make it anew when it is asked for again."""
        with self._lock:
            self._bytes -= len(self._kept.pop(key, b""))

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._bytes += len(made)
            while self._bytes > self._most:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made


def crop_size(item: ReviewItem) -> tuple[int, int]:
    """(height, width) of the stored crop in its own pixels."""
    with Image.open(io.BytesIO(item.crop_jpeg), formats=("JPEG",)) as picture:
        return picture.height, picture.width


def _overlay(item: ReviewItem, mask_rle: bytes, view: Box, width: int, height: int) -> bytes:
    """The mask in ``view`` of the frame, at this size."""
    part = decode_mask(mask_rle, item.frame_height, item.frame_width)[
        view.y : view.y + view.height, view.x : view.x + view.width
    ].astype(np.uint8)
    mask = (cv2.resize(part * 255, (width, height), interpolation=cv2.INTER_LINEAR) > 127).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thick = max(2, round(max(width, height) / 320))
    overlay = np.zeros((height, width, 4), np.uint8)
    overlay[mask > 0] = (*_TINT, 32)
    # A light line on a dark one is seen on any ground.
    cv2.drawContours(overlay, outlines, -1, (16, 20, 24, 150), 2 * thick + 1, cv2.LINE_AA)
    cv2.drawContours(overlay, outlines, -1, (*_TINT, 255), thick, cv2.LINE_AA)
    return encode_png(overlay)
