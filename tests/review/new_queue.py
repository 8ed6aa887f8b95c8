"""New queues in SQLite files, without the wait for migrations that each test would have."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from review import Queue


def new_queue(path: Path) -> str:
    """Write an empty queue to ``path``: its address."""
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    """The file of an empty queue, made once in a process."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "queue.db"
        Queue.open(path).close()
        return path.read_bytes()
