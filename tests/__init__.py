"""Tests mirror the rooms. A package, so that tests/<room> never shadows the room itself."""
