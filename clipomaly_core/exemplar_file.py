"""The file beside a vocabulary that holds its exemplars: safetensors, of which nothing is ever executed.

Exemplars under the key ``cow`` are three tensors, ``cow.embeddings``, ``cow.weights`` and ``cow.widths``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

import fsspec
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from clipomaly_core.errors import UsageError
from clipomaly_core.names import Exemplars

Beside = Callable[[str], bytes]
"""Reads the file of that name beside a vocabulary."""


def read_beside(url: str) -> Beside:
    """What reads files beside the vocabulary file ``url``, of any fsspec URL."""

    def read(name: str) -> bytes:
        place = f"{url[: max(url.rfind('/'), url.rfind(chr(92))) + 1]}{name}"
        try:
            with fsspec.open(place, "rb") as file:
                return bytes(file.read())
        except (OSError, ValueError, ImportError):
            raise UsageError(
                f"{url}: cannot read {place}, which holds the embeddings of its exemplars: copy both files together."
            ) from None

    return read


def make_exemplars(
    reason: str, model: str, name: str | None, key: str, embeddings: bytes, weights: bytes, widths: bytes
) -> Exemplars:
    """Exemplars with the digest of their content; arguments as ``Exemplars`` says, ``key`` is its ``tensors``."""
    digest = _digest(embeddings, weights, widths)
    return Exemplars(reason, model, key, digest, name, embeddings, weights, widths)


def exemplar_bytes(exemplars: Iterable[Exemplars]) -> bytes:
    """The content of an exemplar file; the same for the same exemplars."""
    tensors = {}
    for exemplar in sorted(exemplars, key=lambda exemplar: exemplar.tensors):
        count = len(exemplar.weights) // 4
        tensors[f"{exemplar.tensors}.embeddings"] = np.frombuffer(exemplar.embeddings, "<f2").reshape(count, -1)
        tensors[f"{exemplar.tensors}.weights"] = np.frombuffer(exemplar.weights, "<f4")
        tensors[f"{exemplar.tensors}.widths"] = np.frombuffer(exemplar.widths, "<f4")
    return bytes(save(tensors))


def exemplar_file_name(exemplars: Iterable[Exemplars]) -> str:
    """The name of their file: other exemplars never get the same."""
    return f"exemplars-{sha256(exemplar_bytes(exemplars)).hexdigest()[:12]}.safetensors"


def with_content(exemplars: Sequence[Exemplars], content: bytes, name: str, where: str) -> tuple[Exemplars, ...]:
    """Exemplars with what the exemplar file ``name`` of the vocabulary ``where`` holds of them.

    Raises:
        UsageError: it is no such file, or holds something else.
    """
    try:
        tensors = load(content)
        read = [_with_tensors(exemplar, tensors) for exemplar in exemplars]
    except (SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{where}: {name} does not hold its exemplars: copy both files together.") from error
    for exemplar in read:
        if _digest(exemplar.embeddings, exemplar.weights, exemplar.widths) != exemplar.sha256:
            raise UsageError(
                f"{where}: {name} holds other exemplars of {exemplar.name or 'what is no anomaly'} than were promoted: "
                "copy both files together."
            )
    return tuple(read)


def _with_tensors(exemplar: Exemplars, tensors: Mapping[str, npt.NDArray[np.generic]]) -> Exemplars:
    embeddings, weights, widths = (
        tensors[f"{exemplar.tensors}.{part}"].tobytes() for part in ("embeddings", "weights", "widths")
    )
    return replace(exemplar, embeddings=embeddings, weights=weights, widths=widths)


def _digest(*parts: bytes) -> str:
    return sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).hexdigest()
