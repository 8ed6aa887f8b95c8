"""``clipomaly doctor``: whether everything that a scan needs is there, and how to mend what is not."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipomaly.cli.arguments import Device, Json, Model, VocabularyFile, Weights
from clipomaly.cli.rendering.console import from_outside, stdout
from tasks.errors import UserError

if TYPE_CHECKING:
    from flows.parameters import ScanParameters

_OPENED = 64  # sources of an archive, however large


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, and the result. ``good`` is None if it is not used here; ``mend`` says what to do."""

    what: str
    found: str
    good: bool | None
    mend: str = ""


def doctor(
    archive: Annotated[str | None, typer.Option(help="Footage that a scan will read.")] = None,
    tables: Annotated[
        str | None, typer.Option(help="Where a scan will write; a small file is made and removed.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(envvar="CLIPOMALY_QUEUE", help="The review queue; doctor never creates it.")
    ] = None,
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    device: Device = None,
    config: Annotated[Path | None, typer.Option(help="This file instead of clipomaly.toml.")] = None,
    as_json: Json = False,
) -> None:
    """Check what a scan needs, and say how to mend what is missing. Exit 1 when something is bad.

    Example: clipomaly doctor --archive s3://fleet/2026-11-22 --tables s3://fleet/tables
    """
    from clipomaly.cli.settings import scan_parameters

    given = {"model": model, "weights": weights, "vocabulary": vocabulary, "device": device}
    parameters = scan_parameters(archive or "", tables or "", given, [], config)
    checks = list(_examine(parameters, archive, tables, queue))
    print_checks(checks, as_json)
    if any(check.good is False for check in checks):
        raise typer.Exit(1)


def _examine(
    parameters: "ScanParameters", archive: str | None, tables: str | None, queue: str | None
) -> Iterator[Check]:
    """Look at torch, weights, archive, tables, Prefect server and queue, one after the other.

    Args:
        parameters: what is in force, for model, weights, vocabulary and device.
        archive: footage to reach; not looked at where None.
        tables: place to write to (one small file, which is removed again); not looked at where None.
        queue: queue to open, never made; not looked at where None.
    """
    yield _torch(parameters.device)
    yield _weights(parameters)
    yield _tagger(parameters)
    yield _asked("archive", archive, "give --archive", _archive)
    yield _asked("tables", tables, "give --tables", _tables)
    yield _prefect()
    yield _asked("queue", queue, "give --queue", _queue)


def _asked(what: str, place: str | None, how: str, look: Callable[[str], Check]) -> Check:
    if place is None:
        return Check(what, "not asked for", None, how)
    try:
        return look(place)
    except UserError as error:
        return Check(what, str(error), False, "check the address and your credentials for it")


def _torch(device: str) -> Check:
    import torch

    found = f"torch {torch.__version__}"
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator()
        count = torch.accelerator.device_count()
        return Check("accelerator", f"{found}, {count} x {kind}", True)
    if device not in ("auto", "cpu"):
        return Check(
            "accelerator", f"{found} sees none, and device is {device}", False,
            "install the driver and the torch build for it, or set device to cpu",
        )  # fmt: skip
    mend = "install the accelerator's driver and the torch build for it"
    abilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions lack it
    if abilities.get("avx512_bf16") or abilities.get("amx_bf16"):
        mend += "; until then --set precision=bfloat16 makes a real CLIP about twice as fast on this CPU"
    return Check("accelerator", f"{found}, CPU only ({torch.get_num_threads()} threads)", None, mend)


def _weights(parameters: "ScanParameters") -> Check:
    from tasks.model import describe_model, embed_one_frame

    try:
        model = describe_model(parameters.model_settings())
        embedded = embed_one_frame(parameters.model_settings())
    except UserError as error:
        return Check("weights", str(error), False, "download them where there is a network and give --weights FILE")
    names = len(model.vocabulary) - model.known_classes
    found = (
        f"{model.model}, sha256 {model.weights_sha256[:12]}; {model.known_classes} known classes, {names} names; "
        f"{embedded}"
    )
    if model.model == "nano":
        return Check(
            "weights", found, True, "nano is for demonstration: use road, or give --model and --weights of a real CLIP"
        )
    return Check("weights", found, True)


def _tagger(parameters: "ScanParameters") -> Check:
    from tasks.model import tagger_trouble

    if parameters.method.get("candidates") != "ram":
        return Check("tagger", "not asked for", None, "set candidates=ram in [method] of clipomaly.toml")
    if trouble := tagger_trouble():
        return Check("tagger", trouble, False, "use candidates=clip-tagger, or install what is named here")
    return Check("tagger", "the Recognize Anything package is installed", True)


def _archive(url: str) -> Check:
    from tasks.footage.archive import find_sources
    from tasks.footage.frames import open_source

    listing = find_sources(url)
    opened = [open_source(source) for source in listing.sources[:_OPENED]]
    broken = [source for source in opened if source.error]
    found = (
        f"{len(listing.sources)} sources, {len(broken)} of the first {len(opened)} unreadable, "
        f"{len(listing.ignored)} files ignored"
    )
    if len(broken) == len(opened):
        return Check("archive", found, False, f"look at {broken[0].uri}: {broken[0].error}")
    return Check("archive", found, True)


def _tables(url: str) -> Check:
    from tasks.storage import create_file, locate, reason
    from tasks.storage_errors import storage_errors
    from tasks.tables import Tables

    place = locate(url).child(f"_doctor/{uuid.uuid4().hex}")
    create_file(place, b"clipomaly doctor")
    try:
        if create_file(place, b"again"):
            return Check(
                "tables", f"{url} lets two writers create the same file", False,
                "use a store with conditional writes; else run one scan at a time",
            )  # fmt: skip
    finally:
        try:
            place.fs.rm(place.path)
        except storage_errors() as error:
            print(f"note: {place.url} is left behind: {reason(error)}")
    scans = Tables.at(url).scans()
    return Check("tables", f"{url} can be written, {len(scans)} scan{'' if len(scans) == 1 else 's'} in it", True)


def _prefect() -> Check:
    import httpx
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        return Check(
            "Prefect server", "none configured: runners other than inline start one for the run", None,
            "run prefect server start, and set PREFECT_API_URL=http://127.0.0.1:4200/api",
        )  # fmt: skip
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        return Check(
            "Prefect server", f"{url} does not answer ({error})", False,
            "start it, or unset PREFECT_API_URL",
        )  # fmt: skip
    return Check("Prefect server", f"{url} answers", True)


def _queue(url: str) -> Check:
    from review.errors import ReviewError
    from review.queue import Queue
    from schemas.review import State

    try:
        with Queue.open(url, create=False, patience=5) as queue:
            waiting = queue.stats().items(State.PENDING, State.LEASED, State.SNOOZED)
    except ReviewError as error:
        return Check("queue", str(error), False, "clipomaly mine TABLES --queue URL makes it")
    return Check("queue", f"{waiting} items wait", True)


_MARKS = {True: "[green]ok  [/]", False: "[bold red]BAD [/]", None: "[dim]-   [/]"}


def print_checks(checks: Sequence[Check], as_json: bool) -> None:
    """What each check found, and how to mend what is wrong."""
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
        return
    console = stdout()
    for check in checks:
        console.print(f"{_MARKS[check.good]} [bold]{check.what}[/]: {from_outside(check.found)}")
        if check.mend:
            console.print(f"     {'to solve it' if check.good is False else 'to use it'}: {from_outside(check.mend)}")
