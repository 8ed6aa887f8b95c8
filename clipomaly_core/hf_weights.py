"""Weights of Hugging Face transformers' CLIP and SigLIP, under open_clip's names."""

import re

import torch
from torch import Tensor

StateDict = dict[str, Tensor]

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
