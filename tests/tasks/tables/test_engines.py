"""The page "Reading the tables": its blocks run from top to bottom, on files of every schema version.

The files were written by the code of each version (see ``tests/data/schema_versions``). The ids of their scans are
replaced by such as versions before 0.2 wrote: hexadecimal digits alone, of which some read as numbers.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.masks import decode_mask
from schemas.records import ScanRecord
from schemas.tables import INSTANCES, SHARD
from tests.clipomaly.documents import ROOT, Block, blocks
from tests.tasks.tables.test_tables import commit, source
from tests.tasks.tables.versions import tables_of_every_version

pytestmark = pytest.mark.whole

PAGE = ROOT / "docs" / "howto" / "engines.md"
LIKE_NUMBERS = ["1977811083e4", "000000000012", "9007199254740993", "123456789e99", "e12345678901"]
# Daft leaves an event loop behind that disturbs what runs after it; chDB stops for ever in a process of pytest; Spark
# starts Java.
APART = ("daft", "chdb", "pyspark")

_TELL = """
import json
counts = counts.to_pylist() if hasattr(counts, "to_pylist") else counts
best = best.to_dict("records") if hasattr(best, "to_dict") else best
counts = counts.to_dict("records") if hasattr(counts, "to_dict") else counts
for row in best: row.pop("mask_rle"), row.pop("names")
print(json.dumps([counts, best, mask.tolist()], default=str))
"""


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tables`` of every version."""
    folder = tmp_path_factory.mktemp("mixture")
    tables_of_every_version(folder / "tables", LIKE_NUMBERS)
    return folder


def engines() -> tuple[list[Block], list[Any]]:
    """The blocks that the others need, and those of an engine each."""
    found = blocks("python", pages=[PAGE])
    needed = [block for block in found if "counts =" not in block.text]
    return needed, [_parameter(block) for block in found if block not in needed]


def _parameter(block: Block) -> Any:
    engine = imported(block)
    return pytest.param(block, id=engine, marks=[pytest.mark.slow] if engine in APART else [])


def imported(block: Block) -> str:
    names = [line.split()[1].split(".")[0] for line in block.text.splitlines() if line.startswith(("import ", "from "))]
    return names[-1] if names else "pyarrow"


@pytest.mark.parametrize("block", engines()[1])
def test_the_page(mixture: Path, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = imported(block)
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    monkeypatch.chdir(mixture)
    if engine == "datasets":
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", mixture / "cache")
    counts, best, mask = (apart if engine in APART else here)(block)
    rows = lying(mixture)
    keys = ("dt", "name") if engine == "datasets" else ("scan", "dt", "name")
    assert counts == Counter(tuple(str(row[key]) for key in keys) for row in rows)
    top = sorted(rows, key=lambda row: -row["anomaly_score"])[:3]
    columns = {*INSTANCES.names, SHARD.name} - {"mask_rle", "names", "timestamp"}
    for row, wanted in zip(best, top, strict=True):
        assert columns <= row.keys()
        # pandas writes a missing value as nan.
        assert {name: row[name] for name in columns if not pd.isna(row[name])} == {
            name: pytest.approx(wanted[name]) if isinstance(wanted[name], float) else wanted[name]
            for name in columns
            if wanted.get(name) is not None
        }
    assert np.array_equal(mask, decode_mask(top[0]["mask_rle"], top[0]["frame_height"], top[0]["frame_width"]))


def lying(mixture: Path) -> list[dict[str, Any]]:
    """The rows of all files, read one by one."""
    return [
        row | {"scan": path.parts[-3].removeprefix("scan="), "dt": path.parts[-2].removeprefix("dt=")}
        for path in mixture.glob("tables/instances/scan=*/dt=*/*.parquet")
        for row in pq.ParquetFile(path).read().to_pylist()
    ]


def here(block: Block) -> tuple[Counter[Any], list[dict[str, Any]], Any]:
    """Run a block: its counts, its rows with the highest scores, and the mask."""
    names: dict[str, Any] = {}
    for each in (*engines()[0], block):
        exec(compile(each.text, str(each), "exec"), names)
    counts = names["counts"]
    return counted(counts), records(names["best"]), names["mask"]


def counted(counts: Any) -> Counter[Any]:
    if isinstance(counts, Counter):
        return Counter({tuple(map(str, key)): count for key, count in counts.items()})
    found: Counter[Any] = Counter()
    for *key, count in (row.values() for row in records(counts)):
        found[tuple(str(part).removesuffix(" 00:00:00") for part in key)] += count
    return found


def records(rows: Any) -> list[dict[str, Any]]:
    """Rows of any engine."""
    if isinstance(rows, pd.DataFrame):
        return [dict(zip(map(str, rows.columns), row, strict=True)) for row in rows.itertuples(index=False)]
    if isinstance(rows, pa.Table):
        return list(rows.to_pylist())
    return list(rows) if isinstance(rows, list) else list(rows.to_dicts())


def apart(block: Block) -> tuple[Counter[Any], list[dict[str, Any]], Any]:
    """The same in a process of its own."""
    program = "".join(each.text for each in (*engines()[0], block)) + _TELL
    environment = os.environ | {"TZ": "UTC"}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    counts, best, mask = json.loads(ran.stdout.splitlines()[-1])
    return counted(counts), best, np.array(mask)


def test_new_ids_need_no_types(tmp_path: Path, record: ScanRecord, newer: ScanRecord) -> None:
    """As people write it who have not read the page."""
    import dask.dataframe as dd
    import polars as pl

    for number, scan in enumerate((record, newer)):
        commit(str(tmp_path), scan, [source(f"clip-{number}")])
    glob = f"{tmp_path}/instances/scan=*/dt=*/*.parquet"
    expected = sorted([record.scan_id, newer.scan_id] * 2)
    sql = f"SELECT scan FROM read_parquet('{glob}', hive_partitioning = true)"
    assert sorted(scan for (scan,) in duckdb.execute(sql).fetchall()) == expected
    assert sorted(pd.read_parquet(tmp_path / "instances")["scan"].astype(str)) == expected
    assert sorted(pl.read_parquet(glob, hive_partitioning=True)["scan"]) == expected
    assert sorted(dd.read_parquet(tmp_path / "instances")["scan"].compute().astype(str)) == expected
