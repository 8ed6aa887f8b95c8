"""Numbered files of a folder, ``<number>.json``: each is created once, and a later one has a greater number."""

import re

from tasks.storage import Location, create_file, file_names

_NAME = re.compile(r"(\d+)\.json")


def create_numbered(folder: Location, data: bytes) -> int:
    """Write a file with the next number, from 1, and return that. Raises UserError when it cannot be written."""
    taken = [int(match[1]) for name in file_names(folder, ".json") if (match := _NAME.fullmatch(name))]
    number = max(taken, default=0) + 1
    while not create_file(folder.child(f"{number:06d}.json"), data):
        number += 1
    return number
