"""A reference as one file of safetensors, its facts as JSON in the header. Nothing in it is ever executed."""

import json
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import fsspec
from safetensors import SafetensorError
from safetensors.torch import load, save

from clipomaly_core.errors import UsageError
from clipomaly_core.reference.bank import Bank
from clipomaly_core.reference.record import Reference, ReferenceFacts, Spread

SUFFIX = ".safetensors"
_FORMAT = "clipomaly.reference.1"


def reference_bytes(reference: Reference) -> bytes:
    """The content of a reference file; the same for the same reference."""
    told = {
        "format": _FORMAT,
        "facts": asdict(reference.facts),
        "language": asdict(reference.language),
        "distance": asdict(reference.distance),
    }
    tensors = {"directions": reference.bank.directions, "vectors": reference.bank.vectors.half()}
    return save(tensors, {"reference": json.dumps(told, sort_keys=True)})


def read_reference(url: str) -> Reference:
    """The reference in a file.

    Args:
        url: path or any fsspec URL.

    Raises:
        UsageError: the file is missing, out of reach, or no reference.
    """
    try:
        with fsspec.open(url, "rb") as file:
            content = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise UsageError(f"Reference {url} cannot be read ({error or type(error).__name__}).") from error
    try:
        tensors = load(content)
        told = _header(content)
        facts: dict[str, Any] = {
            name: tuple(fact) if isinstance(fact, list) else fact for name, fact in told["facts"].items()
        }
        return Reference(
            ReferenceFacts(**facts),
            Spread(**told["language"]),
            Spread(**told["distance"]),
            Bank(tensors["directions"].float(), tensors["vectors"].float()),
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{url} is not a reference of Clipomaly; make one with: clipomaly reference build ARCHIVE --out {url}"
        ) from error


def built_in_reference(model: str, weights_sha256: str) -> Reference | None:
    """The reference that a model brings along; ``None`` where it brings none, or has other weights than its own."""
    path = files("clipomaly_core") / "data" / f"{model}.reference{SUFFIX}"
    if "/" in model or not path.is_file():
        return None
    reference = read_reference(str(path))
    return reference if reference.facts.weights_sha256 == weights_sha256 else None


def _header(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    told: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["reference"])
    if told["format"] != _FORMAT:
        raise ValueError(told["format"])
    return told
