"""Licences of everything that an installation brings: what is not permissive is on the page of licences."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
OF_DEVELOPERS = ("dev", "docs")
PERMISSIVE = (
    r"MIT( License)?|MIT-0|MIT-CMU|0BSD|(BSD|Apache Software|ISC)( License)?( ISCL)?|BSD-[23]-Clause|FreeBSD"
    r"|3-Clause BSD License|Apache[- ]2\.0( WITH LLVM-exception)?|ISC|PSF-2\.0|Python Software Foundation License"
    r"|CNRI-Python|Zlib|CC0-1\.0|BSL-1\.0|DFSG approved"
)


def installed_with(requirements):
    """The names of all packages that these requirements bring here."""
    left = [(Requirement(one), "") for one in requirements]
    seen: set[tuple[str, str]] = set()
    while left:
        requirement, extra = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in {(canonicalize_name(requirement.name), one) for one in ("", *requirement.extras)} - seen:
            seen.add(wanted)
            try:
                needs = distribution(wanted[0]).requires or []
            except PackageNotFoundError:  # an extra that is not installed here
                continue
            left += [(Requirement(one), wanted[1]) for one in needs]
    return {name for name, _ in seen}


def test_what_is_not_permissive_is_on_the_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [needs for extra, needs in project["optional-dependencies"].items() if extra not in OF_DEVELOPERS]
    names = installed_with([*project["dependencies"], *chain.from_iterable(extras)])
    assert len(names) > 100
    listing = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json"]
    packages = json.loads(subprocess.run(listing, capture_output=True, text=True, check=True).stdout)
    told = {canonicalize_name(name) for name in re.findall(r"`([\w.-]+)`", PAGE.read_text())}
    missing = {}
    for package in packages:
        name = canonicalize_name(package["Name"])
        licences = re.split(" AND | OR |; ", re.sub(r"[()]", "", package["License"]))
        permissive = all(re.fullmatch(PERMISSIVE, one) for one in licences)
        if name in names and not (permissive or name in told or name.startswith("nvidia-")):
            missing[name] = package["License"]
    assert not missing, "neither permissive nor on docs/licences.md"
