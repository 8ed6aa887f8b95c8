from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.records import Source, TimestampSource
from tasks.errors import UsageError, UserError
from tasks.footage.archive import find_sources, list_sources
from tests.tasks.samples import upload


def inventory_of(listing: Path, archive: str, rows: list[str], header: str = "uri,size,etag,captured") -> str:
    listing.write_text("\n".join([header, *(row.replace("@", archive) for row in rows)]) + "\n")
    return str(listing)


def entries(archive: Path, url: str) -> pa.Table:
    """What the store of an archive tells of its files."""
    import fsspec

    fs, path = fsspec.core.url_to_fs(url)
    found = fs.find(path, detail=True)
    names = [f"{url}/{name.removeprefix(path).lstrip('/')}" for name in found]
    etags = [info["ETag"] for info in found.values()]
    return pa.table({"uri": names, "size": [info["size"] for info in found.values()], "etag": etags})


def test_an_inventory_lists_what_the_store_lists(archive: Path, tmp_path: Path, s3: str) -> None:
    url = upload(archive, f"{s3}/fleet")
    listed = list_sources(url)
    table = entries(archive, url)
    pq.write_table(table, tmp_path / "fleet.parquet")
    (tmp_path / "fleet.csv").write_text(
        "\n".join(["uri,size,etag", *(f"{row['uri']},{row['size']},{row['etag']}" for row in table.to_pylist())])
    )
    for name in ("fleet.parquet", "fleet.csv"):
        from_file = find_sources(url, inventory=str(tmp_path / name))
        assert from_file.ignored == listed.ignored
        for there, here in zip(from_file.sources, listed.sources, strict=True):
            for field in ("uri", "size", "etag", "drive", "sidecar", "track"):
                assert getattr(there, field) == getattr(here, field)
    upload(tmp_path, f"{s3}/lists")
    assert len(find_sources(url, inventory=f"{s3}/lists/fleet.csv").sources) == len(listed.sources)


def test_the_captured_of_an_inventory_is_believed(tmp_path: Path) -> None:
    from tasks.footage.frames import open_source
    from tests.tasks.samples import write_video

    clip = write_video(tmp_path / "a" / "car7" / "20261122_031500.mp4")
    [listed] = find_sources(str(tmp_path / "a")).sources
    rows = [
        f"file://{clip},{listed.size},{listed.etag},2024-04-04T06:04:04+02:00",
        f"file://{clip.with_name('gone.mp4')},1,x,2024-04-04",
        f"file://{clip.with_name('20260101_000000.mp4')},1,x,",
        f"file://{clip.with_name('y.mp4')},1,x,2024-04-04 05:06:07",
    ]
    found = find_sources(str(tmp_path / "a"), inventory=inventory_of(tmp_path / "i.csv", "", rows)).sources
    told = {source.uri.rsplit("/", 1)[-1]: (source.captured, source.captured_from) for source in found}
    assert told == {
        clip.name: (datetime(2024, 4, 4, 4, 4, 4, tzinfo=UTC), TimestampSource.INVENTORY),
        "gone.mp4": (datetime(2024, 4, 4, tzinfo=UTC), TimestampSource.INVENTORY),
        "20260101_000000.mp4": (datetime(2026, 1, 1, tzinfo=UTC), TimestampSource.FILENAME),
        "y.mp4": (datetime(2024, 4, 4, 5, 6, 7, tzinfo=UTC), TimestampSource.INVENTORY),
    }
    opened = {source.uri.rsplit("/", 1)[-1]: open_source(source) for source in found}
    assert opened[clip.name].footage_seconds == 2.0
    assert opened[clip.name].captured == datetime(2024, 4, 4, 4, 4, 4, tzinfo=UTC)
    assert opened["gone.mp4"].error == "gone since it was listed"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("s3://elsewhere/x.mp4,1,e,", "s3://elsewhere/x.mp4 is not below the archive"),
        ("@/a/../../etc/x.mp4,1,e,", "is no file"),
        ("@/car/,1,e,", "is no file"),
        ("@/x.mp4,1.5,e,", "1.5 is no size in bytes"),
        ("@/x.mp4,-1,e,", "-1 is no size in bytes"),
        ("@/x.mp4,,e,", "no size"),
        ("@/x.mp4,1,,", "no etag"),
        (",1,e,", "no uri"),
        ("@/ok.mp4,1,e,", "/ok.mp4 is listed twice"),
        ("@/x.mp4,1,e,yesterday", "yesterday is no time"),
        ("@/x.mp4,1,e,2026-02-30T00:00:00Z", "2026-02-30T00:00:00Z is no time"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, told: str) -> None:
    root = f"file://{tmp_path}"
    listing = inventory_of(tmp_path / "i.csv", root, ["@/ok.mp4,1,e,2026-01-01T00:00:00Z", row, "@/z.mp4,1,e,"])
    with pytest.raises(UsageError) as error:
        find_sources(str(tmp_path), inventory=listing)
    assert "row 2: " in str(error.value) and told in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_no_inventory(tmp_path: Path) -> None:
    for header, told in (("uri,size", "no column etag"), ("a,b,c", "no column uri")):
        with pytest.raises(UsageError, match=told):
            find_sources(str(tmp_path), inventory=inventory_of(tmp_path / "i.csv", "", [header], header))
    (tmp_path / "i.csv").write_text("uri,size,etag\nfile:///x.mp4,1,x\nfile:///y.mp4,1\n")
    with pytest.raises(UsageError, match="row 2: 2 columns, where the header has 3"):
        find_sources(str(tmp_path), inventory=str(tmp_path / "i.csv"))
    (tmp_path / "i.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match="neither CSV nor Parquet"):
        find_sources(str(tmp_path), inventory=str(tmp_path / "i.parquet"))
    with pytest.raises(UserError, match=r"Cannot read .*nowhere\.csv"):
        find_sources(str(tmp_path), inventory=str(tmp_path / "nowhere.csv"))
    with pytest.raises(UsageError, match="--inventory or --prefix"):
        find_sources(str(tmp_path), ["a"], str(tmp_path / "i.csv"))
    (tmp_path / "i.csv").write_text("uri,size,etag\n")
    with pytest.raises(UserError, match="holds nothing to scan"):
        find_sources(str(tmp_path), inventory=str(tmp_path / "i.csv"))


def test_sources_of_an_inventory_keep_their_side_files_over_many_folders(tmp_path: Path) -> None:
    """Enough folders that the inventory is read in parts, at any depth."""
    rows = [f"@/night/car{car:03d}/clip{clip}.mp4,1,{car}-{clip}," for car in range(100) for clip in range(2)]
    rows += ["@/night/photos.json,1,j,", "@/night/photos/1.jpg,1,1,", "@/night/photos/deep/2.jpg,1,1,"]
    rows += ["@/night/car007/clip1.gpx,1,g,", "@/night/lonely.json,1,j,", "@/top.mp4,1,t,", "@/top.json,1,t,"]
    rows += ["@/night/both.mp4,1,b,", "@/night/both.json,1,b,", "@/night/both/1.jpg,1,1,"]
    listing = find_sources(f"file://{tmp_path}", inventory=inventory_of(tmp_path / "i.csv", f"file://{tmp_path}", rows))
    found: dict[str, Source] = {s.uri.removeprefix(f"file://{tmp_path}/"): s for s in listing.sources}
    assert len(found) == 205
    assert str(found["night/both.mp4"].sidecar).endswith("/night/both.json")
    assert str(found["night/photos/"].sidecar).endswith("/night/photos.json")
    assert found["night/photos/"].drive == "night"
    assert str(found["night/car007/clip1.mp4"].track).endswith("clip1.gpx")
    assert found["night/car007/clip0.mp4"].track is None
    assert str(found["top.mp4"].sidecar).endswith("/top.json")
    assert [name.rsplit("/", 1)[-1] for name in listing.ignored] == ["lonely.json"]
