"""What a team would take instead, on the same clips: ``python -m benchmarks.peers``."""
