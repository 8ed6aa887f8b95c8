"""The messages of a recording (MCAP), a chunk at a time, as far as the file is whole."""

import os
import struct
from collections.abc import Generator, Iterator, Mapping
from typing import IO, Any

import zstandard
from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.records import Channel, Chunk, DataEnd, Header, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from tasks.storage import reason

DAMAGE = (McapError, struct.error, ValueError, zstandard.ZstdError, RuntimeError, KeyError, OverflowError)
"""What a damaged file makes the reader raise, beside what the storage does."""

_LARGEST_CHUNK = 2**30
_MAGIC = b"\x89MCAP0\r\n"  # at both ends of a recording


def messages(
    file: IO[bytes], size: int, schemas: Mapping[int, Schema], channels: Mapping[int, Channel], damage: list[str]
) -> Iterator[tuple[Schema | None, Channel, Message]]:
    """Every message that is whole, in the order of the file; what is lost, and why, comes into ``damage``.

    A file may hold several recordings, one behind the other. ``schemas`` and ``channels`` are those that the summary
    tells: a damaged chunk may hold their only other copy.
    """
    known_schemas, known_channels = dict(schemas), dict(channels)
    for record in _records(file, size, damage):
        match record:
            case Header():  # another recording counts its channels anew
                known_schemas, known_channels = dict(schemas), dict(channels)
            case Schema():
                known_schemas[record.id] = record
            case Channel():
                known_channels[record.id] = record
            case Message() if record.channel_id in known_channels:
                channel = known_channels[record.channel_id]
                yield known_schemas.get(channel.schema_id), channel, record


def _records(file: IO[bytes], size: int, damage: list[str]) -> Iterator[McapRecord]:
    file.seek(0)
    whole: Any = _WholeReads(file, size)
    while True:
        ended = yield from _records_of_one(whole, size, damage)
        if not ended or file.read(len(_MAGIC)) != _MAGIC:
            return
        file.seek(-len(_MAGIC), os.SEEK_CUR)


def _records_of_one(whole: Any, size: int, damage: list[str]) -> Generator[McapRecord, None, bool]:
    """The records of the recording that begins here, without its summary; whether it has an end."""
    records = StreamReader(whole, emit_chunks=True, record_size_limit=size).records
    summary = False
    while True:
        try:
            record = next(records, None)
        except DAMAGE as error:
            if not summary:  # of a summary nothing is needed
                damage.append(_spoken(error))
            return False
        if record is None:
            return True
        if summary or isinstance(record, DataEnd):
            summary = True
        elif not isinstance(record, Chunk):
            yield record
        else:
            try:
                if record.uncompressed_size > _LARGEST_CHUNK:
                    raise ValueError(f"a chunk larger than {_LARGEST_CHUNK // 2**20} MB")
                yield from breakup_chunk(record, validate_crc=True)
            except DAMAGE as error:
                damage.append(f"a chunk is damaged ({_spoken(error)})")


class _WholeReads:
    """A file of ``size`` bytes of which a read gives all that was asked for, or the file ends there: the reader takes
    less for more, and asks for what damaged lengths say."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def read(self, length: int) -> bytes:
        data = self._file.read(length) if length <= self._size else b""
        if len(data) < length:
            raise EndOfFile
        return data


def _spoken(error: Exception) -> str:
    match error:
        case EndOfFile():
            return "it breaks off"
        case InvalidMagic():
            return "it does not begin as MCAP does"
        case _:
            return reason(error)
