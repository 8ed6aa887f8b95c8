"""Unpacks files by how they begin, up to where what was packed ends: something else may lie behind it."""

import bz2
import io
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

import zstandard

_MAGIC = 6  # bytes that show how a file is packed
_BLOCK = 64 * 1024
_ZSTD = b"\x28\xb5\x2f\xfd"


@contextmanager
def unpacked(file: BinaryIO, notes: list[str]) -> Iterator[Any]:
    """The content of a file, packed or not: a file that can be wound back.

    Args:
        file: at its beginning.
        notes: gets a line, by the end of the context, if something else was seen behind what is packed.

    Raises, here or when it is read, what the packer raises for what is damaged.
    """
    head = file.read(_MAGIC)
    file.seek(0)
    if head.startswith(_ZSTD):  # cannot be wound back
        with tempfile.TemporaryFile(prefix="clipomaly-") as copy:
            if damage := _copy_zstd(file, copy):
                if not copy.tell():
                    raise damage
                notes.append(f"not read: what lies behind the packed tar, or its damaged rest ({damage})")
            copy.seek(0)
            yield copy
    elif found := next(((magic, begin) for magic, begin in _PACKERS if head.startswith(magic)), None):
        raw = _Members(file, *found)
        with io.BufferedReader(raw, _BLOCK) as content:
            yield content
        if raw.junk:
            notes.append("not read: what lies behind the packed tar")
    else:
        yield file


class _Member(Protocol):
    """What bz2 and lzma have for one packed part of a file."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """The same for gzip."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, max(max_length, 0))


_PACKERS: tuple[tuple[bytes | tuple[bytes, ...], Callable[[], _Member]], ...] = (
    (b"\x1f\x8b", _Gzip),
    (b"BZh", bz2.BZ2Decompressor),
    ((b"\xfd7zXZ\x00", b"\x5d\0\0"), lzma.LZMADecompressor),
)


class _Members(io.RawIOBase):
    """The packed parts of a file, one after the other; ``junk`` tells whether something else lies behind them.

    The readers of the standard library pass over that in silence, or raise an error and lose what came with it.
    """

    def __init__(self, file: BinaryIO, magic: bytes | tuple[bytes, ...], begin: Callable[[], _Member]) -> None:
        self._file, self._magic, self._begin = file, magic, begin
        self.junk = False
        self._rewind()

    def _rewind(self) -> None:
        self._file.seek(0)
        self._member, self._position, self._ended = self._begin(), 0, False
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = b""
        while not data and not self._ended:
            if self._member.eof:
                self._next_member(self._member.unused_data)
                continue
            if self._member.needs_input and not self._waiting:
                self._waiting = self._file.read(_BLOCK)
                if not self._waiting:
                    raise EOFError("it breaks off")
            data = self._member.decompress(self._waiting, len(view))
            self._waiting = b""
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _next_member(self, behind: bytes) -> None:
        """Begin the next member, behind zeros, or end."""
        while not (behind := behind.lstrip(b"\0")) or len(behind) < _MAGIC:
            more = self._file.read(_BLOCK)
            if not more:
                break
            behind += more
        self._ended = not behind.startswith(self._magic)
        self.junk = self._ended and bool(behind)
        if not self._ended:
            self._member, self._waiting = self._begin(), behind

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("how long it is is not known")
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        if target < self._position:
            self._rewind()
        while self._position < target and self.readinto(bytearray(min(_BLOCK, target - self._position))):
            pass
        return self._position

    def tell(self) -> int:
        return self._position


def _copy_zstd(file: BinaryIO, copy: BinaryIO) -> zstandard.ZstdError | None:
    """Unpack what is whole; the error where something is not."""
    packed = b""
    frame = zstandard.ZstdDecompressor().decompressobj()
    while packed := packed or file.read(_BLOCK):
        try:
            copy.write(frame.decompress(packed))
        except zstandard.ZstdError as error:
            return error
        packed = b""
        if frame.eof:
            packed = frame.unused_data
            frame = zstandard.ZstdDecompressor().decompressobj()
    return None
