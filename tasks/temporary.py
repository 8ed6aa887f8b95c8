"""Temporary folders that do not outlive their process by more than one start of the next."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing tells whether a folder's process is alive, and all of them stay
    fcntl = None  # type: ignore[assignment]

_PREFIX = "clipomaly-"
_LOCK = "lock"
_NEW_SECONDS = 60.0  # in which a folder may not have its lock yet
_OLD_SECONDS = 86_400.0  # after which one without a lock, of an earlier version, is left over


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder below TMPDIR that is gone afterwards. Where the process is killed, the next one removes it.

    Raises OSError when it cannot be made.
    """
    remove_stale()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, open(os.path.join(name, _LOCK), "wb") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets it go when this process ends, however it does
        yield Path(name)


@cache
def remove_stale() -> None:
    """Remove, once in the life of this process, temporary folders of this user whose processes have ended."""
    if fcntl is None:
        return
    with os.scandir(tempfile.gettempdir()) as found:
        for entry in found:
            if entry.name.startswith(_PREFIX) and _is_stale(entry):
                shutil.rmtree(entry.path, ignore_errors=True)  # another process may be at it too


def _is_stale(entry: "os.DirEntry[str]") -> bool:
    try:
        about = entry.stat(follow_symlinks=False)
        age = time.time() - about.st_mtime
        if not entry.is_dir(follow_symlinks=False) or about.st_uid != os.geteuid() or age < _NEW_SECONDS:
            return False
        lock = os.path.join(entry.path, _LOCK)
        return _is_free(lock) if os.path.exists(lock) else age > _OLD_SECONDS
    except OSError:  # gone meanwhile, or not ours to look at
        return False


def _is_free(path: str) -> bool:
    with open(path, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # its process is alive
            return False
        return True
