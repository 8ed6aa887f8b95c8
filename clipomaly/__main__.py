"""``clipomaly`` and ``python -m clipomaly``: see first that our own packages are found, then run the command."""

import gc
import sys

from clipomaly.own_packages import HiddenPackageError, check_own_packages

_OBJECTS = 50_000
"""New objects after which garbage is collected. With Python's 700, imports alone cost 0.7 CPU seconds of it."""


def main() -> None:
    """Run the command."""
    gc.set_threshold(_OBJECTS)
    try:
        check_own_packages()
    except HiddenPackageError as error:
        sys.exit(f"error: {error}")
    from clipomaly.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
