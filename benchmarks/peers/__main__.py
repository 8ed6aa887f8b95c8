"""What a team would take instead, on the same clips: frames a second, CPU seconds, memory, and what a kill costs.

    python -m benchmarks.peers                      # all: a quarter of an hour on two cores
    python -m benchmarks.peers --only ray datatrove --clips 4

Each peer runs in an environment of its own below ``build/peers``, with the versions in ``requirements``; it sees our
packages behind its own. Each runs once to its end, then is killed after 60 % of its CPU seconds, with all its
processes, and started again with the same command. One model at a time and one thread each, with ``nano``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.peers.clips import clips_of, frames_of_clip
from benchmarks.peers.processes import Used, run_all
from benchmarks.results import RESULTS, write_results
from clipomaly_core import Clipomaly
from demo_fleet import write_archive

_HERE = Path(__file__).parent
_KILL_AFTER = 0.6
"""Share of the CPU seconds of a whole run."""


@dataclass(frozen=True, slots=True)
class Peer:
    """``command`` follows the interpreter; ``requirements`` names a file, ``None`` for our own environment. ``kept``
    counts the frames that are safely in an output, given its interpreter and the output."""

    command: Callable[[str, str], list[str]]
    requirements: str | None
    kept: Callable[[Path, Path], int]


def _rows(pattern: str) -> Callable[[Path, Path], int]:
    """Counts the rows of the Parquet files that can be read."""

    def count(_: Path, out: Path) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = 0
        for path in out.glob(pattern):
            try:
                rows += pq.ParquetFile(path).metadata.num_rows
            except pa.ArrowInvalid:  # it was cut off
                continue
        return rows

    return count


def _frames_committed(_: Path, out: Path) -> int:
    from tasks.tables import open_table

    return open_table(str(out), "frames").count_rows() if any(out.glob("_commits/*/*")) else 0


def _frames_in_fiftyone(python: Path, out: Path) -> int:
    command = [str(python), "-m", "benchmarks.peers.fiftyone_embeddings", "", str(out), "count"]
    environment = os.environ | _environment(out)
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()[-1])


def _module(name: str) -> Callable[[str, str], list[str]]:
    return lambda archive, out: ["-m", f"benchmarks.peers.{name}", archive, out]


def _scan(archive: str, out: str) -> list[str]:
    # Shards of two clips: a kill costs what is in one.
    return ["-m", "clipomaly", "scan", archive, "--out", out, "--model", "nano", "--shard-minutes", "0.3"]


PEERS = {
    "clipomaly": Peer(_scan, None, _frames_committed),
    "ray": Peer(_module("ray_data"), "ray", _rows("*.parquet")),
    "datatrove": Peer(_module("datatrove_executor"), "datatrove", _rows("*.parquet")),
    "clip-retrieval": Peer(_module("clip_retrieval_runner"), "clip-retrieval", _rows("rows/metadata/*.parquet")),
    "fiftyone": Peer(_module("fiftyone_embeddings"), "fiftyone", _frames_in_fiftyone),
    "img2dataset": Peer(_module("img2dataset_download"), "img2dataset", _rows("rows/[0-9]*.parquet")),
}


def environment_of(peer: Peer, root: Path) -> Path | str:
    """The interpreter of a peer, its packages installed; or why they could not be, in one line."""
    if peer.requirements is None:
        return Path(sys.executable)
    folder = root / peer.requirements
    python = folder / "bin" / "python"
    done = folder / "installed"
    wanted = (_HERE / "requirements" / f"{peer.requirements}.txt").read_text("utf-8")
    if done.exists() and done.read_text("utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "zz_ours.pth").write_text("\n".join(ours) + "\n", "utf-8")  # behind the peer's own
    file = folder / "requirements.txt"
    file.write_text(wanted, "utf-8")
    ran = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", "-r", file],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        return (ran.stderr.strip().splitlines() or ["pip failed"])[-1]
    done.write_text(wanted, "utf-8")
    return python


def _environment(out: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(_HERE.parents[1]),
        "OMP_NUM_THREADS": "1",
        "RAY_TMPDIR": tempfile.gettempdir(),
        "FIFTYONE_DATABASE_DIR": str(out.absolute() / "database"),
        "FIFTYONE_DO_NOT_TRACK": "true",
    }


def measure(name: str, python: Path, archive: str, frames: int, folder: Path) -> dict[str, float]:
    """A whole run, and one that is killed and started again."""
    peer, log = PEERS[name], RESULTS / f"peer-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def run(out: Path, kill_after: float | None = None) -> Used:
        return run_all([str(python), *peer.command(archive, str(out))], _environment(out), log, kill_after)

    whole = run(folder / "whole")
    again = folder / "again"
    first = run(again, _KILL_AFTER * whole.cpu_seconds)
    kept = peer.kept(python, again)
    second = run(again)
    return {
        "frames": frames,
        "frames in its output": peer.kept(python, folder / "whole"),
        "frames a second": frames / whole.seconds,
        "CPU seconds": whole.cpu_seconds,
        "most memory, MiB": whole.peak_mib,
        "frames in the output when killed": kept,
        "CPU seconds until killed": first.cpu_seconds,
        "CPU seconds of the second run": second.cpu_seconds,
        "frames in the output at the end": peer.kept(python, again),
        "CPU seconds of both runs, times a whole one": (first.cpu_seconds + second.cpu_seconds) / whole.cpu_seconds,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--clips", type=int, default=12, help="clips of eight seconds")
    parser.add_argument("--environments", type=Path, default=RESULTS.parent / "peers")
    arguments = parser.parse_args()
    measured: dict[str, object] = {}
    Clipomaly.load("nano", device="cpu")  # names are embedded once for all
    arguments.environments.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.environments) as folder:
        archive = Path(folder) / "archive"
        write_archive(archive, drives=2, clips=max(1, arguments.clips // 2), objects=arguments.clips)
        frames = sum(1 for clip in clips_of(str(archive)) for _ in frames_of_clip(clip))
        for name in arguments.only:
            python = environment_of(PEERS[name], arguments.environments)
            if isinstance(python, str):
                print(f"{name} did not install: {python}", flush=True)
                measured[name] = python
                continue
            measured[name] = measure(name, python, str(archive), frames, Path(folder) / name)
            print(f"{name}: {json.dumps(measured[name])}", flush=True)
    path = write_results("peers", measured)
    table = Table("", box=None)
    figures = {name: figure for name, figure in measured.items() if isinstance(figure, dict)}
    for name in figures:
        table.add_column(name)
    for row in next(iter(figures.values()), {}):
        values = [figure[row] for figure in figures.values()]
        table.add_row(row, *(f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in values))
    Console(soft_wrap=True).print(table)
    print(path)


if __name__ == "__main__":
    main()
