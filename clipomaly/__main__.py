"""``python -m clipomaly``."""

from clipomaly.cli.main import main

main()
