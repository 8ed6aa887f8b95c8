"""Which code this is: the one place of the version, and the commit where the code is a checkout."""

import json
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

VERSION = "0.2.0"

_ROOT = Path(__file__).resolve().parents[1]
_DIGITS = 12
_GIT_SECONDS = 10


@lru_cache(maxsize=1)
def commit() -> str | None:
    """The commit of this code, 12 hex digits, with ``-changed`` where files differ from it; None where it is not known.

    A checkout is asked by Git; an installation from a Git URL has the commit in its metadata.
    """
    if (_ROOT / ".git").exists():
        return _checked_out()
    try:
        written = distribution("clipomaly").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    origin = json.loads(written) if written else {}
    commit_id = origin.get("vcs_info", {}).get("commit_id")
    return commit_id[:_DIGITS] if isinstance(commit_id, str) else None


def _checked_out() -> str | None:
    describe = ["git", "-C", str(_ROOT), "describe", "--always", "--exclude=*"]
    options = [f"--abbrev={_DIGITS}", "--dirty=-changed"]
    try:
        described = subprocess.run([*describe, *options], capture_output=True, text=True, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):  # without Git nothing says the commit
        return None
    return described.stdout.strip() or None
