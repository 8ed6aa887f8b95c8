"""Photos as HEIC, made box by box from one picture of H.265."""

import struct
from pathlib import Path

import av

from tests.tasks.footage.numbered import SIZE, add_numbered, numbered


def _box(kind: bytes, *parts: bytes, version: int | None = None, flags: int = 0) -> bytes:
    head = b"" if version is None else bytes([version]) + flags.to_bytes(3, "big")
    content = head + b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def write_heic(path: Path, number: int) -> Path:
    """A numbered picture, without EXIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header, coded = _coded(path.with_suffix(".mp4"), number)
    width, height = SIZE
    properties = _box(
        b"ipco", _box(b"hvcC", header), _box(b"ispe", struct.pack(">II", width, height), version=0)
    ) + _box(b"ipma", struct.pack(">IHB2B", 1, 1, 2, 0x81, 2), version=0)
    kind = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(place: int) -> bytes:
        return _box(
            b"meta",
            _box(b"hdlr", bytes(4), b"pict", bytes(13), version=0),
            _box(b"pitm", struct.pack(">H", 1), version=0),
            _box(b"iloc", struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, place, len(coded)), version=0),
            _box(
                b"iinf", struct.pack(">H", 1), _box(b"infe", struct.pack(">HH", 1, 0), b"hvc1\0", version=2), version=0
            ),
            _box(b"iprp", properties),
            version=0,
        )

    place = len(kind) + len(meta(0)) + 8
    path.write_bytes(kind + meta(place) + _box(b"mdat", coded))
    return path


def _coded(path: Path, number: int) -> tuple[bytes, bytes]:
    """The header of a decoder and the picture, as MP4 has them."""
    with av.open(str(path), "w") as file:
        options = {"x265-params": "log-level=none:bframes=0"}
        add_numbered(file, "libx265", options, range(0, 200, 100), picture=lambda _: numbered(number))
    with av.open(str(path)) as file:
        packet = next(packet for packet in file.demux(video=0) if packet.size)
        header = bytes(file.streams.video[0].codec_context.extradata or b"")
    path.unlink()
    return header, bytes(packet)
