"""Archives in storage that is neither a disk nor S3, each behind a real server or filesystem."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import fsspec
import fsspec.config
import paramiko
import pytest

from clipomaly_core.errors import UserError
from tasks.addresses import file_name
from tasks.errors import BadUrlError
from tasks.footage.archive import find_sources, list_sources
from tasks.footage.frames import current_etag, read_frame, read_frames
from tasks.storage import locate
from tasks.tables import open_table
from tests.azurite import azurite
from tests.command import Run
from tests.sftp import sftp_server
from tests.tasks.footage.numbered import number_of, write_numbered
from tests.tasks.samples import image_bytes, write_images, write_tar

pytestmark = pytest.mark.whole


@pytest.fixture
def night(tmp_path: Path) -> Path:
    write_numbered(tmp_path / "night" / "car 1" / "20261122_031500 é#%20.mp4").with_suffix(".json").write_text(
        '{"latitude": 48.0, "longitude": 11.0}'
    )
    write_images(tmp_path / "night" / "car2" / "photos", 2)
    write_tar(tmp_path / "night" / "car2" / "a.tar", {"1.jpg": image_bytes(1)})
    return tmp_path / "night"


def check(url: str, night: Path) -> None:
    """It is listed, opened and read as the same folder on a disk is."""
    listing, folder = list_sources(url), list_sources(str(night))
    assert [file_name(source.uri) for source in listing.sources] == [file_name(source.uri) for source in folder.sources]
    for there, here in zip(listing.sources, folder.sources, strict=True):
        for field in ("size", "drive", "captured_from", "footage_seconds", "latitude", "note", "error"):
            assert getattr(there, field) == getattr(here, field)
        assert there.etag and there.etag == current_etag(there)
    video, tar, photos = listing.sources
    assert [number_of(frame.image) for frame in read_frames(video, 1.0)] == [0, 10, 20, 30, 40, 50]
    assert number_of(read_frame(video.uri, 13)) == 13
    for images, count in ((tar, 1), (photos, 2)):
        assert [frame.error for frame in read_frames(images, 1.0)] == [None] * count


def fill(url: str, night: Path) -> None:
    place = locate(url)
    for path in night.rglob("*.*"):
        place.fs.pipe_file(place.child(path.relative_to(night).as_posix()).path, path.read_bytes())


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setitem(fsspec.config.conf, "sftp", {"password": "word", "look_for_keys": False, "allow_agent": False})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with sftp_server(tmp_path, tmp_path / "home" / ".ssh" / "known_hosts") as url:
        yield url
    fsspec.get_filesystem_class("sftp").clear_instance_cache()


def test_memory(night: Path) -> None:
    fill("memory://test-other-stores/night", night)
    check("memory://test-other-stores/night", night)


def test_sftp(night: Path, sftp: str) -> None:
    (night / "car2" / "linked.tar").symlink_to(night / "car2" / "a.tar")
    (night / "linked").symlink_to(night / "car2")
    listing = find_sources(f"{sftp}/night")
    assert [name.rsplit("/", 1)[-1] for name in listing.ignored] == ["linked"]
    linked = next(source for source in listing.sources if file_name(source.uri) == "linked.tar")
    assert [frame.error for frame in read_frames(linked, 1.0)] == [None]
    (night / "car2" / "linked.tar").unlink()
    (night / "linked").unlink()
    check(f"{sftp}/night", night)


def test_sftp_that_refuses(sftp: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "paramiko")
    with pytest.raises(UserError, match="There is no archive"):
        find_sources(f"{sftp}/nothing")
    monkeypatch.setitem(fsspec.config.conf, "sftp", {"password": "no", "look_for_keys": False, "allow_agent": False})
    with pytest.raises(UserError, match=r"Cannot read sftp://ann@127.0.0.1:\d+/other: Authentication failed") as error:
        find_sources(f"{sftp}/other")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"Cannot read sftp://127.0.0.1:1/x: "):
        find_sources("sftp://127.0.0.1:1/x")


def test_sftp_servers_that_are_not_known(
    tmp_path: Path, night: Path, sftp: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "paramiko")
    known = tmp_path / "home" / ".ssh" / "known_hosts"
    host, kind, _ = known.read_text().split()
    known.write_text(f"{host} {kind} {paramiko.RSAKey.generate(2048).get_base64()}\n")
    with pytest.raises(UserError, match="its key is another one than in known_hosts"):
        find_sources(f"{sftp}/night")
    known.unlink()
    with pytest.raises(UserError, match=r"it is not in known_hosts: compare its key SHA256:.* ssh-keyscan"):
        find_sources(f"{sftp}/night")
    # Whoever knows better says so in the configuration of fsspec.
    trusting = fsspec.config.conf["sftp"] | {"host_key_policy": "auto_add"}
    monkeypatch.setitem(fsspec.config.conf, "sftp", trusting)
    assert len(find_sources(f"{sftp}/night").sources) == 3


def test_keys_with_line_ends(tmp_path: Path) -> None:
    """Not on S3 itself: its stand-in here refuses such keys."""
    place = locate("memory://test-line-ends/night")
    tar = write_tar(tmp_path / "a.tar", {"1.jpg": image_bytes(1)}).read_bytes()
    for name in ("a\nb.tar", "a\rb.tar", "a\x01b.tar"):
        place.fs.pipe_file(place.child(f"car1/{name}").path, tar)
    sources = list_sources("memory://test-line-ends/night").sources
    assert [source.error for source in sources] == [None] * 3
    assert [frame.error for source in sources for frame in read_frames(source, 1.0)] == [None] * 3


@pytest.mark.parametrize("url", ["sftp:///x", "http://[/x", "zip://car1", "reference://x", "nothing://x"])
def test_urls_that_name_no_storage(url: str) -> None:
    with pytest.raises(BadUrlError, match="Cannot open ") as error:
        find_sources(url)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_google_storage(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gcp_storage_emulator.server import create_server

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="fleet")
    server.start()
    try:
        # Else it asks Google itself for the kind of the bucket.
        monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        fill("gs://fleet/night", night)
        check("gs://fleet/night", night)
        with pytest.raises(UserError, match="There is no archive"):
            find_sources("gs://fleet/nothing")
    finally:
        server.stop()


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The connection string of a running Azurite that has a container ``fleet``."""
    folder = tmp_path / "azurite"
    folder.mkdir()
    store = fsspec.get_filesystem_class("abfs")
    with azurite(folder) as connection:
        monkeypatch.setitem(fsspec.config.conf, "abfs", {"connection_string": connection})
        store.clear_instance_cache()
        locate("abfs://fleet/x").fs.mkdir("fleet")
        yield connection
    store.clear_instance_cache()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_azure(night: Path, azure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clipomaly: Run) -> None:
    fill("abfs://fleet/night", night)
    check("abfs://fleet/night", night)
    with pytest.raises(UserError, match="There is no archive"):
        find_sources("abfs://fleet/nothing")
    options = ("--model", "nano", "--no-reference", "--report", tmp_path / "report")
    ran = clipomaly("scan", "abfs://fleet/night", "--out", "abfs://fleet/tables", *options)
    assert ran.code == 0, ran.err
    assert clipomaly("scan", night, "--out", tmp_path / "tables", *options).code == 0
    there, here = (
        sorted(row["anomaly_score"] for row in open_table(tables, "instances").to_table(["anomaly_score"]).to_pylist())
        for tables in ("abfs://fleet/tables", tmp_path / "tables")
    )
    assert there == here
    assert clipomaly("status", "abfs://fleet/tables").code == 0
    assert clipomaly("check", "abfs://fleet/tables").code == 0

    # Wrong keys are one line, without the key.
    wrong = azure.replace("AccountKey=", "AccountKey=AAAA")
    monkeypatch.setitem(fsspec.config.conf, "abfs", {"connection_string": wrong})
    fsspec.get_filesystem_class("abfs").clear_instance_cache()
    refused = clipomaly("scan", "abfs://fleet/night", "--out", tmp_path / "other", *options)
    assert refused.code == 1 and refused.err.count("error:") == 1 and "Traceback" not in refused.err, refused.err
    assert "AAAA" not in refused.err and "not expected" not in refused.err, refused.err


@pytest.mark.parametrize(
    ("url", "package"), [("smb://host/x", "smbprotocol"), ("dropbox://x", "dropboxdrivefs"), ("oci://x", "ocifs")]
)
def test_a_missing_package_is_named(url: str, package: str) -> None:
    with pytest.raises(BadUrlError, match=package) as error:
        find_sources(url)
    assert "\n" not in str(error.value)
