"""The tables of a real scan, compacted by the command."""

import shutil

import pytest

from tasks.tables import Tables, open_table
from tests.flows.files import part_files, rows
from tests.tasks.tables.embedded import add_source, scan_record
from tests.tasks.tables.versions import tables_of_every_version


@pytest.fixture
def tables(scanned, tmp_path):
    shutil.copytree(scanned, tmp_path / "tables")
    return tmp_path / "tables"


def test_compact_while_people_read(clipomaly, tables, drawn_archive):
    before = {table: rows(str(tables), table) for table in ("instances", "frames")}
    small = part_files(tables)
    opened = open_table(str(tables), "instances")
    ran = clipomaly("compact", tables)
    assert ran.code == 0, ran.err
    assert ran.out.count("6 files merged, now 3") == 2 and "UTC removes what was replaced" in ran.out
    assert part_files(tables) == small and opened.count_rows() == len(before["instances"])
    ran = clipomaly("compact", tables, "--grace", 0)
    assert ran.code == 0 and "replaced files removed" in ran.out
    assert len(part_files(tables)) == 6
    assert "nothing to do" in clipomaly("compact", tables).out
    for table, was in before.items():
        assert rows(str(tables), table).equals(was)
    # What is scanned is still known, and the rest of the house reads the merged files.
    ran = clipomaly("scan", drawn_archive, "--out", tables, "--fps", 2, "--shard-minutes", 0.04)
    assert ran.code == 0 and "4 sources scanned before" in ran.out
    assert clipomaly("status", tables).code == 0
    counted = clipomaly("query", tables, "SELECT count(*) AS n FROM instances JOIN embeddings USING (instance_id)")
    assert counted.out.split()[-1] == str(len(before["instances"]))
    assert clipomaly("search", tables, "a tyre", "--count", 1).code == 0
    assert clipomaly("report", tables, "--out", tables.parent / "report").code == 0
    assert clipomaly("mine", tables, "--queue", tables.parent / "queue.db", "--count", 3).code == 0


def test_a_day_that_cannot_be_read_is_one_line(clipomaly, tables):
    [path, *_] = sorted(tables.glob("frames/*/*/*.parquet"))
    path.write_bytes(b"nothing")
    ran = clipomaly("compact", tables)
    assert ran.code == 1 and ran.err == ""
    told = [line for line in ran.out.splitlines() if "left:" in line]
    assert len(told) == 1 and f"{path} is damaged" in told[0]


def test_the_search_index_is_made_and_said(clipomaly, tmp_path):
    place = tmp_path / "tables"
    for drive in ("a", "b"):
        add_source(Tables.at(place), scan_record(), drive)
    ran = clipomaly("compact", place, "--grace", 0)
    assert ran.code == 0 and "search index of 1,200 instances" in ran.out
    assert "nothing to do" in clipomaly("compact", place, "--grace", 0).out
    assert clipomaly("forget", place, "s3://fleet/a/0.mp4", "--yes").code == 0
    assert not list(place.glob("_indexes/*/*"))


def test_bad_usage(clipomaly, tmp_path):
    assert clipomaly("compact", tmp_path, "--grace", -1).code == 2
    ran = clipomaly("compact", tmp_path / "none")
    assert ran.code == 1 and ran.err.startswith("error: There are no tables")


def test_upgrade(clipomaly, tmp_path):
    tables_of_every_version(tables := tmp_path / "tables")
    told = clipomaly("status", tables).out
    assert told.count("old files") == 4 and "6 files of schema version 1; the newest is" in " ".join(told.split())
    assert f"clipomaly compact {tables} --upgrade" in told
    assert clipomaly("compact", tables, "--upgrade").code == 0
    assert "old files" not in clipomaly("status", tables).out
