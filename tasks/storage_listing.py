"""What a listing shows of a file, whatever its storage calls it, and the folders of a web server.

A web server knows of no folders: its pages show them, as Python's http.server, nginx, Apache, Caddy, lighttpd and
others write these.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from threading import Lock
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from fsspec import AbstractFileSystem

_YEAR_9999 = 253_370_764_800
_THREADS = 8
_FRESH_SECONDS = 300.0
_MOST_REMEMBERED = 100_000
_DEEPEST = 64  # folders in folders, for servers that show every folder in itself


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it: ``name`` relative to what was listed, ``size`` in bytes; ``captured`` where an
    inventory tells when its first frame was."""

    name: str
    size: int
    etag: str
    modified: datetime
    captured: datetime | None = None


def entry(name: str, info: dict[str, Any], times: tuple[str, ...] = ()) -> Entry:
    """Read what a filesystem says of a file. The etag is the store's own, or size and modification time. The time is
    the first of ``times`` that is told, or else that of the modification."""
    modified = _modified(info, times)
    size = int(info.get("size") or 0)
    etag = str(info.get("ETag") or info.get("etag") or info.get("blob_id") or "").strip('"')
    if "CRC" in info:  # in a ZIP file, whose times are too coarse to tell a change
        etag = f"{size:x}-{info['CRC']:08x}"
    return Entry(name, size, etag or f"{size:x}-{round(modified.timestamp() * 1e6):x}", modified)


def _modified(info: dict[str, Any], times: tuple[str, ...]) -> datetime:
    for key in (*times, "mtime", "LastModified", "last_modified", "updated", "created", "Last-Modified"):
        value = info.get(key)
        if isinstance(value, int | float):
            # Some cameras write what no calendar has: such a time says as little as none.
            return datetime.fromtimestamp(value, UTC) if 0 <= value < _YEAR_9999 else datetime.fromtimestamp(0, UTC)
        if isinstance(value, str):
            value = parsedate_to_datetime(value) if key == "Last-Modified" else datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    with suppress(TypeError, ValueError):  # of a ZIP file: year to second, or digits that are no date
        return datetime(*info.get("date_time", ())).replace(tzinfo=UTC)
    return datetime.fromtimestamp(0, UTC)


def is_web(fs: AbstractFileSystem) -> bool:
    """Whether it reads a web server, which knows of no folders."""
    # Not by its class, whose import would take a tenth of the start of every small command.
    return "http" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def list_web_folder(fs: AbstractFileSystem, url: str) -> list[dict[str, Any]]:
    """What lies directly in a folder, in the form of fsspec: name (the whole URL), type, size, etag, time of change.

    The page of the folder is asked for each time. Of its files only those that were not asked for within the last five
    minutes are, because each takes a request: reading a folder of images lists it several times.

    Raises what the filesystem raises.
    """
    folder = f"{url.rstrip('/')}/"
    page = _Links()
    page.feed(fs.cat_file(folder).decode("utf-8", "replace"))
    found = list(dict.fromkeys(_in_folder(folder, page.links)))
    folders = [name for name in found if name.endswith("/")]
    files = [name for name in found if not name.endswith("/") and f"{name}/" not in set(folders)]
    if len(urlsplit(folder).path.split("/")) > _DEEPEST:
        folders = []
    with ThreadPoolExecutor(_THREADS) as pool:
        told = list(pool.map(lambda name: _remembered(fs, name), files))
    return [*told, *({"name": name.rstrip("/"), "type": "directory", "size": 0} for name in folders)]


# By URL: when a file was asked for, and the answer. The oldest are removed first.
_asked: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
_asking = Lock()


def forget_web_files() -> None:
    """Ask for every file again: a new scan wants what is there now."""
    with _asking:
        _asked.clear()


def _remembered(fs: AbstractFileSystem, url: str) -> dict[str, Any]:
    with _asking:
        asked, told = _asked.get(url, (-math.inf, {}))
    if time.monotonic() - asked > _FRESH_SECONDS:
        told = _told(fs, url)
        with _asking:
            _asked[url] = (time.monotonic(), told)
            _asked.move_to_end(url)
            while len(_asked) > _MOST_REMEMBERED:
                _asked.popitem(last=False)
    return dict(told)


def _told(fs: AbstractFileSystem, url: str) -> dict[str, Any]:
    try:
        return {**fs.info(url), "name": url}
    except FileNotFoundError:  # a page may be older than its files: reading the file reports it
        return {"name": url, "type": "file", "size": 0}


class _Links(HTMLParser):
    """The links of a page in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _in_folder(folder: str, links: list[str]) -> Iterator[str]:
    for link in links:
        try:
            url = urljoin(folder, link.strip())
            parts = urlsplit(url)
        except ValueError:  # no URL
            continue
        name = url.removeprefix(folder)
        if name == url or parts.query or parts.fragment or not name.strip("/"):
            continue  # elsewhere, another order of the same page, or the folder itself
        if "/" not in unquote(name.removesuffix("/")) and unquote(name.strip("/")) not in (".", ".."):
            yield url
