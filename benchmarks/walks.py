"""Through how many files a piece of work walks: files entered and turnings from file to file.

    python benchmarks/walks.py CLIP_OR_ARCHIVE [CHECKOUT] [--list]

CHECKOUT is another checkout to measure instead of this one. ``--list`` also prints each file and each pair.

Runs the commands of three walks and watches every call: clip to row (``scan`` of one archive), mask to page (``mine``,
then ``review show --pictures`` of one item), decision to dataset (``review decide``, then ``dataset build``). A file is
entered when one of its functions runs. Imports do not count, nor what runs because of them: the bodies of classes,
decorators and what a module computes once. A turning is a pair of files of which the first calls into the second, each
pair once. Only files of the checkout count.
"""

import importlib
import json
import sqlite3
import sys
import tempfile
import threading
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import FrameType

_ARGUMENTS = [argument for argument in sys.argv[1:] if argument != "--list"]
ROOT = Path(_ARGUMENTS[1]).resolve() if len(_ARGUMENTS) > 1 else Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


class Watch:
    """Counts files and turnings of the calls while it is active, in every thread."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.turnings: set[tuple[str, str]] = set()

    def __enter__(self) -> "Watch":
        threading.setprofile(self._on_event)
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or frame.f_code.co_name == "<module>":
            return
        file = _own(frame)
        if file is None or _in_import(frame):
            return
        self.files.add(file)
        caller = frame.f_back
        while caller is not None and _own(caller) is None:
            caller = caller.f_back
        before = _own(caller) if caller is not None else None
        if before is not None and before != file:
            self.turnings.add((before, file))


def _in_import(frame: FrameType) -> bool:
    """Whether an import makes this frame run."""
    above: FrameType | None = frame
    while above is not None:
        if above.f_code.co_name == "<module>" and above.f_code.co_filename != __file__:
            return True
        above = above.f_back
    return False


_KNOWN: dict[str, str | None] = {}


def _own(frame: FrameType) -> str | None:
    """The file of a frame, where it is of this checkout and no part of an import or of this script."""
    name = frame.f_code.co_filename
    if name not in _KNOWN:
        path = Path(name)
        inside = path.is_relative_to(ROOT) and path.parts[len(ROOT.parts)] not in (".venv", "benchmarks")
        _KNOWN[name] = str(path.relative_to(ROOT)) if inside else None
    return None if frame.f_code.co_name == "<module>" else _KNOWN[name]


def _command(*arguments: object) -> None:
    # Before the command had a package of its own, it lay in flows.
    main = importlib.import_module("clipomaly.cli.main" if (ROOT / "clipomaly").is_dir() else "flows.cli").main
    sys.argv = ["clipomaly", *map(str, arguments)]
    said = StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            main()
    except SystemExit as stop:
        if stop.code:
            raise RuntimeError(f"{arguments}: {said.getvalue()}") from stop


def main() -> None:
    """Print the figures of the three walks as JSON."""
    archive = _ARGUMENTS[0]
    listed = "--list" in sys.argv
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        tables, queue = f"{folder}/tables", f"{folder}/queue.db"
        with Watch() as watch:
            _command("scan", archive, "--out", tables, "--model", "nano")
        figures["clip to row"] = watch
        with Watch() as watch:
            _command("mine", tables, "--queue", queue, "--count", 8)
            with sqlite3.connect(queue) as database:
                items = [row[0] for row in database.execute("SELECT item_id FROM items ORDER BY item_id")]
            _command("review", "show", items[0], "--queue", queue, "--pictures", f"{folder}/pictures")
        figures["mask to page"] = watch
        with Watch() as watch:
            _command("review", "decide", "relabel", *items, "--name", "road junk", "--queue", queue)
            _command(
                "dataset", "build", "--queue", queue, "--tables", tables, "--out", f"{folder}/dataset",
                "--format", "coco", "--split", "1/0/0",
            )  # fmt: skip
        figures["decision to dataset"] = watch
    if listed:
        for name, watch in figures.items():
            print(f"# {name}", *sorted(watch.files), "", sep="\n")
            print(*(f"{before} -> {after}" for before, after in sorted(watch.turnings)), "", sep="\n")
    print(json.dumps({name: [len(watch.files), len(watch.turnings)] for name, watch in figures.items()}))


if __name__ == "__main__":
    main()
