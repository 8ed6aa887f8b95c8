"""The examples of the README, run as they stand on the tables of a real scan."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language):
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found


@pytest.fixture
def beside_tables(scanned, tmp_path, monkeypatch):
    """A folder that holds ``tables``, as the README's examples expect."""
    (tmp_path / "tables").symlink_to(scanned)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("sql", blocks("sql"))
def test_duckdb_examples(beside_tables, sql):
    assert len(duckdb.sql(sql).fetchall()) > 0


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples(beside_tables, code, capsys):
    frame = np.full((360, 640, 3), 90, np.uint8)
    exec(compile(code, "README.md", "exec"), {"frame": frame})
