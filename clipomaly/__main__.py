"""``clipomaly`` and ``python -m clipomaly``: see first that our own packages are found, then run the command."""

import sys

from clipomaly.own_packages import HiddenPackageError, check_own_packages


def main() -> None:
    """Run the command."""
    try:
        check_own_packages()
    except HiddenPackageError as error:
        sys.exit(f"error: {error}")
    from clipomaly.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
