"""Pages of the site that are made of the code: the table and the command reference, and files of the root."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from typer.cli import get_docs_for_click

from clipomaly.cli.main import app
from schemas.records import CommitRecord, CompactionRecord, PartFile, ScanRecord, SourceOutcome, Stages
from schemas.tables import DESCRIPTIONS, FRAMES, INSTANCES, SCHEMA_VERSION, Table, embeddings_schema

ROOT = Path(__file__).parent
_FOREIGN_WORKER = "https://unpkg.com/iframe-worker/shim"
_WORKER = "javascripts/file-worker.js"


GENERATED = ("reference/tables.md", "reference/commands.md", "contributing.md", "changelog.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave pages out of the navigation that are not written yet, and add at its end those that it does not list."""
    pages = sorted(str(page.relative_to(config.docs_dir)) for page in Path(config.docs_dir).rglob("*.md"))
    nav = _written(config.nav, {*pages, *GENERATED})
    left = [page for page in pages if f"'{page}'" not in str(nav)]
    config.nav = [*nav, *([{"More": left}] if left else [])]
    return config


def _written(entries: Any, pages: set[str]) -> list[Any]:
    kept = []
    for entry in entries:
        [(title, target)] = entry.items()
        if isinstance(target, list):
            kept.append({title: _written(target, pages)})
        elif target in pages:
            kept.append(entry)
    return kept


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = (table_reference(), command_reference(), _of_root("CONTRIBUTING.md"), _of_root("CHANGELOG.md"))
    for path, text in zip(GENERATED, pages, strict=True):
        files.append(File.generated(config, path, content=text))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take what the search of files needs from the site itself: the theme would load it from elsewhere."""
    return output.replace(_FOREIGN_WORKER, get_relative_url(_WORKER, page.url))


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page of what is not found."""
    return output_content.replace(_FOREIGN_WORKER, _WORKER)


def table_reference() -> str:
    """Every column of every table, and the records beside them."""
    lines = [
        "# Tables",
        "",
        f"Schema version {SCHEMA_VERSION}. A part file is `<table>/scan=<scan>/dt=<date>/<shard>.parquet`; `scan` and "
        "`dt` (the capture date in UTC) are folders, not columns of the file. `open_table` adds both. The last column "
        "of each file is `shard`. Files of several shards are [merged](../queries.md).",
    ]
    schemas = {Table.INSTANCES: INSTANCES, Table.FRAMES: FRAMES, Table.EMBEDDINGS: embeddings_schema(512)}
    said = {
        Table.INSTANCES: "One row an anomaly instance.",
        Table.FRAMES: "One row a sampled frame, also when nothing was found or it could not be read.",
        Table.EMBEDDINGS: "One row an instance. The length, here 512, is that of the model.",
    }
    for table, schema in schemas.items():
        lines += [
            "",
            f"## {table.value}",
            "",
            said[table],
            "",
            "| column | type | may be null | meaning |",
            "|---|---|---|---|",
        ]
        for column in schema:
            null = "yes" if column.nullable else ""
            lines.append(f"| `{column.name}` | {_type(column.type)} | {null} | {DESCRIPTIONS[table][column.name]} |")
    lines += ["", "## Records beside the tables", "", "`_scans/<scan>.json` says what a generation of rows is, and"]
    lines += ["`_commits/<scan>/<shard>.json` that a shard is done: it is written last."]
    lines += ["`_compactions/<scan>/<day>.<number>.json` tells which merged files hold which shards' rows of a day."]
    for record in (ScanRecord, CommitRecord, CompactionRecord, PartFile, SourceOutcome, Stages):
        lines += ["", f"### {record.__name__}", "", _flat(record.__doc__ or ""), "", "| field | type |", "|---|---|"]
        lines += [f"| `{field.name}` | {_annotation(field.type)} |" for field in fields(record)]
    return "\n".join(lines) + "\n"


def command_reference() -> str:
    """Every command with its arguments and options, as its help has them."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="clipomaly")
    text = get_docs_for_click(obj=command, ctx=context, name="clipomaly")
    text = re.sub(r"\[/?(bold|dim)?\]", "", text)  # markup of the terminal
    return re.sub(r"^Example: (.+)$", r"```\n\1\n```", text, flags=re.MULTILINE)


def _of_root(name: str) -> str:
    text = (ROOT / name).read_text("utf-8")
    return re.sub(r"\]\(docs/", "](", text)


def _type(type_: pa.DataType) -> str:
    return f"`{type_}`".replace("|", "\\|")


def _annotation(type_: object) -> str:
    name = type_.__name__ if isinstance(type_, type) and not hasattr(type_, "__args__") else str(type_)
    return f"`{name.replace('schemas.records.', '').replace('datetime.', '')}`".replace("|", "\\|")


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
