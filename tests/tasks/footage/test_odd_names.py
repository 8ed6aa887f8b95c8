"""Thousands of names of every form that a disk or an object store allows: each is listed once and none is lost."""

import os
import random
from pathlib import Path

import fsspec
import pytest

from tasks.addresses import printable
from tasks.footage.archive import Sources, find_sources
from tasks.footage.frames import kind_of
from tasks.scanning.plan import plan, with_footage
from tasks.storage import locate

FEW, MANY = 100, 10_000
WORDS = (
    "car", "é", "a::b", "a::s3://b", "zip://x::s3://y", "100%", "a%2Fb", "%E9", "%00", "#1", "?x", "?token=x", "&sig=1",
    "user:pw@host", "a b", " lead", "trail ", "dots...", "e=1", "🚗", "e\u0301", "\u202e", "日本", "tab\t", "\x01",
    "\x7f", "\\", "'", '"', "[1]", "*", "~", "$HOME", "&amp;", "+", "-", ";", ",", "file:", "{b}", "|", "<>", "`x`",
    "!", ".mp4",
)  # fmt: skip
ON_DISK = ("\n", "caf\udce9", "\udcff\udcfe")  # the last two are bytes that are no UTF-8
ENDS = (".mp4", ".MP4", ".tar", ".mcap")


def odd_names(count: int, more: tuple[str, ...] = (), nameless: float = 0.0) -> list[str]:
    """So many names below an archive, none of which is a folder of another; some with folders that have no name."""
    chance = random.Random(count)
    words = WORDS + more
    names: set[str] = set()
    while len(names) < count:
        folders = [
            "" if chance.random() < nameless else f"{chance.choice(words)}{chance.randrange(3)}"
            for _ in range(chance.randrange(4))
        ]
        name = f"{chance.randrange(9)}{chance.choice(words)}{chance.choice(words)}{chance.choice(ENDS)}"
        names.add("/".join([*folders, name]).replace("/.", "/,").removeprefix("."))
    # Where "a.mp4/b.mp4" is a file, "a.mp4" is a folder.
    above = {name[:end] for name in names for end, letter in enumerate(name) if letter == "/"}
    return sorted(names - above)


def sources_of(url: str, names: dict[str, str]) -> Sources:
    """The listing of an archive, in which each of these URIs, by their places in storage, is found once."""
    listing = find_sources(url)
    assert listing.ignored == () and listing.left_over == 0
    assert [source.uri for source in listing.sources] == sorted(names)
    for source in listing.sources:
        assert source.error is None
        assert locate(source.uri).path == names[source.uri]
        assert kind_of(source.uri)
    return Sources.of(listing.sources)


def planned(sources: Sources) -> list[str]:
    """The URIs of all shards; of each kind of file, some hundreds are opened for it."""
    shards = plan(with_footage(sources, Sources.of([]).table), [], 1.0)
    return sorted(source.uri for shard in shards for source in shard.sources)


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_odd_names_on_disk(tmp_path: Path, count: int) -> None:
    names = {}
    for name in odd_names(count, ON_DISK):
        path = os.path.normpath(os.path.join(tmp_path, "archive", name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()
        names[printable(f"file://{path}")] = path
    sources = sources_of(str(tmp_path / "archive"), names)
    assert planned(sources) == sorted(names)


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_odd_keys_on_s3(s3: str, count: int) -> None:
    bucket, store = s3.removeprefix("s3://"), fsspec.filesystem("s3")
    names = {}
    for name in odd_names(count, nameless=0.1):
        store.call_s3("put_object", Bucket=bucket, Key=f"night/{name}", Body=b"")
        names[f"{s3}/night/{name}"] = f"{bucket}/night/{name}"
    sources = sources_of(f"{s3}/night", names)
    assert planned(sources) == sorted(names)
