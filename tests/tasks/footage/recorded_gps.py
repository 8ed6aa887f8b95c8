"""Videos with the positions that recorders write into them, made box by box."""

import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.tasks.footage.numbered import write_numbered


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _movie_at(data: bytes) -> tuple[int, int]:
    at = 0
    while data[at + 4 : at + 8] != b"moov":
        at += int.from_bytes(data[at : at + 4], "big")
    return at, at + int.from_bytes(data[at : at + 4], "big")


def add_to_movie(video: Path, extra: bytes, behind: bytes = b"") -> Path:
    """Put a box at the end of the ``moov`` box, which is the last of the file, and bytes behind it."""
    data = video.read_bytes()
    begin, end = _movie_at(data)
    assert end == len(data)
    video.write_bytes(data[:begin] + box(b"moov", data[begin + 8 : end] + extra) + behind)
    return video


def add_data_track(video: Path, form: bytes, samples: Sequence[bytes], seconds: float = 1.0) -> Path:
    """A track of samples of so many seconds each, all in one chunk behind the ``moov`` box."""
    content = b"".join(samples)

    def track(place: int) -> bytes:
        table = box(b"stsd", struct.pack(">II", 0, 1) + box(form, bytes(8)))
        table += box(b"stts", struct.pack(">IIII", 0, 1, len(samples), round(1000 * seconds)))
        table += box(b"stsc", struct.pack(">IIIII", 0, 1, 1, len(samples), 1))
        table += box(
            b"stsz", struct.pack(">III", 0, 0, len(samples)) + b"".join(struct.pack(">I", len(s)) for s in samples)
        )
        table += box(b"stco", struct.pack(">III", 0, 1, place))
        length = round(1000 * seconds * len(samples))
        header = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, length, 0, 0))
        handler = box(b"hdlr", bytes(8) + b"meta" + bytes(13))
        head = box(b"tkhd", struct.pack(">IIIIIII", 0, 0, 0, 9, 0, length, 0) + bytes(56))
        return box(b"trak", head + box(b"mdia", header + handler + box(b"minf", box(b"stbl", table))))

    place = len(video.read_bytes()) + len(track(0)) + 8
    return add_to_movie(video, track(place), box(b"mdat", content))


def novatek_block(
    clock: datetime, north: float = 0.0, east: float = 0.0, fix: bytes = b"A", offset: int = 48, sides: bytes = b"NE"
) -> bytes:
    """A block of a second; degrees are written as degrees times 100 and minutes."""

    def packed(degrees: float) -> float:
        return int(abs(degrees)) * 100 + abs(degrees) % 1 * 60

    head = struct.pack(">I", 256) + b"freeGPS " + struct.pack("<I", 100)
    time = struct.pack("<6I", clock.hour, clock.minute, clock.second, clock.year - 2000, clock.month, clock.day)
    place = fix + sides + b"\0" + struct.pack("<3f", packed(north), packed(east), 12.5)
    return (head.ljust(offset, b"\0") + time + place).ljust(256, b"\0")


def add_novatek(video: Path, blocks: Sequence[bytes]) -> Path:
    """Blocks behind the ``moov`` box, which lists them."""
    size = len(video.read_bytes()) + 8 + 8 + 8 * len(blocks)
    places = [size + sum(map(len, blocks[:number])) for number in range(len(blocks))]
    listed = b"".join(struct.pack(">II", place, len(block)) for place, block in zip(places, blocks, strict=True))
    return add_to_movie(video, box(b"gps ", struct.pack(">II", 257, 0) + listed), b"".join(blocks))


def item(key: bytes, kind: bytes, size: int, content: bytes) -> bytes:
    """A key, its type, the size of an element, how many, and they, up to a multiple of four."""
    padded = content.ljust((len(content) + 3) // 4 * 4, b"\0")
    return key + kind + struct.pack(">BH", size, len(content) // size) + padded


def gopro_sample(places: Sequence[tuple[float, float]], fix: int = 3, nine: bool = False) -> bytes:
    """A second of a GoPro: with other streams around that of the positions."""
    scale = 10_000_000
    if nine:
        content = b"".join(
            struct.pack(">7lHH", round(n * scale), round(e * scale), 0, 0, 0, 9457, 0, 100, fix) for n, e in places
        )
        positions = item(b"TYPE", b"c", 1, b"lllllllSS")
        positions += item(b"SCAL", b"l", 4, struct.pack(">9l", scale, scale, 1000, 1000, 100, 1, 1000, 100, 1))
        positions += item(b"GPS9", b"?", 32, content)
    else:
        content = b"".join(struct.pack(">5l", round(n * scale), round(e * scale), 0, 0, 0) for n, e in places)
        positions = item(b"GPSF", b"L", 4, struct.pack(">L", fix)) + item(b"GPSU", b"U", 16, b"261122031500.000")
        positions += item(b"SCAL", b"l", 4, struct.pack(">5l", scale, scale, 1000, 1000, 100))
        positions += item(b"GPS5", b"l", 20, content)
    other = item(b"SCAL", b"s", 2, struct.pack(">h", 418)) + item(b"ACCL", b"s", 6, struct.pack(">3h", 1, 2, 3))
    streams = b"".join(item(b"STRM", b"\0", 1, stream) for stream in (other, positions))
    return item(b"DEVC", b"\0", 1, item(b"DVNM", b"c", 1, b"Hero11 Black") + streams)


def clip(path: Path) -> Path:
    """Six seconds, with the ``moov`` box at the end."""
    return write_numbered(path, "mpeg4")
