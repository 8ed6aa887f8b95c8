"""Photos as HEIC: read by libheif, where the extra is installed."""

from functools import lru_cache
from importlib.util import find_spec

HEIC_SUFFIXES = (".heic", ".heif")

_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def reads_heic() -> bool:
    """Whether the package for it is installed."""
    return find_spec("pi_heif") is not None


def is_heic(data: bytes) -> bool:
    """Whether a file is a photo as HEIC, by how it begins."""
    return data[4:8] == b"ftyp" and data[8:12] in _BRANDS


@lru_cache(maxsize=1)
def teach_pillow() -> tuple[str, ...]:
    """Have Pillow read HEIC: its names of the formats that it reads then and did not before."""
    if not reads_heic():
        return ()
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False)
    return ("HEIF",)
