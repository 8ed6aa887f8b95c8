"""What commands print."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from clipomaly.cli.arguments import Format
from clipomaly.cli.diagnosis import Check
from clipomaly.cli.rendering.rows import plural, print_rows
from clipomaly.cli.settings import Setting
from flows.nightly_scan import Summary
from flows.parameters import ScanParameters
from schemas.records import Outcome
from tasks.scanning.plan_record import LeftShard
from tasks.scanning.status import ScanStatus

_MOST = 12  # lines of a list before "and n more"

NANO = (
    "nano is a small model for demonstration and tests, trained on drawn scenes only; "
    "for real footage give --model and --weights of a real CLIP"
)


def say_nano(model: str, weights: str | None) -> None:
    """Once per scan: what the built-in model is for."""
    if model == "nano" and weights is None:
        print(f"note: {NANO}", file=sys.stderr)


def print_summary(summary: Summary, parameters: ScanParameters) -> None:
    """The last lines of a scan: what was found, then what failed."""
    console = Console(soft_wrap=True, highlight=False)
    scanned = sum(summary.outcomes.values())
    console.print(
        f"[bold]{summary.frames}[/] frames of {scanned} source{plural(scanned)} scanned, "
        f"[bold]{summary.instances}[/] instance{plural(summary.instances)} found; scan {summary.scan_id}"
    )
    if summary.already_done:
        console.print(
            f"{summary.already_done} source{plural(summary.already_done)} had been scanned before: left alone"
        )
    if summary.names:
        table = Table("name", "instances", box=None, header_style="dim", pad_edge=False)
        for name, count in summary.names.most_common(_MOST):
            table.add_row(name, str(count))
        console.print(table)
    if summary.ignored:
        console.print(
            f"{len(summary.ignored)} file{plural(len(summary.ignored))} of no known kind passed over: "
            f"{_some(summary.ignored)}",
            markup=False,
        )
    for trouble in summary.troubles[:_MOST]:
        console.print(f"[yellow]{trouble.outcome.value}[/] {_escape(trouble.uri)}: {_escape(trouble.error or '')}")
    if len(summary.troubles) > _MOST:
        console.print(f"… and {len(summary.troubles) - _MOST} more: clipomaly status {parameters.tables}")
    for line in summary.lost[:_MOST]:
        console.print(f"[red]lost[/] {_escape(line)}")
    if summary.lost:
        console.print(f"{len(summary.lost)} shard{plural(len(summary.lost))} lost: run the same command again")
    for told in (summary.mining, summary.report):
        if told:
            console.print(_escape(told))
    if summary.instances:
        console.print(
            f"next: clipomaly report {parameters.tables}\n      clipomaly query {parameters.tables} "
            '"SELECT name, count(*) AS n FROM instances GROUP BY name ORDER BY n DESC"',
            markup=False,
        )


def print_profile(summary: Summary) -> None:
    """How long each stage of the shards of this scan was at work, and which of those that overlap sets the pace."""
    if not summary.frames:
        print("profile: no frame was scanned")
        return
    spent = summary.seconds
    stages = {"reading and decoding": spent.reading, "inferring": spent.inferring, "masks and rows": spent.writing}
    inside = {
        "inferring": {"dense features and scores": spent.scoring, "regions and names": spent.naming},
        "masks and rows": {
            "masks at the frame's size": spent.segmenting,
            "rows and writing": spent.writing - spent.segmenting,
        },
    }
    table = Table("stage", box=None, header_style="dim", pad_edge=False)
    table.add_column("seconds", justify="right")
    table.add_column("ms a frame", justify="right")
    for name, seconds in stages.items():
        table.add_row(name, f"{seconds:.2f}", f"{1000 * seconds / summary.frames:.1f}")
        for part, of_it in inside.get(name, {}).items():
            table.add_row(f"  {part}", f"{of_it:.2f}", f"{1000 * of_it / summary.frames:.1f}")
    Console(soft_wrap=True, highlight=False).print(table)
    (slowest, longest), (second, next_longest), _ = sorted(stages.items(), key=lambda stage: -stage[1])
    print(
        f"The three stages overlap. {slowest.capitalize()} sets the pace, {summary.frames / longest:.2f} frames a "
        f"second of a worker: it takes {longest / max(next_longest, 1e-9):.1f} times as long as {second}."
    )


def print_status(scans: Sequence[ScanStatus], tables: str) -> None:
    """The state of the tables in a few lines."""
    console = Console(soft_wrap=True, highlight=False)
    for scan in scans:
        console.print(
            f"[bold]scan {scan.scan_id}[/] model {scan.model}, {scan.fps:g} frame{plural(scan.fps)} a second, "
            f"begun {scan.created:%Y-%m-%d %H:%M} UTC"
        )
        shards = ", ".join(f"{scan.shards[outcome]} {outcome.value}" for outcome in Outcome)
        sources = ", ".join(f"{scan.outcomes[outcome]} {outcome.value}" for outcome in Outcome)
        console.print(f"  shards: {scan.shards.total()} done ({shards}), {len(scan.left)} left; sources: {sources}")
        speed = f", {scan.frames_per_second:.1f} frames a second of a worker" if scan.frames_per_second else ""
        console.print(
            f"  {scan.frames} frames, {scan.instances} instances{speed}; seconds reading "
            f"{scan.seconds.reading:.1f}, inferring {scan.seconds.inferring:.1f}, "
            f"writing {scan.seconds.writing:.1f}"
        )
        _list(
            console,
            [f"[yellow]{t.outcome.value}[/] {_escape(t.uri)}: {_escape(t.error or '')}" for t in scan.troubles],
        )
        _list(console, [f"[dim]note[/] {_escape(note)}" for note in scan.notes])
        _list(console, [f"[red]left[/] {_escape(_left(shard))}" for shard in scan.left])
    if not scans:
        console.print(f"no scan has written to {tables} yet", markup=False)


def _list(console: Console, lines: Sequence[str]) -> None:
    for line in lines[:_MOST]:
        console.print(f"  {line}")
    if len(lines) > _MOST:
        console.print(f"  … and {len(lines) - _MOST} more: --json has them all")


def _left(shard: LeftShard) -> str:
    more = f" and {shard.sources - 1} more" if shard.sources > 1 else ""
    return f"{shard.first}{more}: {shard.error or 'not scanned yet'}"


def print_status_json(scans: Sequence[ScanStatus]) -> None:
    """The state of the tables as one JSON array, for programs."""
    print(TypeAdapter(list[ScanStatus]).dump_json(list(scans), indent=1).decode())


def print_answer(rows: pd.DataFrame, output: Format) -> None:
    """A query's answer as a table for people, CSV or JSON lines."""
    match output:
        case Format.CSV:
            print(rows.to_csv(index=False), end="")
        case Format.JSON:
            print(rows.to_json(orient="records", lines=True, date_format="iso", default_handler=str), end="")
        case Format.TABLE:
            numeric = [str(name) for name in rows.columns if pd.api.types.is_numeric_dtype(rows[name])]
            cells = [[_cell(value) for value in row] for row in rows.itertuples(index=False)]
            print_rows([str(name) for name in rows.columns], cells, right=numeric)


def print_settings(settings: Sequence[Setting], as_json: bool) -> None:
    """Name, value and origin of each setting."""
    if as_json:
        print(json.dumps([asdict(setting) for setting in settings], indent=2))
        return
    rows = [(one.name, "" if one.value is None else str(one.value), one.origin) for one in settings]
    print_rows(("setting", "value", "from"), rows)


def print_checks(checks: Sequence[Check], as_json: bool) -> None:
    """What each check found, and how to mend what is wrong."""
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
        return
    console = Console(soft_wrap=True, highlight=False)
    for check in checks:
        mark = {True: "[green]ok  [/]", False: "[bold red]BAD [/]", None: "[dim]-   [/]"}[check.good]
        console.print(f"{mark} [bold]{check.what}[/]: {_escape(check.found)}")
        if check.mend:
            console.print(f"     {'to mend it' if check.good is False else 'to use it'}: {_escape(check.mend)}")


def print_models() -> None:
    """The built-in model and the way to any other."""
    import open_clip

    from tasks.model import ModelSettings, describe_model

    console = Console(soft_wrap=True, highlight=False)
    nano = describe_model(ModelSettings())
    console.print(
        f"[bold]nano[/]  built in, embeddings of {nano.embedding_dimension}, weights sha256 {nano.weights_sha256[:12]}"
    )
    console.print(f"      {NANO}")
    vits = sorted({name for name, _ in open_clip.list_pretrained() if name.startswith("ViT-") and "SigLIP" not in name})
    console.print(f"[bold]open_clip[/]  {len(vits)} ViT models with pretrained weights, such as")
    for name in ("ViT-B-16-quickgelu/openai", "ViT-L-14-quickgelu/openai", "ViT-B-16/laion2b_s34b_b88k"):
        console.print(f"      --model {name}")
    console.print("      downloaded from the hub at first use; without a network add --weights FILE")


def _cell(value: object) -> str:
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    match value:
        case float():
            return "" if math.isnan(value) else f"{value:.4g}"
        case bytes() | bytearray():
            return f"{len(value)} bytes"
        case np.ndarray() | list() | dict():
            return json.dumps(value, default=_plain)
    return str(value)


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _some(items: tuple[str, ...]) -> str:
    shown = ", ".join(item.rstrip("/").rsplit("/", 1)[-1] for item in items[:5])
    return shown if len(items) <= 5 else f"{shown}, …"


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
