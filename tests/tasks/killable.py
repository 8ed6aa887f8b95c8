"""Scans, compactions, publishers and makers of search indexes in processes of their own, to be killed: ready-made ones,
since importing takes longer.

Run as a program it reads lines of JSON ``[archive, tables, count, environment]`` and forks so many scans; compactions
where there is no archive, publishers where it is ``PUBLISH``, and makers of indexes where it is ``INDEX``. It prints
their process ids, reads an empty line, and prints how each has ended. Until then the ids are theirs alone. With the
argument ``PUBLISH`` or ``INDEX`` it cannot scan, and is ready sooner.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tasks.tables import Tables

ROOT = Path(__file__).parents[2]
PUBLISH, INDEX = "publish:", "index:"


class Scans:
    """Starts them from the outside; one set of them at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, archive: str | None, tables: str, count: int = 1) -> list[int]:
        """Begin ``count`` scans of an archive at once, or compactions without grace: their process ids."""
        assert self._process.stdin and self._process.stdout
        storage = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        self._process.stdin.write(json.dumps([archive, tables, count, storage]) + "\n")
        self._process.stdin.flush()
        return [int(pid) for pid in self._process.stdout.readline().split()]

    def wait(self) -> list[int]:
        """How each ended: 0, or the negative number of the signal."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return [os.waitstatus_to_exitcode(int(status)) for status in self._process.stdout.readline().split()]

    def killed_after(self, archive: str | None, tables: str, seconds: float) -> bool:
        """Begin a scan, or a compaction, and kill it after so long: whether it was still at work then."""
        [pid] = self.start(archive, tables)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        return self.wait() == [-signal.SIGKILL]


@contextmanager
def scans(*arguments: str) -> Iterator[Scans]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tasks.killable", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield Scans(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


def moments(count: int, until: float, seed: int) -> Sequence[float]:
    """Random moments of a scan that takes ``until`` seconds."""
    drawn = random.Random(seed)
    return [drawn.uniform(0, until) for _ in range(count)]


def _make_scan() -> Callable[[str, str], object]:
    from tasks.scanning.scan_record import make_scan_record
    from tests.tasks.samples import description
    from tests.tasks.scanning.test_scan import scan_all

    record = make_scan_record(description(), fps=2.0)
    return lambda archive, tables: scan_all(archive, record, tables)


def _main() -> None:
    scan = _make_scan() if sys.argv[1:] == [] else None
    if INDEX in sys.argv:
        import faiss  # noqa: F401
    print("ready", flush=True)
    while line := sys.stdin.readline():
        archive, tables, count, environment = json.loads(line)
        children = []
        for _ in range(count):
            child = os.fork()
            if child == 0:
                os.environ.update(environment)
                try:
                    if archive is None:
                        list(Tables.at(tables).compact(timedelta(), upgrade=True))
                    elif archive == PUBLISH:
                        list(Tables.at(tables).publish())
                    elif archive == INDEX:
                        list(Tables.at(tables).index())
                    else:
                        assert scan
                        scan(archive, tables)
                except BaseException as error:
                    print(repr(error), file=sys.stderr, flush=True)
                    os._exit(1)
                os._exit(0)
            children.append(child)
        print(*children, flush=True)
        sys.stdin.readline()
        print(*(os.waitpid(child, 0)[1] for child in children), flush=True)


if __name__ == "__main__":
    _main()
