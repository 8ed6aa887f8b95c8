"""Frames of a video by torchcodec, on an accelerator or on the CPU, in place of our own decoder.

Which frames are wanted, their numbers and times are those of our index (``video_index.py``). Their pixels differ from
those of our decoder by how colours are converted, on average by no more than ``MOST_DIFFERENT``: the first picture of
each video is decoded by both and compared, which also shows where torchcodec counts or turns pictures in another way.
Such a video, and whatever else torchcodec cannot decode, is left to our decoder.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from tasks.errors import SourceError, UsageError
from tasks.footage.images import Rgb
from tasks.footage.video_decoder import chosen_decoder, decode_frames
from tasks.footage.video_file import RemoteVideo, Video
from tasks.footage.video_index import VideoTrack
from tasks.storage import reason

MOST_DIFFERENT = 4.0
"""Mean absolute difference, of values from 0 to 255, between both decoders' picture of the same frame."""

_BATCH = 16  # frames of 1080p are 6 MB each
_SAME_TIME = 1e-3  # seconds


@dataclass(slots=True)
class Decoding:
    """The device of torchcodec, such as ``cuda``, and why it did not decode a video."""

    device: str
    notes: list[str] = field(default_factory=list)


class NotAcceleratedError(Exception):
    """Torchcodec does not decode this video. One line that says why."""


def check_device(device: str) -> None:
    """Raise UsageError if torchcodec cannot decode on a device here: it is not
    installed, or there is no such device."""
    if find_spec("torchcodec") is None:
        raise UsageError(f"--decoder {device} needs torchcodec: pip install 'clipomaly[torchcodec]'.")
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--decoder {device}: PyTorch finds no such device here. Leave the option out to use the CPU.")
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:  # libraries of FFmpeg or CUDA that do not fit
        raise UsageError(f"--decoder {device}: torchcodec cannot be loaded ({reason(error)}).") from error


@contextmanager
def decoding_on(device: str) -> Iterator[Decoding]:
    """Have torchcodec decode the videos that are read within this block on a device."""
    decoding = Decoding(device)
    before = chosen_decoder.get()
    chosen_decoder.set(partial(_decode, decoding))
    try:
        yield decoding
    finally:
        chosen_decoder.set(before)  # not by a token: a generator that holds this open may be closed by another thread


def _decode(
    decoding: Decoding, video: Video, track: VideoTrack, numbers: Sequence[int]
) -> Iterator[tuple[int, Rgb | None]]:
    """As ``decode_frames``: by torchcodec as far as it can, and then by our own decoder."""
    left = list(numbers)
    if left:
        try:
            for number, image in _accelerated(video, track, left, decoding.device):
                yield number, image
                left.remove(number)
        except NotAcceleratedError as error:
            decoding.notes.append(f"decoded on the CPU, because {error}")
    yield from decode_frames(video, track, left)


def _accelerated(
    video: Video, track: VideoTrack, numbers: Sequence[int], device: str
) -> Iterator[tuple[int, Rgb | None]]:
    if track.counted:
        raise NotAcceleratedError("only decoding from its beginning tells which frame is which")
    decoder = _opened(video, track, device)
    ticks = track.packets.pts[track.order]
    places = np.searchsorted(np.sort(track.packets.pts), ticks)  # torchcodec counts hidden frames too
    for at in range(0, len(numbers), _BATCH):
        batch = numbers[at : at + _BATCH]
        try:
            frames = decoder.get_frames_at(indices=places[batch].tolist())
            given = frames.pts_seconds.cpu().numpy()
            images = frames.data.cpu().numpy()
        except (RuntimeError, ValueError, IndexError) as error:
            raise NotAcceleratedError(f"torchcodec cannot decode it on {device} ({reason(error)})") from error
        if np.abs(given - ticks[batch] * track.tick).max() > _SAME_TIME:
            raise NotAcceleratedError("torchcodec finds other frames in it")
        if at == 0:
            _compare(video, track, batch[0], images[0])
        yield from zip(batch, images, strict=True)


def _opened(video: Video, track: VideoTrack, device: str) -> Any:
    from torchcodec.decoders import VideoDecoder

    if isinstance(video, RemoteVideo):
        path = video.copy()
    elif isinstance(video, str):
        path = video
    else:
        raise NotAcceleratedError("it is no file on a disk")
    try:
        return VideoDecoder(
            path, stream_index=track.stream, dimension_order="NHWC", num_ffmpeg_threads=1, device=device
        )
    except (RuntimeError, ValueError) as error:
        raise NotAcceleratedError(f"torchcodec cannot open it on {device} ({reason(error)})") from error


def _compare(video: Video, track: VideoTrack, number: int, image: Rgb) -> None:
    try:
        [(_, ours)] = decode_frames(video, track, [number])
    except SourceError as error:
        raise NotAcceleratedError(str(error)) from error
    if ours is None or ours.shape != image.shape:
        raise NotAcceleratedError("torchcodec shows a picture of another size")
    if np.abs(ours.astype(np.int16) - image).mean() > MOST_DIFFERENT:
        raise NotAcceleratedError("torchcodec shows another picture")
