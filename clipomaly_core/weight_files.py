"""Weight files as people have them: what tensors a file holds, under open_clip's names.

Nothing in a file is executed: safetensors, ``torch.load(weights_only=True)``, or the disassembled form of TorchScript.
"""

import hashlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from clipomaly_core.errors import UsageError, UserError
from clipomaly_core.timing import SlowStart
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
_CLIP = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.": "visual.ln_pre.",
    "vision_model.post_layernorm.": "visual.ln_post.",
    "vision_model.encoder.layers.": "visual.transformer.resblocks.",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.": "ln_final.",
    "text_model.encoder.layers.": "transformer.resblocks.",
}
_SIGLIP = {
    "vision_model.embeddings.patch_embedding.": "visual.trunk.patch_embed.proj.",
    "vision_model.embeddings.position_embedding.weight": "visual.trunk.pos_embed",
    "vision_model.post_layernorm.": "visual.trunk.norm.",
    "vision_model.encoder.layers.": "visual.trunk.blocks.",
    "vision_model.head.probe": "visual.trunk.attn_pool.latent",
    "vision_model.head.attention.in_proj_": "visual.trunk.attn_pool.in_proj_",
    "vision_model.head.attention.out_proj.": "visual.trunk.attn_pool.proj.",
    "vision_model.head.layernorm.": "visual.trunk.attn_pool.norm.",
    "vision_model.head.mlp.": "visual.trunk.attn_pool.mlp.",
    "text_model.embeddings.token_embedding.weight": "text.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "text.positional_embedding",
    "text_model.final_layer_norm.": "text.ln_final.",
    "text_model.encoder.layers.": "text.transformer.resblocks.",
    "text_model.head.": "text.text_projection.",
}
_RESBLOCK = {
    ".self_attn.out_proj.": ".attn.out_proj.",
    ".layer_norm": ".ln_",
    ".mlp.fc1.": ".mlp.c_fc.",
    ".mlp.fc2.": ".mlp.c_proj.",
}
_TIMM_BLOCK = {".self_attn.out_proj.": ".attn.proj.", ".layer_norm": ".norm"}
_QKV = re.compile(r"(.+)\.self_attn\.([qkv])_proj\.(weight|bias)")


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
    if _is_safetensors(path):
        loaded: object = _of_safetensors(path, without_images)
    elif is_torchscript(path):
        state = read_torchscript(path)
        return WeightFile(_without(state, _OPENAI), openai=True)
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


def is_transformers(state: StateDict) -> bool:
    """Whether names are those of transformers' CLIP or SigLIP."""
    return any(name.startswith("vision_model.") for name in state)


def from_transformers(state: StateDict) -> StateDict:
    """Weights of a transformers CLIP or SigLIP as open_clip names them.

    Args:
        state: ``CLIPModel`` or ``SiglipModel`` by name; other families' names stay as they are.
    """
    siglip = any(name.startswith("vision_model.head.") for name in state)
    converted: StateDict = {}
    for name, value in _with_joined_projections(state, siglip).items():
        if name.endswith("position_ids"):
            continue
        if name in ("visual_projection.weight", "text_projection.weight"):
            converted["visual.proj" if name.startswith("visual") else "text_projection"] = value.T.contiguous()
            continue
        converted[_renamed(name, _SIGLIP if siglip else _CLIP)] = value
    if siglip:
        _finish_siglip(converted)
    return converted


def _renamed(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
            break
    blocks = _TIMM_BLOCK if name.startswith("visual.trunk.blocks.") else _RESBLOCK if ".resblocks." in name else {}
    for old, new in blocks.items():
        name = name.replace(old, new)
    return name


def _with_joined_projections(state: StateDict, siglip: bool) -> StateDict:
    """Query, key and value of each block as one tensor, under the name that the block has in open_clip or timm."""
    joined: StateDict = {}
    for name, value in state.items():
        match = _QKV.fullmatch(name)
        if match is None:
            joined[name] = value
            continue
        block, part, kind = match.groups()
        if part == "q":
            parts = [state[f"{block}.self_attn.{which}_proj.{kind}"] for which in "qkv"]
            own = f"attn.qkv.{kind}" if siglip and block.startswith("vision_model.") else f"attn.in_proj_{kind}"
            joined[f"{block}.{own}"] = torch.cat(parts)
    return joined


def _finish_siglip(state: StateDict) -> None:
    """The position embedding has a batch dimension in timm, and the pooling's query has a layer of its own."""
    if (position := state.get("visual.trunk.pos_embed")) is not None:
        state["visual.trunk.pos_embed"] = position[None] if position.ndim == 2 else position
    pool = "visual.trunk.attn_pool"
    for kind in ("weight", "bias"):
        if (joined := state.pop(f"{pool}.in_proj_{kind}", None)) is not None:
            query, key, value = joined.chunk(3)
            state[f"{pool}.q.{kind}"], state[f"{pool}.kv.{kind}"] = query, torch.cat([key, value])


def file_sha256(path: Path) -> str:
    """Hex digest of a file. Raises UserError when it cannot be read."""
    try:
        state = path.stat()
        return _file_sha256(path, state.st_ino, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise UserError(f"Weights {path} cannot be read ({error.strerror or error}).") from error


@lru_cache(maxsize=32)
def _file_sha256(path: Path, _inode: int, size: int, _modified_ns: int) -> str:
    """A start asks for the digest of its weights several times; half a second each for 600 MB."""
    digest, read = hashlib.sha256(), 0
    progress = SlowStart(f"reading {path.name}", size / 1e6, " MB")
    with path.open("rb") as file:
        while part := file.read(1 << 24):
            digest.update(part)
            read += len(part)
            progress.done(read / 1e6)
    return digest.hexdigest()
