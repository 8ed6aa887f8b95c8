"""Videos whose pictures carry their number, in any container and codec that can be made here."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

BITS = 10
SIZE = (160, 96)  # width, height


def numbered(number: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """A grey picture with its number in bright and dark squares along the top."""
    width, height = size
    picture = np.full((height, width, 3), 70, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        picture[height // 8 : height // 2, left:right] = 250 if number >> bit & 1 else 5
    return picture


def number_of(picture: npt.NDArray[np.uint8] | None) -> int:
    """The number that a picture carries; its squares may be blurred by coding."""
    assert picture is not None
    height, width = picture.shape[:2]
    number = 0
    for bit in range(BITS):
        middle = (2 * bit + 1) * width // (2 * BITS)
        number |= int(picture[height // 4 : 3 * height // 8, middle - 3 : middle + 3].mean() > 128) << bit
    return number


@contextmanager
def priority_as_before() -> Iterator[None]:
    """SVT-AV1 gives the thread that encodes the highest real-time priority where it may, and leaves it so.

    Every process and thread that later tests start would inherit it, and others would hardly run beside them.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def write_numbered(
    path: Path,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    times: Iterable[int] = range(0, 6000, 100),
    form: str | None = None,
    pixels: str = "yuv420p",
    container: Mapping[str, str] | None = None,
) -> Path:
    """A video of numbered pictures at these milliseconds; a codec or container without free times gets ten a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form, options=dict(container or {})) as file:
        add_numbered(file, codec, options, times, pixels)
    return path


@priority_as_before()
def add_numbered(
    file: Any,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    times: Iterable[int] = range(0, 6000, 100),
    pixels: str = "yuv420p",
    picture: Callable[[int], npt.NDArray[np.uint8]] = numbered,
) -> Any:
    """A track of numbered pictures in a file that is being written."""
    stream = file.add_stream(codec, rate=10, options=dict(options or {}))
    stream.pix_fmt = pixels
    stream.height, stream.width = picture(0).shape[:2]
    free = codec not in ("mpeg4", "mjpeg", "mpeg2video") and file.format.name not in ("avi", "h264", "hevc")
    if free:
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
        frame.pts, frame.time_base = (time, Fraction(1, 1000)) if free else (number, Fraction(1, 10))
        file.mux(stream.encode(frame))
    file.mux(stream.encode())
    return stream


def repack(source: Path, target: Path, form: str | None = None, keep: Callable[[int, Any], bool] | None = None) -> Path:
    """The packets of a video, or those of them that are to be kept, in another container."""
    with av.open(str(source)) as old, av.open(str(target), "w", format=form) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = (packet for packet in old.demux(old.streams.video[0]) if packet.size)
        for number, packet in enumerate(packets):
            if keep is None or keep(number, packet):
                packet.stream = stream
                new.mux(packet)
    return target
