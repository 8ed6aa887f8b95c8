"""Weight files as people have them: what tensors a file holds, under open_clip's names as far as possible.

Nothing in a file is executed: safetensors, ``torch.load(weights_only=True)``, or the disassembled form of TorchScript.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from clipomaly_core.errors import UsageError
from clipomaly_core.torchscript import is_torchscript, read_torchscript

StateDict = dict[str, Tensor]

_FOLDER = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)
"""The weights of a folder, the first that is there."""
# Trainers save averaged weights beside those of the last step. The averaged ones are what they evaluate with.
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
_WRAPPERS = (*_AVERAGED, "state_dict", "model_state_dict", "model", "module")
_PREFIXES = ("module.", "_orig_mod.", "ema_model.", "model.", "clip_model.", "clip.")
_TOWERS = ("visual.", "vision_model.", "image_encoder.")
_OF_IMAGES = re.compile(rf"({'|'.join(map(re.escape, _PREFIXES))})*(visual|vision_model|image_encoder)\.")
_OPENAI = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Numbers that OpenAI saved among the weights."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """The tensors of a file by name. ``openai``: whether OpenAI made it, so that its GELU is the quick one."""

    state: StateDict
    openai: bool = False


def weight_file(path: Path) -> Path:
    """The file itself, or the weights in a folder as open_clip and transformers save one.

    Raises:
        UsageError: a folder without weights.
    """
    if not path.is_dir():
        return path
    for name in _FOLDER:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"The folder {path} holds no weights: one of {', '.join(_FOLDER)} is looked for.")


def read_weights(path: Path, without_images: bool = False) -> WeightFile:
    """Read a file of weights.

    Args:
        path: safetensors, an open_clip or trainer checkpoint, OpenAI's TorchScript, or weights of transformers.
        without_images: leave out the weights of the image tower; of safetensors they are not read at all.

    Raises:
        Exception: whatever the readers raise for a file that is none of these.
    """
    if is_torchscript(path):
        state = read_torchscript(path)
        return WeightFile(_without(state, _OPENAI), openai=True)
    if _is_safetensors(path):
        loaded: object = _of_safetensors(path, without_images)
    else:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    state = _unwrapped(loaded)
    return WeightFile(_without(state, _OPENAI), openai=state.keys() >= _OPENAI)


def _of_safetensors(path: Path, without_images: bool) -> StateDict:
    if not without_images:
        return load_file(path)
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if not _OF_IMAGES.match(name)}  # noqa: SIM118


def _is_safetensors(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        return False
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:9] == b"{"  # eight bytes of length, then JSON


def _unwrapped(loaded: object) -> StateDict:
    """The tensors of a model inside what a trainer saved."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping):
        raise ValueError("no weights by name in it")
    state = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
    while not any(name.startswith(_TOWERS) for name in state):
        prefix = next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    if not state:
        raise ValueError("no weights by name in it")
    return state


def _without(state: StateDict, names: frozenset[str]) -> StateDict:
    return {name: value for name, value in state.items() if name not in names}
