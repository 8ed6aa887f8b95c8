"""Tables that the code of each schema version wrote: ``tests/data/schema_versions`` says how."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

WRITTEN = Path(__file__).parents[2] / "data" / "schema_versions" / "tables"
NEWEST_WRITTEN = 5


def tables_of_every_version(tables: Path, ids: Sequence[str] | None = None) -> dict[int, str]:
    """Copy them to ``tables``, with other ids of the scans if any are given: the id of the scan of each version."""
    scans = {
        int(json.loads(path.read_text("utf-8"))["schema_version"]): path.stem for path in WRITTEN.glob("_scans/*.json")
    }
    assert sorted(scans) == list(range(1, NEWEST_WRITTEN + 1))
    shutil.copytree(WRITTEN, tables)
    if ids is None:
        return scans
    shutil.rmtree(tables / "_checkpoints")  # Parquet files that repeat the ids
    renamed = {version: new for version, new in zip(sorted(scans), ids, strict=True)}
    for version, old in scans.items():
        for record in [*tables.glob(f"_*/{old}.json"), *tables.glob(f"_*/{old}/*.json"), *tables.glob("_runs/*.json")]:
            record.write_text(record.read_text("utf-8").replace(old, renamed[version]), "utf-8")
        for path in [*tables.glob(f"_*/{old}*"), *tables.glob(f"*/scan={old}")]:
            path.rename(path.with_name(path.name.replace(old, renamed[version])))
    return renamed


def three_versions(tables: Path) -> dict[int, str]:
    """The scans of versions 1, 3 and 5 only: what is enough for most tests."""
    scans = tables_of_every_version(tables)
    for version in (2, 4):
        for path in [*tables.glob(f"_*/{scans[version]}*"), *tables.glob(f"*/scan={scans[version]}")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        del scans[version]
    return scans
